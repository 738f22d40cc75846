"""Reading the checkpoints that TensorFlow's ``Saver`` writes: a ``PREFIX.index`` file and its ``PREFIX.data-…`` shards.

TensorFlow itself reads them, and is imported only then: it is the optional extra ``tensorflow``. Nothing in such a
file is executed (the graph in ``PREFIX.meta`` is not opened).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from edge_i2i.errors import CheckpointError
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from torch import Tensor

    from edge_i2i.models.weights import StateDict

_PART = re.compile(r"\.(index|meta|data-\d{5}-of-\d{5})$")
_SHARD = re.compile(r"\.data-(\d{5})-of-(\d{5})$")
_POINTER = "checkpoint"
_POINTER_ENTRY = re.compile(rb'^model_checkpoint_path:\s*"([^"\n]+)"', re.MULTILINE)
_LARGEST_POINTER = 65536  # bytes; the Saver's list of its last few checkpoints is far smaller
_COPY_AGAIN = "Download or copy both files again and compare their sizes."

# Read while TensorFlow is imported: its own start-up lines would land in the middle of ours.
_QUIET: Mapping[str, str] = MappingProxyType({"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0"})


def is_tensorflow_checkpoint(path: Path) -> bool:
    """Whether ``path`` names a TensorFlow checkpoint, whole or not: names decide, nothing is read but the text file.

    It may be the ``.index`` file, a ``.data-00000-of-00001`` file, the ``.meta`` file, the bare prefix that these
    share, the text file ``checkpoint`` that the Saver writes beside them, or the folder that holds it.
    """
    return _find_prefix(path) is not None


def tensorflow_prefix(path: Path) -> Path:
    """The prefix that the files of a checkpoint share.

    Raises:
        CheckpointError: ``path`` names no TensorFlow checkpoint.
    """
    prefix = _find_prefix(path)
    if prefix is None:
        raise CheckpointError(
            f"There is no TensorFlow checkpoint {path}.",
            remedy="Give the path of the .index file; the .data-00000-of-00001 file belongs beside it.",
        )
    return prefix


def tensorflow_files(path: Path) -> tuple[Path, ...]:
    """The files that hold a checkpoint's weights: the ``.index`` file, then the shards in order.

    Raises:
        CheckpointError: one of them is missing or empty, or ``path`` names no TensorFlow checkpoint.
    """
    prefix = tensorflow_prefix(path)
    files = (prefix.with_name(f"{prefix.name}.index"), *_shards(prefix))
    for file in files:
        if not file.is_file():
            raise CheckpointError(
                f"The TensorFlow checkpoint {prefix} is not whole: {file.name} is missing.",
                remedy=f"Copy {file.name} into {file.parent} too: the weights are in the .data files, and the .index "
                "file says where.",
            )
        if file.stat().st_size == 0:
            raise CheckpointError(f"{file} is empty.", remedy=_COPY_AGAIN)
    return files


def read_tensorflow_checkpoint(path: Path) -> StateDict:
    """Read every numeric variable: its name → a tensor in TensorFlow's layout (see ``tensorflow_layout``).

    Floating types become float32, integer types int64; texts, truth values and complex numbers are left out.
    Optimizer slots (``…/Adam``) are still in there.

    Raises:
        CheckpointError: a file is missing, empty, truncated or damaged, or holds no numeric variables.
        MissingRequirementError: TensorFlow is not installed.
    """
    prefix = tensorflow_prefix(path)
    tensorflow_files(path)
    tf = _import_tensorflow()
    # A damaged checkpoint surfaces as any of these, by which part of TensorFlow's reader stumbles over it.
    damage = (tf.errors.OpError, IndexError, ValueError, RuntimeError, UnicodeDecodeError, MemoryError)
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        _check_sizes(reader, prefix)
        state = _read_variables(reader)
    except damage as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
        raise CheckpointError(
            f"{prefix} cannot be read as a TensorFlow checkpoint; it looks truncated or damaged ({reason}).",
            remedy=_COPY_AGAIN,
        ) from error
    if not state:
        raise CheckpointError(
            f"The TensorFlow checkpoint {prefix} holds no numeric variables.",
            remedy="Give the checkpoint that the training's Saver wrote.",
        )
    return state


def _find_prefix(path: Path) -> Path | None:
    if path.is_dir():
        path = path / _POINTER
    if path.name == _POINTER and path.is_file():
        return _pointed_at(path)
    prefix = path.with_name(_PART.sub("", path.name)) if path.name else path
    if prefix == path and (path.is_file() or not path.name):
        return None  # a file of another kind
    present = path.is_file() or _index(prefix).is_file() or _present_shards(prefix)
    return prefix if present else None


def _pointed_at(pointer: Path) -> Path | None:
    """The newest checkpoint that the Saver's text file names; looked for beside it, for the path is the trainer's."""
    if pointer.stat().st_size > _LARGEST_POINTER:
        return None
    entry = _POINTER_ENTRY.search(pointer.read_bytes())
    if entry is None:
        return None
    return pointer.with_name(re.split(r"[/\\]", entry[1].decode("utf-8", "replace"))[-1])


def _index(prefix: Path) -> Path:
    return prefix.with_name(f"{prefix.name}.index")


def _present_shards(prefix: Path) -> list[Path]:
    if not prefix.parent.is_dir():
        return []
    beside = (file for file in prefix.parent.iterdir() if file.name.startswith(f"{prefix.name}.data-"))
    return sorted(file for file in beside if _SHARD.fullmatch(file.name.removeprefix(prefix.name)))


def _shards(prefix: Path) -> list[Path]:
    """Every shard that there has to be, going by the names of those that are there."""
    numbered = [match for file in _present_shards(prefix) if (match := _SHARD.search(file.name))]
    count = int(numbered[0][2]) if numbered else 1
    return [prefix.with_name(f"{prefix.name}.data-{i:05d}-of-{count:05d}") for i in range(count)]


def _import_tensorflow() -> Any:
    with _environment(_QUIET):
        return require("tensorflow", extra="tensorflow", purpose="Reading a TensorFlow checkpoint")


@contextmanager
def _environment(defaults: Mapping[str, str]) -> Iterator[None]:
    """Set the variables that the user has not set, for as long as the block runs."""
    added = [name for name in defaults if name not in os.environ]
    os.environ.update({name: defaults[name] for name in added})
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _check_sizes(reader: Any, prefix: Path) -> None:
    """Refuse an index that names more values than its shards hold, which reading would allocate all the same.

    Raises:
        CheckpointError: the shards are too short for what the index says.
    """
    types, room = reader.get_variable_to_dtype_map(), sum(file.stat().st_size for file in _shards(prefix))
    for name, shape in reader.get_variable_to_shape_map().items():
        room -= math.prod(shape) * max(types[name].size, 0)
        if room < 0:
            raise CheckpointError(
                f"The TensorFlow checkpoint {prefix} looks truncated or damaged: it says that it holds more than is in "
                f"its files ({name[:80]}, {'x'.join(str(side) for side in shape[:8])}).",
                remedy=_COPY_AGAIN,
            )


def _read_variables(reader: Any) -> dict[str, Tensor]:
    import numpy as np
    import torch

    state = {}
    for name, dtype in sorted(reader.get_variable_to_dtype_map().items()):
        if dtype.is_floating or dtype.is_integer:
            kind = np.float32 if dtype.is_floating else np.int64
            state[name] = torch.from_numpy(np.array(reader.get_tensor(name), dtype=kind))
    return state
