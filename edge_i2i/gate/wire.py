"""Protocol-buffer messages, read strictly and without copying what they hold.

Engines parse ONNX files with parsers of their own, which skip what they do not know, let the last of two values count
and cut numbers that are too long. What is checked here has to be what they read, so there is one reading or none: a
field that is not in the schema, a singular field that is there twice, a number in more bytes than it needs and text
that is no UTF-8 are faults.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

_VARINT, _FIXED32, _BYTES = 0, 5, 2
_LONGEST_VARINT = 10


class WireError(ValueError):
    """The bytes are no message of this schema, or not in its plain form."""


class Kind(Enum):
    """What a field holds. ``WHOLES`` and ``FLOATS`` are lists of numbers, packed or one by one."""

    WHOLE = auto()
    FLOAT = auto()
    TEXT = auto()
    BYTES = auto()
    MESSAGE = auto()
    WHOLES = auto()
    FLOATS = auto()


_WIRE = {Kind.WHOLE: _VARINT, Kind.WHOLES: _VARINT, Kind.FLOAT: _FIXED32, Kind.FLOATS: _FIXED32}


@dataclass(frozen=True)
class Field:
    """One field of a message.

    ``many``: it may be there more than once; ``fields``: of the message that it holds; ``refused``: why a message that
    has this field is not taken (it is then not read).
    """

    name: str
    kind: Kind
    many: bool = False
    fields: Mapping[int, Field] | None = None
    refused: str = ""


@dataclass
class Budget:
    """How many fields may still be read: a small file can hold a great many of them."""

    fields: int

    def take(self, count: int = 1) -> None:
        """Take ``count`` fields off what may still be read.

        Raises:
            WireError: fewer than that were left.
        """
        self.fields -= count
        if self.fields < 0:
            raise WireError("it has more parts than a graph needs")


def read_message(data: memoryview, fields: Mapping[int, Field], budget: Budget) -> dict[str, Any]:
    """The fields of a message by name; what is absent has no entry. Bytes are views of ``data``.

    Args:
        data: the message's bytes, whole.
        fields: the schema: the fields that it may have, by their numbers.
        budget: how many fields may still be read; what this message has is taken off.

    Raises:
        WireError: it is not a message of these fields in its plain form.
    """
    found: dict[str, Any] = {}
    at = 0
    while at < len(data):
        budget.take()
        tag, at = _varint(data, at)
        field = fields.get(tag >> 3)
        if field is None:
            raise WireError(f"it has a part that is not allowed (field {tag >> 3})")
        if field.refused:
            raise WireError(field.refused)
        at = _read_field(data, at, tag & 7, field, found, budget)
    return found


def _read_field(data: memoryview, at: int, wire: int, field: Field, found: dict[str, Any], budget: Budget) -> int:
    if field.kind in (Kind.WHOLES, Kind.FLOATS):
        numbers, at = _numbers(data, at, wire, field, budget)
        found.setdefault(field.name, []).append(numbers)
        return at
    if wire != _WIRE.get(field.kind, _BYTES):
        raise WireError(f"its field '{field.name}' is of another kind")
    value, at = _value(data, at, field, budget)
    if field.many:
        found.setdefault(field.name, []).append(value)
    elif field.name in found:
        raise WireError(f"its field '{field.name}' is there twice")
    else:
        found[field.name] = value
    return at


def _value(data: memoryview, at: int, field: Field, budget: Budget) -> tuple[Any, int]:
    if field.kind is Kind.WHOLE:
        number, at = _varint(data, at)
        return _signed(number), at
    if field.kind is Kind.FLOAT:
        return struct.unpack("<f", _part(data, at, 4))[0], at + 4
    size, at = _varint(data, at)
    part = _part(data, at, size)
    if field.fields is not None:
        return read_message(part, field.fields, budget), at + size
    return (_text(part, field.name) if field.kind is Kind.TEXT else part), at + size


def _numbers(data: memoryview, at: int, wire: int, field: Field, budget: Budget) -> tuple[memoryview | bytes, int]:
    """One run of numbers as they lie there: packed into one field, or one of them."""
    if wire == _BYTES:
        size, at = _varint(data, at)
        return _part(data, at, size), at + size
    if wire != _WIRE.get(field.kind, _BYTES):
        raise WireError(f"its field '{field.name}' is of another kind")
    end = at + 4 if field.kind is Kind.FLOATS else _varint(data, at)[1]
    return _part(data, at, end - at), end


def decode_wholes(runs: list[memoryview], budget: Budget) -> list[int]:
    """The numbers of a ``WHOLES`` field.

    Raises:
        WireError: they are not in their plain form, or too many.
    """
    numbers = []
    for run in runs:
        at = 0
        while at < len(run):
            budget.take()
            number, at = _varint(run, at)
            numbers.append(_signed(number))
    return numbers


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    number = shift = 0
    # Seven bits a byte, the lowest first; the highest bit of a byte says that another one follows.
    for place in range(at, min(len(data), at + _LONGEST_VARINT)):
        byte = data[place]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            if (not byte and shift) or number >= 1 << 64:
                raise WireError("a number in it is longer than it needs to be")
            return number, place + 1
        shift += 7
    raise WireError("it is cut short, or a number in it has no end")


def _signed(number: int) -> int:
    return number - (1 << 64) if number >= 1 << 63 else number


def _part(data: memoryview, at: int, size: int) -> memoryview:
    if size > len(data) - at:
        raise WireError("it is cut short")
    return data[at : at + size]


def _text(part: memoryview, name: str) -> str:
    try:
        return str(part, "utf-8")
    except UnicodeDecodeError:
        raise WireError(f"its field '{name}' is not text") from None
