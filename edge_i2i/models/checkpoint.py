"""Reading checkpoint files that come from strangers: nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.errors import CheckpointError

if TYPE_CHECKING:
    from edge_i2i.models.family import StateDict

_PICKLE_PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def read_checkpoint(path: Path) -> StateDict:
    """Read a state dict from a ``.pth`` file (``weights_only``) or a ``.safetensors`` file.

    Raises:
        CheckpointError: the file is missing, empty, truncated, no checkpoint, holds something else than tensors by
            name, or would execute code when loaded the ordinary way.
    """
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint {path}.", remedy="Check the path given to --checkpoint.")
    if path.stat().st_size == 0:
        raise CheckpointError(f"The checkpoint {path} is empty.", remedy="Download or copy it again.")
    state = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _checked(state, path)


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a safetensors file ({} for other files)."""
    if path.suffix != ".safetensors":
        return {}
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_safetensors(path: Path) -> object:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file: {error}.", remedy="Download or copy it again."
        ) from error


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
        loaded: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refusal(path, error) from error
    except (RuntimeError, EOFError, OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(
            f"{path} cannot be read as a torch checkpoint; it looks truncated or damaged ({_first_line(error)}).",
            remedy="Download or copy it again and compare its size.",
        ) from error
    return loaded


def _refusal(path: Path, error: pickle.UnpicklingError) -> CheckpointError:
    text = str(error)
    if "global" not in text.lower() and "reduce" not in text.lower():
        return CheckpointError(
            f"{path} cannot be read as a torch checkpoint; it looks truncated or damaged ({_first_line(error)}).",
            remedy="Download or copy it again and compare its size.",
        )
    name = text.partition("GLOBAL ")[2].split(" ")[0]
    return CheckpointError(
        f"{path} was refused: it holds Python objects{f' ({name})' if name else ''} and would execute code when loaded "
        "the ordinary way. Only tensors are read.",
        remedy="If you trust its origin, load it in the code that wrote it and save net.state_dict() alone, "
        "or convert it to safetensors there.",
    )


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:160]


def _checked(state: object, path: Path) -> StateDict:
    import torch

    if not isinstance(state, dict) or not state:
        raise CheckpointError(
            f"{path} holds a {type(state).__name__}, not a state dict.", remedy="Save net.state_dict() to a file."
        )
    odd = [str(key) for key, value in state.items() if not isinstance(key, str) or not isinstance(value, torch.Tensor)]
    if odd:
        raise CheckpointError(
            f"{path} is not a plain state dict: these entries are not tensors by name: {', '.join(odd[:5])}.",
            remedy="Save the generator's state_dict() alone to a file.",
        )
    return state
