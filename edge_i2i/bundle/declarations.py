"""Whether the declarations of a bundle's graphs make sense, each for itself and together.

Whoever made a bundle signed its checksums, so a manifest can say anything: pictures with no sides, styles that stand in
for each other in a circle, tensors of terabytes. What is built on declarations believes them; so they are checked here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from edge_i2i.contract import (
    ID_MAPS,
    LARGEST_SIDE,
    MAPS,
    PICTURES,
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    TensorSpec,
    in_order,
)

MOST_GRAPHS = 64
MOST_TENSORS = 256  # of one graph
LARGEST_TENSOR = 1 << 28  # numbers, of what is no picture and no map
ANY_SIDE = -1  # a named dynamic axis

_IDS = frozenset({DType.UINT8, DType.INT32})
_DTYPES: Mapping[Role, frozenset[DType]] = MappingProxyType(
    {
        **dict.fromkeys(PICTURES | {Role.MASK}, frozenset({DType.UINT8})),
        **dict.fromkeys(ID_MAPS, _IDS),
        **dict.fromkeys((Role.BOXES, Role.ATTRIBUTES, Role.STYLE, Role.MIX), frozenset({DType.FLOAT32})),
    }
)
_RANKS: Mapping[Role, int] = MappingProxyType(
    {**dict.fromkeys(PICTURES, 3), **dict.fromkeys(MAPS, 2), Role.BOXES: 2, Role.ATTRIBUTES: 1, Role.MIX: 1}
)


def check_declarations(graphs: Sequence[GraphDeclaration], size: Size) -> None:
    """Accept the graphs of a bundle that was made for pictures of ``size``.

    Raises:
        ValueError: says of which tensor or graph what cannot be.
    """
    if len(graphs) > MOST_GRAPHS:
        raise ValueError(f"a bundle has at most {MOST_GRAPHS} graphs, not {len(graphs)}")
    for graph in graphs:
        _check_graph(graph)
    known: dict[str, TensorSpec] = {}
    for spec in (spec for graph in graphs for spec in (*graph.inputs, *graph.outputs)):
        _check_spec(spec)
        other = known.setdefault(spec.name, spec)
        if (other.shape, other.dtype, other.role) != (spec.shape, spec.dtype, spec.role):
            raise ValueError(f"the tensor '{spec.name}' is declared in two ways")
    _check_references(graphs, known)
    in_order(graphs)
    frame = next(graph for graph in graphs if graph.kind is GraphKind.FRAME)
    _check_frame_graph(frame, size)


def _check_graph(graph: GraphDeclaration) -> None:
    for kind, specs in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        names = [spec.name for spec in specs]
        if not 1 <= len(names) <= MOST_TENSORS or len(set(names)) != len(names):
            raise ValueError(f"the graph '{graph.name}' has no {kind}, too many, or one twice")
    if {spec.name for spec in graph.inputs} & {spec.name for spec in graph.outputs}:
        raise ValueError(f"the graph '{graph.name}' gives what it takes")


def _check_frame_graph(graph: GraphDeclaration, size: Size) -> None:
    """One picture comes out, and all that goes in with the frame has its size."""
    if [spec.role for spec in graph.outputs] != [Role.IMAGE]:
        raise ValueError(f"the graph '{graph.name}' has to give one picture")
    per_frame = [spec for spec in graph.inputs if spec.role in MAPS | {Role.FRAME}]
    if graph.inputs[0] not in per_frame:
        raise ValueError(f"the graph '{graph.name}' takes no frame first")
    for spec in (*per_frame, *graph.outputs):
        if ANY_SIDE not in spec.shape[:2] and Size(*spec.shape[:2]) != size:
            raise ValueError(f"'{spec.name}' has another size than the bundle, which is for {size}")


def _check_spec(spec: TensorSpec) -> None:
    if spec.dtype not in _DTYPES[spec.role] or len(spec.shape) != _RANKS.get(spec.role, len(spec.shape)):
        raise ValueError(f"'{spec.name}' cannot be a {spec.role.value} as {spec.dtype.value}{list(spec.shape)}")
    _check_sides(spec)
    if not spec.low <= spec.high:
        raise ValueError(f"'{spec.name}' reaches from {spec.low:g} to {spec.high:g}")
    if spec.default is not None and not (math.isfinite(spec.default) and spec.low <= spec.default <= spec.high):
        raise ValueError(f"'{spec.name}' has a default that is out of its range")
    if spec.slots is not None and not (spec.role is Role.INSTANCE_MAP and 1 <= spec.slots <= LARGEST_SIDE):
        raise ValueError(f"'{spec.name}' cannot have {spec.slots} slots")
    if (spec.labels or spec.role is Role.ATTRIBUTES) and (len(spec.labels),) != spec.shape:
        raise ValueError(f"'{spec.name}' has {len(spec.labels)} labels for the shape {list(spec.shape)}")
    if len({label.casefold() for label in spec.labels}) != len(spec.labels):
        raise ValueError(f"'{spec.name}' has a label twice")
    if (spec.drawn or spec.mixable) and spec.role is not Role.STYLE:
        raise ValueError(f"'{spec.name}' is no style and cannot be drawn or mixed")


def _check_sides(spec: TensorSpec) -> None:
    largest = LARGEST_SIDE if spec.is_spatial else LARGEST_TENSOR
    fixed = [side for side in spec.shape if side != ANY_SIDE]
    if not all(1 <= side <= largest for side in fixed):
        raise ValueError(f"'{spec.name}' cannot have the shape {list(spec.shape)}")
    if spec.is_picture and spec.shape[2] != 3:
        raise ValueError(f"'{spec.name}' is a picture and has to have three colours")
    last = {Role.BOXES: 4, Role.MIX: 1}.get(spec.role)
    if last is not None and spec.shape[-1] != last:
        raise ValueError(f"'{spec.name}' is a {spec.role.value} and cannot have the shape {list(spec.shape)}")
    if not spec.is_spatial and math.prod(fixed) > LARGEST_TENSOR:
        raise ValueError(f"'{spec.name}' would hold {math.prod(fixed):,} numbers")


def _check_references(graphs: Sequence[GraphDeclaration], known: Mapping[str, TensorSpec]) -> None:
    """What a tensor takes after is there, fits it, may be set once, and does not lead back to itself."""
    for spec in (spec for graph in graphs for spec in (*graph.inputs, *graph.outputs)):
        for name, fits in _origins(spec):
            origin = known.get(name)
            if origin is None or origin.role is not spec.role or not fits(origin.shape, spec.shape):
                raise ValueError(f"'{spec.name}' cannot take after '{name}'")
        seen, at = {spec.name}, spec
        while (next_name := _first_origin(at)) is not None:
            if next_name in seen:
                raise ValueError(f"'{spec.name}' takes after itself")
            seen.add(next_name)
            at = known[next_name]


def _origins(spec: TensorSpec) -> list[tuple[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]]]:
    same = [name for name in (spec.second_of, spec.fallback) if name is not None]
    rows = [] if spec.stack_of is None else [spec.stack_of]
    return [*((name, _equal) for name in same), *((name, _is_row) for name in rows)]


def _equal(origin: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return origin == shape


def _is_row(origin: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    return origin == shape[1:]


def _first_origin(spec: TensorSpec) -> str | None:
    """The name of the tensor that this one takes after; of several, a second end comes first, then a stack."""
    return spec.second_of or spec.stack_of or spec.fallback
