"""What a pickle names, found by reading its opcodes: nothing is imported, rebuilt or executed."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from edge_i2i.files.zip_directory import opened_zip

# The names that a state dict needs. Any other name is a Python object, which loading would rebuild by running code.
_TENSOR_NAMES = re.compile(
    r"collections\.OrderedDict|torch\.(_utils\._rebuild_\w+|_tensor\._rebuild_from_type_v2|nn\.parameter\.Parameter"
    r"|(cuda\.)?\w*Storage|storage\.\w+Storage|Tensor|Size|device|b?float\w*|u?int\w*|complex\w*|bool"
    r"|serialization\._get_layout|per_\w+|qu?int\w*)"
    r"|(collections\.Counter|(builtins|__builtin__)\.(set|complex|bytearray))"
)
LEGACY_PICKLES = 5  # a torch file from before 1.6 is that many pickles, then raw numbers
DATA_PICKLE = "data.pkl"
_LARGEST_PICKLE = 1 << 25  # bytes, tensors aside; a network's names and shapes take some hundred kilobytes
_MOST_OPERATIONS = 500_000  # some fifty a tensor

READING_ERRORS = (
    *(ValueError, OSError, EOFError, RuntimeError, ArithmeticError, MemoryError, LookupError),
    *(NotImplementedError, zipfile.BadZipFile),
)


class BoundedStream:
    """A stream that gives up where a pickle asks for more bytes than a state dict's has."""

    def __init__(self, stream: IO[bytes], limit: int = _LARGEST_PICKLE) -> None:
        self._stream, self._left = stream, limit

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes.

        Raises:
            ValueError: the limit is reached.
        """
        if not 0 <= size <= self._left:
            raise ValueError("its pickle is larger than that of any state dict")
        data = self._stream.read(size)
        self._left -= len(data)
        return data

    def readline(self) -> bytes:
        """Up to the end of the line.

        Raises:
            ValueError: the limit is reached.
        """
        line = self._stream.readline(self._left + 1)
        self._left -= len(line)
        if self._left < 0:
            raise ValueError("its pickle is larger than that of any state dict")
        return line


@dataclass(frozen=True)
class PickleSurvey:
    """The pickles of one torch file.

    ``foreign_names`` are the Python objects named beside tensors, in order. ``protocol`` is the highest one used.
    ``whole`` says that every pickle reads to its end.
    """

    foreign_names: tuple[str, ...]
    protocol: int
    whole: bool


def survey(path: Path) -> PickleSurvey:
    """Look through a torch file of either format, damaged or not."""
    names: list[str] = []
    protocol, whole = 0, True
    try:
        for operation, argument in _operations(path):
            if operation == "PROTO":
                protocol = max(protocol, int(str(argument)))
            elif operation == "GLOBAL":
                names.append(str(argument).replace(" ", "."))
    except READING_ERRORS:
        whole = False
    return PickleSurvey(foreign_names(names), protocol, whole)


def foreign_names(names: Iterable[str]) -> tuple[str, ...]:
    """Those among the names in a pickle that are Python objects beside tensors, in order."""
    return tuple(name for name in names if not _TENSOR_NAMES.fullmatch(name))


def _operations(path: Path) -> Iterator[tuple[str, object]]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"PK"
    if not zipped:
        with path.open("rb") as file:
            stream = BoundedStream(file)
            for _ in range(LEGACY_PICKLES):
                yield from one_pickle(stream)
                if not file.peek(1):
                    return
        return
    with opened_zip(path) as archive:
        for member in archive.namelist():
            if member.endswith(f"/{DATA_PICKLE}"):
                with archive.open(member) as record:
                    yield from one_pickle(BoundedStream(record))


def one_pickle(stream: BoundedStream) -> Iterator[tuple[str, object]]:
    """(opcode, argument) to the pickle's end; every opcode that names an object as GLOBAL with ``module name``.

    Raises:
        ValueError: it is damaged, or larger than any state dict's.
    """
    texts: list[str] = []
    for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):  # type: ignore[arg-type]
        if count > _MOST_OPERATIONS:
            raise ValueError("its pickle is longer than that of any state dict")
        if opcode.name == "STACK_GLOBAL":  # takes module and name from the stack, where the last two texts are
            yield "GLOBAL", " ".join(texts[-2:])
        elif opcode.name == "INST":
            yield "GLOBAL", argument
        else:
            yield opcode.name, argument
        if isinstance(argument, str):
            texts = [*texts[-1:], argument]
