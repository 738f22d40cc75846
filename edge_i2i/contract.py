"""The one vocabulary in which every graph declares what goes in and what comes out.

Exporters, the bundle, the translator, the docs and the tests read these declarations and nothing else; none of
them knows a model by name. This module imports neither torch nor numpy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge_i2i.errors import UsageError

LARGEST_SIDE = 16384  # pixels; TensorRT and the Apple Neural Engine both stop here

LARGEST_WEIGHT = 127
"""The largest INT8 weight; processors that add up inexactly are given smaller ones (``Engine.largest_weight``)."""


class Role(StrEnum):
    """What a tensor means to the person who feeds it."""

    FRAME = "frame"
    EXEMPLAR = "exemplar"
    LABEL_MAP = "label_map"
    INSTANCE_MAP = "instance_map"
    MASK = "mask"
    BOXES = "boxes"
    ATTRIBUTES = "attributes"
    STYLE = "style"
    MIX = "mix"
    IMAGE = "image"


PICTURES = frozenset({Role.FRAME, Role.EXEMPLAR, Role.IMAGE})
"""Roles of RGB pictures: uint8 ``[H, W, 3]``."""
ID_MAPS = frozenset({Role.LABEL_MAP, Role.INSTANCE_MAP})
"""Roles of an id a pixel, which somebody has to annotate: no camera gives them."""
MAPS = ID_MAPS | {Role.MASK}
"""Roles of one value a pixel: ``[H, W]``."""


class DType(StrEnum):
    """Element types that cross a graph's border."""

    UINT8 = "uint8"
    INT32 = "int32"
    FLOAT32 = "float32"


class GraphKind(StrEnum):
    """How often a graph runs: once per frame, or once per exemplar / label / noise draw."""

    FRAME = "frame"
    CONDITION = "condition"


@dataclass(frozen=True, order=True)
class Size:
    """Height and width in pixels, written ``HxW`` as in ``512x1024``."""

    height: int
    width: int

    @classmethod
    def parse(cls, text: str) -> Size:
        """Read ``HxW``.

        Raises:
            UsageError: the text is not two positive integers joined by ``x``, or a side is above 16384.

        >>> Size.parse("512x1024")
        Size(height=512, width=1024)
        """
        match = re.fullmatch(r"\s*(\d{1,6})\s*[xX×]\s*(\d{1,6})\s*", text)
        if match is None:
            raise UsageError(f"'{text}' is not a size.", remedy="Write height x width, for example 512x1024.")
        size = cls(int(match[1]), int(match[2]))
        if not (0 < size.height <= LARGEST_SIDE and 0 < size.width <= LARGEST_SIDE):
            raise UsageError(
                f"The size {size} is out of range.", remedy=f"Each side must be between 1 and {LARGEST_SIDE} pixels."
            )
        return size

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


@dataclass(frozen=True)
class SizeRule:
    """Which sizes a network can take: both sides multiples of ``multiple`` and at least ``minimum``."""

    multiple: int
    minimum: int

    def check(self, size: Size) -> None:
        """Accept ``size`` or refuse it with the nearest two sizes that fit.

        Raises:
            UsageError: the size does not fit the network.
        """
        if not all(side % self.multiple == 0 and side >= self.minimum for side in (size.height, size.width)):
            below, above = self.neighbours(size)
            nearest = f"{below} or {above}" if below != above else f"{above}"
            raise UsageError(
                f"This network cannot take {size}: both sides must be multiples of {self.multiple} "
                f"and at least {self.minimum}.",
                remedy=f"The nearest sizes that it can take: {nearest}.",
            )

    def neighbours(self, size: Size) -> tuple[Size, Size]:
        """The nearest sizes below and above that the network can take; both are ``size`` where it fits.

        >>> SizeRule(32, 64).neighbours(Size(720, 1280))
        (Size(height=704, width=1280), Size(height=736, width=1280))
        """

        def down(side: int) -> int:
            return max(self.minimum, side // self.multiple * self.multiple)

        def up(side: int) -> int:
            return max(self.minimum, -(-side // self.multiple) * self.multiple)

        return Size(down(size.height), down(size.width)), Size(up(size.height), up(size.width))


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph, as the outside world sees it.

    Pictures (``frame``, ``exemplar``, ``image``) are uint8 ``[H, W, 3]`` RGB; a ``mask`` is uint8 ``[H, W]``, 0 outside
    and 255 inside; ``boxes`` are float32 ``[K, 4]``: left, top, right, bottom in pixels of the graph's size, unused
    rows zero; ``attributes`` are float32 ``[N]``; ``mix`` is float32 ``[1]``. ``low`` and ``high`` bound the legal
    values, both included. A name means the same tensor in every graph of a network.

    ``slots``, where given, says that ids are renumbered densely to ``0..slots-1`` by whoever feeds the graph (an
    instance map may carry any ids, the graph only pools over slots). ``labels`` name the entries of a vector.
    ``drawn`` says that the tensor may be drawn from N(0, 1), ``mixable`` that values between two of it are looks too.
    ``second_of`` names the tensor whose other end this one is: a ``mix`` input leads from the one to the other.
    ``stack_of`` names the tensor of which every row of this one is a value. Where nothing is given, the tensor takes
    after the one that ``second_of``, ``stack_of`` or ``fallback`` names, or is filled with ``default``; without any of
    these it must be given (or computed by a condition graph).
    """

    name: str
    role: Role
    shape: tuple[int, ...]
    dtype: DType
    low: float
    high: float
    meaning: str
    slots: int | None = None
    labels: tuple[str, ...] = ()
    drawn: bool = False
    mixable: bool = False
    second_of: str | None = None
    stack_of: str | None = None
    fallback: str | None = None
    default: float | None = None

    @property
    def is_picture(self) -> bool:
        """Whether it is an RGB picture, uint8 ``[H, W, 3]``."""
        return self.role in PICTURES

    @property
    def is_spatial(self) -> bool:
        """Whether it has one value, or one colour, a pixel."""
        return self.is_picture or self.role in MAPS


@dataclass(frozen=True)
class GraphDeclaration:
    """A graph's name, when it runs, and its inputs and outputs in call order."""

    name: str
    kind: GraphKind
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def size(self) -> Size:
        """The picture size that the graph was made for (from its first spatial input).

        Raises:
            ValueError: the graph takes no picture and no map.
        """
        for spec in self.inputs:
            if spec.is_spatial:
                return Size(*spec.shape[:2])
        raise ValueError(f"the graph '{self.name}' takes no picture")

    def input(self, role: Role) -> TensorSpec | None:
        """The first input of that role, or None."""
        return next((spec for spec in self.inputs if spec.role is role), None)


def in_order(graphs: Sequence[GraphDeclaration]) -> list[GraphDeclaration]:
    """Condition graphs, each after those that compute its inputs, then the frame graph."""
    waiting = [graph for graph in graphs if graph.kind is GraphKind.CONDITION]
    ordered: list[GraphDeclaration] = []
    while waiting:
        pending = {spec.name for graph in waiting for spec in graph.outputs}
        ready = [graph for graph in waiting if not pending & {spec.name for spec in graph.inputs}]
        if not ready:
            raise ValueError(f"the graphs {', '.join(graph.name for graph in waiting)} wait for each other")
        ordered += ready
        waiting = [graph for graph in waiting if graph not in ready]
    return [*ordered, *(graph for graph in graphs if graph.kind is GraphKind.FRAME)]


def attributes_spec(
    name: str, labels: tuple[str, ...], meaning: str, default: float | None = None, fallback: str | None = None
) -> TensorSpec:
    """The declaration of a vector of named attributes: float32 ``[N]``, each 0 (absent) to 1 (present).

    Args:
        name: the tensor's name, the same in every graph of a network.
        labels: the attributes' names, in the order of the vector.
        meaning: what the vector says, in a few words for people.
        default: the value of attributes that are not given; None: there is no such value.
        fallback: the name of the vector from which attributes that are not given are taken; None: from none.
    """
    shape, role = (len(labels),), Role.ATTRIBUTES
    return TensorSpec(
        name, role, shape, DType.FLOAT32, 0, 1, meaning, labels=labels, default=default, fallback=fallback
    )


def picture_spec(name: str, role: Role, size: Size, meaning: str) -> TensorSpec:
    """The declaration of an RGB picture: uint8 ``[H, W, 3]``, 0..255.

    Args:
        name: the tensor's name, the same in every graph of a network.
        role: one of ``PICTURES``.
        size: height and width in pixels.
        meaning: what the picture shows, in a few words for people.
    """
    return TensorSpec(name, role, (size.height, size.width, 3), DType.UINT8, 0, 255, meaning)
