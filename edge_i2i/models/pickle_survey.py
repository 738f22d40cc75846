"""What a pickle names, found by reading its opcodes: nothing is imported, rebuilt or executed."""

from __future__ import annotations

import pickletools
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

# The names that a state dict needs. Any other name is a Python object, which loading would rebuild by running code.
_TENSOR_NAMES = re.compile(
    r"collections\.OrderedDict|torch\.(_utils\._rebuild_\w+|\w*Storage|storage\.\w+Storage|Size|device|b?float\w*|u?int\w*)"
)
_MOST_PICKLES = 5  # a torch file from before 1.6 is that many pickles, then raw numbers

_READING_ERRORS = (
    *(ValueError, OSError, EOFError, RuntimeError, ArithmeticError, MemoryError),
    *(NotImplementedError, zipfile.BadZipFile),
)


@dataclass(frozen=True)
class PickleSurvey:
    """The pickles of one torch file.

    ``foreign_names`` are the Python objects named beside tensors, in order. ``protocol`` is the highest one used.
    ``whole`` says that every pickle reads to its end. ``torchscript`` says that the file is a TorchScript archive.
    """

    foreign_names: tuple[str, ...]
    protocol: int
    whole: bool
    torchscript: bool


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
    except _READING_ERRORS:
        whole = False
    foreign = tuple(name for name in names if not _TENSOR_NAMES.fullmatch(name))
    return PickleSurvey(foreign, protocol, whole, _is_torchscript(path))


def _operations(path: Path) -> Iterator[tuple[str, object]]:
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            for _ in range(_MOST_PICKLES):
                yield from _one_pickle(file)
                if not file.peek(1):
                    return
        return
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if member.endswith("/data.pkl"):
                with archive.open(member) as stream:
                    yield from _one_pickle(stream)


def _one_pickle(stream: IO[bytes]) -> Iterator[tuple[str, object]]:
    """(opcode, argument); every opcode that names an object as GLOBAL with ``module name``."""
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name == "STACK_GLOBAL":  # takes module and name from the stack, where the last two texts are
            yield "GLOBAL", " ".join(texts[-2:])
        elif opcode.name == "INST":
            yield "GLOBAL", argument
        else:
            yield opcode.name, argument
        if isinstance(argument, str):
            texts = [*texts[-1:], argument]


def _is_torchscript(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return any(member.endswith("/constants.pkl") for member in archive.namelist())
    except _READING_ERRORS:
        return False
