"""From an official checkpoint of any of the models to one weights file of ours, beside it a readable config."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.files.places import check_file, refuse_foreign
from edge_i2i.files.whole import replacing
from edge_i2i.models.checkpoints.checkpoint import Checkpoint
from edge_i2i.models.checkpoints.explaining import nobodys
from edge_i2i.models.checkpoints.loading import load_model, read_model
from edge_i2i.models.checkpoints.recognise import Recognition, recognise
from edge_i2i.models.checkpoints.weights_file import is_weights_file, write_weights_file
from edge_i2i.models.registry import family_names, get_family
from edge_i2i.models.weights import StateDict

_STATISTICS = re.compile(r"(running_mean|running_var|num_batches_tracked)$")


@dataclass(frozen=True)
class ImportSummary:
    """What a checkpoint held and what was written. ``parameters``: numbers by network; ``companions``: files read
    beside it; ``assumed``: what no file told, and what it was taken for.
    """

    family: str
    title: str
    what: str
    config: dict[str, Any]
    parameters: Mapping[str, int]
    companions: tuple[Path, ...]
    weights: Path
    config_file: Path
    sha256: str
    assumed: tuple[str, ...]


def find_family(checkpoint: Path | Checkpoint, model: str | None = None) -> Recognition:
    """Which model a file holds; ``model``: as the user says. What is read of a ``Checkpoint`` is kept there.

    Raises:
        CheckpointError: the file cannot be read, or is no model's, or more than one's.
    """
    checkpoint = Checkpoint.of(checkpoint)
    recorded = checkpoint.metadata.get("family")
    if recorded is not None and recorded not in family_names() and model is None:
        raise CheckpointError(
            f"{checkpoint} says that it holds a {recorded[:80]} network, which is not known here.",
            remedy="It may have been written by a newer version of edge-i2i.",
        )
    if recorded is not None and model in (None, recorded):
        family = get_family(recorded)
        return Recognition(family.name, family.title, "a weights file of this project")
    state = checkpoint.state
    if model is not None:
        family = get_family(model)
        what = family.recognise(state) or "as told; its keys alone do not say so"
        return Recognition(family.name, family.title, what)
    found = recognise(state)
    if len(found) == 1:
        return found[0]
    if found:
        raise CheckpointError(
            f"{checkpoint} could be {' or '.join(str(item) for item in found)}.",
            remedy=f"Say which: {' or '.join(f'--model {item.family}' for item in found)}.",
        )
    raise nobodys(checkpoint.path, state)


def import_checkpoint(
    checkpoint: Path | Checkpoint, found: Recognition, output: Path, overrides: Mapping[str, str] | None = None
) -> ImportSummary:
    """Read an official checkpoint with its companion files and write it as ``output`` (safetensors) and a JSON config.

    Args:
        checkpoint: the official file; as a ``Checkpoint``, what ``find_family`` read of it is not read again.
        found: which model it holds (``find_family``).
        output: the weights file to write, by convention ``*.safetensors``; the config is written beside it.
        overrides: ``key=value`` texts for the architecture.

    Raises:
        OutputError: the two files cannot be written, or would replace a file of another kind.
        CheckpointError: it cannot be read, or holds another network.
        UsageError: an unknown model or override, or a question that the file cannot answer (``norm_mode``).
    """
    checkpoint, config_file = Checkpoint.of(checkpoint), output.with_suffix(".json")
    _check_output(output, config_file)
    family = get_family(found.family)
    read = read_model(family, checkpoint, overrides or {})
    load_model(family, read, checkpoint, overrides or {})  # every key and shape is checked before anything is written
    config, states = asdict(read.config), family.portable(read.states)
    source = {"source": checkpoint.path.name, "source_sha256": checkpoint.sha256}
    write_weights_file(output, family.name, config, states, source)
    with replacing(config_file) as unfinished:
        content = {"model": family.name, "config": config}
        unfinished.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return ImportSummary(
        family.name,
        family.title,
        found.what,
        config,
        {name: _count(state) for name, state in states.items()},
        tuple(path for path in read.files if path != checkpoint.path),
        output,
        config_file,
        checkpoint.sha256,
        read.assumed,
    )


def _check_output(weights: Path, config_file: Path) -> None:
    if weights == config_file:
        raise UsageError(
            f"--output {weights}: the config would replace the weights.", remedy="Name a .safetensors file."
        )
    for path in (weights, config_file):
        check_file(path, makes_folder=True)
    refuse_foreign(weights, is_weights_file, "a weights file of this project")
    refuse_foreign(config_file, _is_config, "the config of a weights file")


def _is_config(path: Path) -> bool:
    """Whether it is a JSON file as ``import_checkpoint`` writes beside the weights."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and content.keys() == {"model", "config"}


def _count(state: StateDict) -> int:
    """Learned numbers; a tensor under two names counts once, running statistics do not."""
    learned = {tensor.data_ptr(): tensor.numel() for key, tensor in state.items() if not _STATISTICS.search(key)}
    return sum(learned.values())
