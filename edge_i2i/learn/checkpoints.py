"""Training checkpoints: written whole or not at all, read without executing anything.

A checkpoint is a folder ``step-00000500``: one safetensors file a network, ``training.pt`` (optimisers and random
state; loads with ``weights_only=True``) and ``state.json`` (the step and the recipe).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.files.places import writing
from edge_i2i.learn.recipe import Recipe

NETWORKS = ("generator", "discriminator", "ema")
_PREFIX = "step-"
# What may change between a run and its continuation: these do not decide what one step computes. (``steps`` moves the
# start of the learning rate's decay, so a continuation with another number is another run from there on.)
_FREE_TRAINING_KEYS = frozenset(
    {"steps", "log_every", "checkpoint_every", "keep_checkpoints", "tensorboard", "threads"}
)


@dataclass(frozen=True)
class Snapshot:
    """Everything that a run needs to go on as if it had never stopped."""

    step: int
    networks: Mapping[str, Mapping[str, Tensor]]
    training: Mapping[str, Any]


def save_snapshot(folder: Path, snapshot: Snapshot, recipe: Recipe) -> Path:
    """Write a checkpoint and return its path; an interrupted write leaves nothing under that name.

    Args:
        folder: where the checkpoints of a run lie; made if needed.
        snapshot: what is written; its step names the checkpoint, and one of that step is replaced.
        recipe: what the run trains by, which ``load_snapshot`` holds against that of the run that goes on.

    Raises:
        OutputError: it cannot be written; earlier ones are still there.
    """
    final = folder / f"{_PREFIX}{snapshot.step:08d}"
    with writing(final, RuntimeError, SafetensorError):
        folder.mkdir(parents=True, exist_ok=True)
        _write_snapshot(final, snapshot, recipe)
    return final


def _write_snapshot(final: Path, snapshot: Snapshot, recipe: Recipe) -> None:
    scratch = Path(tempfile.mkdtemp(dir=final.parent, prefix=".writing-"))
    try:
        for name in NETWORKS:
            tensors = {key: value.detach().cpu().contiguous() for key, value in snapshot.networks[name].items()}
            save_file(tensors, scratch / f"{name}.safetensors")
        torch.save(dict(snapshot.training), scratch / "training.pt")
        state = {"step": snapshot.step, "recipe": recipe.model_dump(mode="json")}
        (scratch / "state.json").write_text(json.dumps(state, indent=2), encoding="utf-8")
        if final.exists():
            shutil.rmtree(final)
        scratch.replace(final)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def list_snapshots(folder: Path) -> list[Path]:
    """Finished checkpoints under ``folder``, oldest first."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if (path / "state.json").is_file())


def prune_snapshots(folder: Path, keep: int) -> None:
    """Delete all but the newest ``keep`` checkpoints."""
    for path in list_snapshots(folder)[:-keep]:
        shutil.rmtree(path)


def load_snapshot(path: Path, recipe: Recipe) -> Snapshot:
    """Read a checkpoint that a run of the same recipe wrote.

    Raises:
        CheckpointError: a file is missing or damaged.
        UsageError: the checkpoint belongs to another recipe; names the keys that differ.
    """
    try:
        state = json.loads((path / "state.json").read_text(encoding="utf-8"))
        step, written = int(state["step"]), Recipe.model_validate(state["recipe"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path, error) from error
    _check_same_recipe(path, written, recipe)
    try:
        networks = {name: load_file(path / f"{name}.safetensors") for name in NETWORKS}
        training = torch.load(path / "training.pt", map_location="cpu", weights_only=True)
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError) as error:
        raise _damaged(path, error) from error
    return Snapshot(step, networks, training)


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"The training checkpoint {path} cannot be read: {error}.",
        remedy="Delete that folder: `--resume` then goes on from the one before it.",
    )


def _check_same_recipe(path: Path, written: Recipe, asked: Recipe) -> None:
    before, now = _deciding_keys(written), _deciding_keys(asked)
    different = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    if different:
        raise UsageError(
            f"The checkpoint {path} was trained with another recipe; different: {', '.join(different)}.",
            remedy="Resume with the recipe that started the run, or train into another --output folder.",
        )


def _deciding_keys(recipe: Recipe) -> dict[str, Any]:
    content = recipe.model_dump(mode="json")
    keys = {
        f"{section}.{key}": value
        for section in content
        if isinstance(content[section], dict)
        for key, value in content[section].items()
    }
    keys["seed"] = content["seed"]
    return {key: value for key, value in keys.items() if key.removeprefix("training.") not in _FREE_TRAINING_KEYS}
