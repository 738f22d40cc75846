"""The checkpoint of a fine-tuning: one file, written whole or not at all, read without executing anything."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx_ir as ir
import torch
from torch import Tensor

from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.files.places import writing
from edge_i2i.files.whole import replacing
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.learn.training_log import Record

if TYPE_CHECKING:
    from edge_i2i.quantize.qat.plan import QatOptions

NAME = "checkpoint.pt"
# What may change between a run and its continuation: these do not decide what one step computes.
_FREE_OPTIONS = frozenset({"threads", "log_every"})


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on as if it had never stopped; tensors in the order of what is learned."""

    step: int
    state: list[Tensor]
    optimiser: dict[str, Any]
    best: list[Tensor]
    best_step: int
    best_psnr: float
    psnr_before: float
    history: tuple[Record, ...]


def identify(graph: ir.Model, layers: Collection[str], scheme: Scheme, options: QatOptions, sources: str) -> str:
    """A hash of everything that decides what a run computes, in hexadecimal.

    Args:
        graph: the network to fine-tune: its nodes count, not its weights (equalised ones come from statistics, which
            may differ in their last bit the next time).
        layers: the names of the layers that are quantized.
        scheme: how their activations are written.
        options: of the training; those that do not change what a step computes are left out.
        sources: stands for weights and data: a checksum of theirs.
    """
    content = {
        "nodes": [[node.op_type, *(value.name if value else "" for value in node.inputs)] for node in graph.graph],
        "layers": sorted(layers),
        "scheme": scheme.value,
        "options": {name: value for name, value in asdict(options).items() if name not in _FREE_OPTIONS},
        "sources": sources,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def save_checkpoint(folder: Path, identity: str, checkpoint: Checkpoint) -> Path:
    """Write the checkpoint of a run, in place of the one before; returns its path.

    Args:
        folder: the run's folder; made where it is not there.
        identity: what ``identify`` says of the run.
        checkpoint: the state to keep.

    Raises:
        OutputError: it cannot be written; the one before is still there.
    """
    content = {item.name: getattr(checkpoint, item.name) for item in fields(checkpoint)}
    with writing(folder / NAME, RuntimeError):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / NAME) as temporary:
            torch.save({"identity": identity, **content}, temporary)
    return folder / NAME


def check_folder(folder: Path, *, resume: bool) -> None:
    """Refuse to overwrite a run, and to resume where there is none.

    Raises:
        UsageError: the folder holds a checkpoint and ``resume`` is not set, or it holds none and ``resume`` is.
    """
    if (folder / NAME).exists() and not resume:
        raise UsageError(
            f"{folder} already holds a fine-tuning.",
            remedy="Add --resume to go on with it, or name another --run folder.",
        )
    if resume and not (folder / NAME).exists():
        raise UsageError(f"There is nothing to resume in {folder}.", remedy="Leave --resume out to start.")


def load_checkpoint(folder: Path, identity: str) -> Checkpoint:
    """The checkpoint to go on from.

    Raises:
        UsageError: it is that of another run.
        BadInputError: the file is damaged.
    """
    path = folder / NAME
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        written = content.pop("identity")
        checkpoint = Checkpoint(**content)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise BadInputError(
            f"The checkpoint {path} cannot be read: {str(error).partition(chr(10))[0][:200]}.",
            remedy="Delete it and start again without --resume.",
        ) from error
    if written != identity:
        raise UsageError(
            f"The checkpoint {path} belongs to another fine-tuning: its graph, layers, data or options differ.",
            remedy="Resume with what started it, or name another --run folder.",
        )
    return checkpoint
