"""What is known of every value before a graph runs, and how a rule reads a node."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.gate.onnx_file import Node

FLOATS = frozenset({"float32", "float16"})
WHOLES = frozenset({"int32", "int64"})
NUMBERS = FLOATS | WHOLES
BYTES = frozenset({"uint8", "int8"})
ANY = NUMBERS | BYTES | {"bool"}


class RuleError(ValueError):
    """A node does not do what its operator may; the text says what, without naming the node."""


@dataclass(frozen=True)
class Fact:
    """A value's type and shape; ``known``: its numbers, where they are in the file."""

    dtype: str
    shape: tuple[int, ...]
    known: Array | None = None

    @property
    def size(self) -> int:
        """How many numbers the value has."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """How much memory the value takes, in bytes."""
        return self.size * np.dtype(self.dtype).itemsize


@dataclass(frozen=True)
class Given:
    """A node and what is known of its inputs (None: left out)."""

    node: Node
    inputs: tuple[Fact | None, ...]

    def input(self, index: int, dtypes: frozenset[str] = ANY) -> Fact:
        """An input that has to be there, of one of these types, with at least one number."""
        fact = self._present(index, dtypes)
        if not fact.size:
            raise RuleError(f"reads nothing as its input {index}")
        return fact

    def _present(self, index: int, dtypes: frozenset[str]) -> Fact:
        fact = self.optional(index, dtypes)
        if fact is None:
            raise RuleError(f"lacks its input {index}")
        return fact

    def optional(self, index: int, dtypes: frozenset[str] = ANY) -> Fact | None:
        """An input of one of these types that may be left out; None: it is."""
        fact = self.inputs[index] if index < len(self.inputs) else None
        if fact is not None and fact.dtype not in dtypes:
            raise RuleError(f"reads {fact.dtype} as its input {index}")
        return fact

    def same(self, count: int | None, dtypes: frozenset[str]) -> list[Fact]:
        """The first ``count`` inputs (None: all), which have to be of one type out of these."""
        facts = [self.input(index, dtypes) for index in range(len(self.inputs) if count is None else count)]
        if len({fact.dtype for fact in facts}) != 1:
            raise RuleError("reads inputs of different types")
        return facts

    def known(self, index: int, most: int = 64) -> list[int]:
        """Whole numbers of a 1-D input (or a single one) that have to be in the file.

        What a graph computes itself could be anything once it runs, and engines do not look.
        """
        fact = self._present(index, WHOLES)
        if fact.known is None:
            raise RuleError(f"computes its input {index}, which has to be written in the file")
        if len(fact.shape) > 1 or fact.size > most:
            raise RuleError(f"has too many numbers as its input {index}")
        return [int(number) for number in fact.known.reshape(-1)]

    def given(self, index: int) -> bool:
        """Whether the input number ``index`` is there."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def filled(self, index: int) -> bool:
        """Whether an input is there and holds anything: some may be left out by being empty."""
        fact = self.optional(index)
        return fact is not None and fact.size > 0

    def whole(self, name: str, default: int, allowed: Sequence[int] | None = None) -> int:
        """An attribute that is a whole number.

        Args:
            name: the attribute's.
            default: its value where the node does not say.
            allowed: the values that it may have; None: any.
        """
        attribute = self.node.attributes.get(name)
        value = default if attribute is None else int(attribute.value)
        if allowed is not None and value not in allowed:
            raise RuleError(f"has {name} = {value}")
        return value

    def wholes(self, name: str, count: int, default: int, low: int = 0, high: int = 1 << 16) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers.

        Args:
            name: the attribute's.
            count: how many numbers it has to have.
            default: the value of each where the node does not say.
            low: the least that each may be.
            high: the greatest that each may be.
        """
        attribute = self.node.attributes.get(name)
        values = (default,) * count if attribute is None else tuple(attribute.value)
        if len(values) != count or not all(low <= value <= high for value in values):
            raise RuleError(f"has {name} = {list(values[:8])}")
        return values

    def text(self, name: str, default: str) -> str:
        """The text attribute ``name``; ``default`` where the node does not say."""
        attribute = self.node.attributes.get(name)
        return default if attribute is None else str(attribute.value)

    def axis(self, rank: int, default: int = 0, name: str = "axis") -> int:
        """An attribute that is an axis of a value, counted from the front.

        Args:
            rank: how many axes the value has that the attribute speaks of.
            default: the axis where the node does not say.
            name: the attribute's.
        """
        return an_axis(self.whole(name, default), rank)


@dataclass(frozen=True)
class Outcome:
    """What the rule of an operator says that a node gives.

    ``work``: multiplications and additions beyond one a number that it writes. ``scratch``: bytes that engines need
    besides while it runs.
    """

    outputs: tuple[Fact, ...]
    work: int = 0
    scratch: int = 0


Rule = Callable[[Given], Outcome]
Rules = Mapping[str, Rule]


def gives(dtype: str, shape: Sequence[int], work: int = 0) -> Outcome:
    """The outcome of a node with one output.

    Args:
        dtype: numpy's name of the output's type.
        shape: the output's sides.
        work: multiplications and additions beyond one a number that it writes.
    """
    return Outcome((Fact(dtype, tuple(shape)),), work)


def an_axis(axis: int, rank: int) -> int:
    """An axis counted from the front.

    Raises:
        RuleError: a value of that rank has no such axis.
    """
    if not -rank <= axis < rank:
        raise RuleError(f"has the axis {axis} of a value with {rank} axes")
    return axis % rank


def axes_of(numbers: Sequence[int], rank: int) -> list[int]:
    """Several axes of a value of that rank, counted from the front.

    Raises:
        RuleError: an axis does not exist, or is named twice.
    """
    axes = [an_axis(number, rank) for number in numbers]
    if len(set(axes)) != len(axes):
        raise RuleError("names an axis twice")
    return axes


def broadcast(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that values of these shapes stretch to where an operator joins them.

    Raises:
        RuleError: two of them differ in an axis where neither is 1.
    """
    rank = max(map(len, shapes))
    wide = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sides = []
    for column in zip(*wide, strict=True):
        longer = {side for side in column if side != 1}
        if len(longer) > 1:
            raise RuleError(f"joins shapes that do not fit: {', '.join(str(list(shape)) for shape in shapes)}")
        sides.append(longer.pop() if longer else 1)
    return tuple(sides)
