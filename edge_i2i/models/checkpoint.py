"""Reading checkpoint files that come from strangers: nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.errors import CheckpointError
from edge_i2i.models.pickle_survey import survey
from edge_i2i.models.tensorflow_checkpoint import (
    is_tensorflow_checkpoint,
    read_tensorflow_checkpoint,
    tensorflow_files,
)

if TYPE_CHECKING:
    from torch import Tensor

    from edge_i2i.models.family import StateDict

_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_LARGEST_PROTOCOL = 2  # the one that torch.save writes, and that torch's safe unpickler knows


def read_checkpoint(path: Path) -> StateDict:
    """Read a state dict from a torch file (``weights_only``), a ``.safetensors`` file or a TensorFlow checkpoint.

    Several state dicts in one file (``{"a": …, "b": …}``, as MUNIT's) come as one, their names before the keys:
    ``a.enc_content…``. A TensorFlow checkpoint is named by its prefix or by one of its files.

    Raises:
        CheckpointError: the file is missing, empty, truncated, no checkpoint, holds something else than tensors by
            name, or would execute code when loaded the ordinary way.
        MissingRequirementError: a TensorFlow checkpoint, and TensorFlow is not installed.
    """
    if is_tensorflow_checkpoint(path):
        return read_tensorflow_checkpoint(path)
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}.", remedy="Check the path given to --checkpoint.")
    if path.stat().st_size == 0:
        raise CheckpointError(f"The checkpoint {path} is empty.", remedy="Download or copy it again.")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _checked(state, path)


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a safetensors file ({} for other files).

    Raises:
        CheckpointError: the file is not a whole safetensors file.
    """
    if path.suffix != ".safetensors":
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise _not_whole(path, error) from error


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_sha256(path: Path) -> str:
    """The SHA-256 of a checkpoint, in hex: of its file, or of the digests of a TensorFlow checkpoint's files."""
    if not is_tensorflow_checkpoint(path):
        return file_sha256(path)
    digest = hashlib.sha256()
    for file in tensorflow_files(path):
        digest.update(bytes.fromhex(file_sha256(file)))
    return digest.hexdigest()


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, KeyError) as error:
        raise _not_whole(path, error) from error


def _not_whole(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path} is not a whole safetensors file: {error}.", remedy="Download or copy it again.")


# What the reader of damaged bytes raises: torch's unpickler is written in Python and checks little.
_READING_ERRORS = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, OSError, EOFError, RuntimeError, MemoryError),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError),
)


def _read_torch(path: Path) -> object:
    import torch

    with path.open("rb") as file:
        head = file.read(2)
    if head != b"PK" and head not in _PICKLE_PROTOCOLS:
        raise CheckpointError(
            f"{path} is not a checkpoint: neither a torch file nor safetensors.",
            remedy="Give the .pth file that the training wrote, or a .safetensors file.",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns before it raises; one message is enough
            loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except _READING_ERRORS as error:
        raise _refusal(path, error) from error
    return loaded


def _refusal(path: Path, error: BaseException) -> CheckpointError:
    """Why a file could not be read: it holds more than tensors, it is another kind of file, or it is damaged."""
    contents = survey(path)
    if contents.foreign_names and not contents.torchscript:
        return CheckpointError(
            f"{path} was refused: it holds Python objects ({contents.foreign_names[0]}) and would execute code when "
            "loaded the ordinary way. Only tensors are read.",
            remedy="If you trust its origin, load it in the code that wrote it and save net.state_dict() alone, "
            "or convert it to safetensors there.",
        )
    if contents.torchscript:
        return CheckpointError(
            f"{path} is a TorchScript archive: a compiled network, not its weights.",
            remedy="Load it with torch.jit.load in the code that wrote it and save net.state_dict() to a file.",
        )
    if contents.whole and contents.protocol > _LARGEST_PROTOCOL:
        return CheckpointError(
            f"{path} was written with pickle protocol {contents.protocol}, which is not read.",
            remedy="Save it again without pickle_protocol, or as safetensors.",
        )
    return CheckpointError(
        f"{path} cannot be read as a torch checkpoint; it looks truncated or damaged ({_first_line(error)}).",
        remedy="Download or copy it again and compare its size.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _checked(state: object, path: Path) -> StateDict:
    import torch

    if not state and isinstance(state, dict):
        raise CheckpointError(
            f"{path} holds no tensors: it is an empty dict.", remedy="Save net.state_dict() to a file."
        )
    if not isinstance(state, dict):
        raise CheckpointError(
            f"{path} holds a {type(state).__name__}, not a state dict.", remedy="Save net.state_dict() to a file."
        )
    tensors: dict[str, Tensor] = {}
    odd: list[str] = []
    for key, value in _entries(state):
        if isinstance(key, str) and isinstance(value, torch.Tensor):
            tensors[key] = value
        else:
            odd.append(str(key))
    if odd:
        raise CheckpointError(
            f"{path} is not a plain state dict: these entries are not tensors by name: {', '.join(odd[:5])}.",
            remedy="Save the generator's state_dict() alone to a file.",
        )
    return tensors


def _entries(state: Mapping[object, object]) -> Iterator[tuple[object, object]]:
    """Dicts of state dicts as one: ``{"a": {"w": …}}`` → ``a.w``, …"""
    for name, value in state.items():
        if isinstance(value, dict) and value and isinstance(name, str):
            yield from ((f"{name}.{key}" if isinstance(key, str) else key, inner) for key, inner in _entries(value))
        else:
            yield name, value
