"""Our own weights file: every network of a model in one safetensors file, with the architecture in its metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_i2i.errors import CheckpointError
from edge_i2i.files.places import writing
from edge_i2i.files.whole import replacing
from edge_i2i.models.checkpoints.reading import read_metadata

if TYPE_CHECKING:
    from edge_i2i.models.weights import StateDict

_BETWEEN = "/"


def write_weights_file(
    path: Path,
    family: str,
    config: Mapping[str, Any],
    states: Mapping[str, StateDict],
    extra: Mapping[str, str] | None = None,
) -> Path:
    """Write state dicts by network; an interrupted write leaves nothing under ``path``.

    Args:
        path: the file, by convention ``*.safetensors``.
        family: which published model it is.
        config: its architecture, plain values.
        states: one network's keys are written as they are, those of several as ``NETWORK/KEY``.
        extra: more metadata, text by text.

    Raises:
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {
        key if len(states) == 1 else f"{network}{_BETWEEN}{key}": value.detach().cpu().contiguous().clone()
        for network, state in states.items()
        for key, value in state.items()
    }
    metadata = {
        "family": family,
        "config": json.dumps(dict(config), sort_keys=True),
        "networks": json.dumps(sorted(states)),
        **(extra or {}),
    }
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_bytes(save(tensors, metadata=metadata))  # keeps the umask; safetensors' own are private
    return path


def is_weights_file(path: Path) -> bool:
    """Whether it is a file that ``write_weights_file`` wrote."""
    try:
        return "family" in read_metadata(path)
    except CheckpointError:
        return False


def recorded_json(text: str, what: str, path: Path) -> object:
    """What a weights file's metadata says in JSON.

    Args:
        text: the JSON.
        what: of what it speaks, for the error: "architecture".
        path: the file, for the error.

    Raises:
        CheckpointError: it is not JSON, or nested without end.
    """
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
        raise CheckpointError(
            f"The {what} recorded in {path} is not JSON: {reason}.", remedy="Import the official checkpoint again."
        ) from error
    return value


def split_networks(state: StateDict, metadata: Mapping[str, str], path: Path) -> dict[str, StateDict]:
    """The state dicts of a weights file by network, as its metadata names them.

    Args:
        state: every tensor of the file, under ``NETWORK/KEY`` where it holds several networks.
        metadata: the file's; its ``networks`` is a list of names in JSON.
        path: the file, for the error.

    Raises:
        CheckpointError: the file names networks that it does not hold.
    """
    networks = recorded_json(metadata["networks"], "list of networks", path)
    if not isinstance(networks, list) or not all(isinstance(name, str) for name in networks):
        raise CheckpointError(
            f"The list of networks in {path} cannot be read: it is no list of names.",
            remedy="Import the official checkpoint again.",
        )
    if len(networks) == 1:
        return {networks[0]: state}
    states: dict[str, StateDict] = {}
    for name in networks:
        prefix = f"{name}{_BETWEEN}"
        states[name] = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
        if not states[name]:
            raise CheckpointError(
                f"{path} says that it holds the network '{name[:80]}', but has no weights of it.",
                remedy="Import the official checkpoint again.",
            )
    return states
