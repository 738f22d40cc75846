"""Reading checkpoint files that come from strangers: nothing in them is ever executed."""

from __future__ import annotations

import hashlib
import pickle
import struct
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.errors import CheckpointError
from edge_i2i.files.kinds import (
    ARE_READ,
    BUNDLE,
    CUT_ZIP,
    SAFETENSORS,
    TORCH,
    TORCHSCRIPT,
    FileKind,
    file_kind,
)
from edge_i2i.models.checkpoints.explaining import mixed
from edge_i2i.models.checkpoints.pickle_survey import foreign_names, survey
from edge_i2i.models.checkpoints.state_entries import (
    GET_FROM_ELSEWHERE,
    MixedEntriesError,
    check_contents,
    check_count,
    check_key,
    flat_entries,
    without_wrappers,
)
from edge_i2i.models.checkpoints.tensorflow import (
    is_tensorflow_checkpoint,
    read_tensorflow_checkpoint,
    tensorflow_files,
)
from edge_i2i.models.checkpoints.torch_contents import StrangeContentsError, torch_contents
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from edge_i2i.models.weights import StateDict

_LARGEST_HEADER = 1 << 24  # bytes of a safetensors header; some hundred a tensor
_PACKED = ("torch.float4_e2m1fn_x2",)  # types that have no arithmetic
_LARGEST_PROTOCOL = 2  # the one that torch.save writes, and that torch's safe unpickler knows


def read_checkpoint(path: Path) -> StateDict:
    """Read a state dict from a torch file (``weights_only``), a ``.safetensors`` file or a TensorFlow checkpoint.

    Several state dicts in one file (``{"a": …, "b": …}``, as MUNIT's) come as one, their names before the keys:
    ``a.enc_content…``. What DataParallel and torch.compile put into keys is taken out. The first bytes decide which
    kind of file it is, not its name; a TensorFlow checkpoint is named by its prefix or by one of its files.

    Raises:
        CheckpointError: the file is missing, empty, truncated, no checkpoint, holds something else than tensors by
            name, or would execute code when loaded the ordinary way.
        MissingRequirementError: torch is not installed, or TensorFlow where it is a TensorFlow checkpoint.
    """
    if is_tensorflow_checkpoint(path):
        return read_tensorflow_checkpoint(path)
    safetensors = check_checkpoint(path)
    require("torch", extra="torch", purpose="Reading a checkpoint")
    state = _read_safetensors(path) if safetensors else _read_torch(path)
    _check_types(state, path)
    return without_wrappers(state, path)


def check_checkpoint(path: Path) -> bool:
    """Refuse what can be refused before torch is imported and a tensor is read; whether it is a safetensors file.

    Raises:
        CheckpointError: as ``read_checkpoint``. A TensorFlow checkpoint is accepted unread.
    """
    if is_tensorflow_checkpoint(path):
        return False
    safetensors = _is_safetensors(path)
    if safetensors:
        _check_header(path)
    else:
        _check_contents(path)
    return safetensors


def read_metadata(path: Path) -> dict[str, str]:
    """The text metadata of a safetensors file ({} for other files).

    Raises:
        CheckpointError: the file is not a whole safetensors file.
    """
    if is_tensorflow_checkpoint(path) or not _is_safetensors(path):
        return {}
    from safetensors import SafetensorError, safe_open

    _check_header(path)
    try:
        with safe_open(path, framework="numpy") as file:
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


def _check_types(state: StateDict, path: Path) -> None:
    """Weights are real numbers; counters (and what is no network's) may be whole ones."""
    for key, tensor in state.items():
        if tensor.is_complex() or str(tensor.dtype) in _PACKED:
            raise CheckpointError(
                f"{path} is not read: {key} is of type {str(tensor.dtype).removeprefix('torch.')}.",
                remedy="Save it as float32 or float16 in the code that wrote the file.",
            )


def _is_safetensors(path: Path) -> bool:
    """Whether it is a safetensors file rather than a torch file.

    Raises:
        CheckpointError: it is neither, empty, not there, or cannot be read.
    """
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise CheckpointError(f"The checkpoint {path} is empty.", remedy="Download or copy it again.")
        kind = file_kind(path)
    except OSError as error:
        raise CheckpointError(
            f"{path} cannot be read: {error.strerror or error}.",
            remedy="Check its permissions and those of its folder.",
        ) from error
    if kind is not None and kind not in (SAFETENSORS, TORCH, CUT_ZIP):
        raise CheckpointError(_of_another_kind(path, kind), remedy=kind.remedy)
    if kind is None and not path.exists():
        raise CheckpointError(f"There is no checkpoint {path}.", remedy="Check the path.")
    if kind is None and path.suffix != ".safetensors":
        raise CheckpointError(f"{path} is not a checkpoint: neither a torch file nor safetensors.", remedy=ARE_READ)
    return kind not in (TORCH, CUT_ZIP)


def _of_another_kind(path: Path, kind: FileKind) -> str:
    if path.is_dir() and kind is not BUNDLE:
        return f"There is no checkpoint {path}: it is {kind.what}."
    if kind in (BUNDLE, TORCHSCRIPT):
        return f"{path} is {kind.what}."
    return f"{path} is not a checkpoint: neither a torch file nor safetensors, but {kind.what}."


def _read_safetensors(path: Path) -> StateDict:
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
        check_count(len(names), path)
        for name in names:
            check_key(name, path)
        state = load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError, AttributeError, TypeError) as error:
        raise _not_whole(path, error) from error
    if not state:
        raise CheckpointError(f"{path} holds no tensors.", remedy="Save net.state_dict() to a file.")
    return state


def _check_header(path: Path) -> None:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    if _LARGEST_HEADER < length <= path.stat().st_size:
        raise CheckpointError(
            f"{path} was refused: its header has {length:,} bytes; at most {_LARGEST_HEADER:,} are accepted.",
            remedy=GET_FROM_ELSEWHERE,
        )


def _not_whole(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(
        f"{path} is not a whole safetensors file: {_first_line(error)}.", remedy="Download or copy it again."
    )


# What the reader of damaged bytes raises: torch's unpickler is written in Python and checks little.
_READING_ERRORS = (
    *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, OSError, EOFError, RuntimeError, MemoryError),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError),
)


def _check_contents(path: Path) -> None:
    """Hold what a torch file says of itself against what is read here.

    Raises:
        CheckpointError: it does not hold tensors by name, or is damaged.
    """
    try:
        contents = torch_contents(path)
    except _READING_ERRORS as error:
        raise _refusal(path, error) from error
    if foreign := foreign_names(contents.names):
        raise _would_execute(path, foreign[0])
    try:
        check_contents(contents, path)
    except MixedEntriesError as error:
        require("torch", extra="torch", purpose="Reading a checkpoint")
        raise mixed(error) from error


def _read_torch(path: Path) -> StateDict:
    import torch

    try:
        with path.open("rb") as file, warnings.catch_warnings():  # by a path, torch would go by the file's name
            warnings.simplefilter("ignore", UserWarning)  # torch warns before it raises; one message is enough
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except _READING_ERRORS as error:
        raise _refusal(path, error) from error
    return dict(flat_entries(loaded, path))


def _would_execute(path: Path, name: str) -> CheckpointError:
    return CheckpointError(
        f"{path} was refused: it holds Python objects ({name[:80]}) and would execute code when loaded the ordinary "
        "way. Only tensors are read.",
        remedy="If you trust its origin, load it in the code that wrote it and save net.state_dict() alone, "
        "or convert it to safetensors there.",
    )


def _refusal(path: Path, error: BaseException) -> CheckpointError:
    """Why a torch file could not be read: what it holds, its format, or that it is damaged."""
    contents = survey(path)
    if contents.foreign_names:
        return _would_execute(path, contents.foreign_names[0])
    if contents.whole and contents.protocol > _LARGEST_PROTOCOL:
        return CheckpointError(
            f"{path} was written with pickle protocol {contents.protocol}, which is not read.",
            remedy="Save it again without pickle_protocol, or as safetensors.",
        )
    if isinstance(error, StrangeContentsError):
        return CheckpointError(f"{path} was refused: {error}.", remedy=GET_FROM_ELSEWHERE)
    return CheckpointError(
        f"{path} cannot be read as a torch checkpoint; it looks truncated or damaged ({_first_line(error)}).",
        remedy="Download or copy it again and compare its size.",
    )


def _first_line(error: BaseException) -> str:
    """An error's first sentence, at most 160 letters of it; its type where it says nothing."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.partition(". ")[0][:160]
