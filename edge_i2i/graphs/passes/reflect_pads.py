"""Reflection pads as slices and concatenations."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge_i2i.errors import GraphError
from edge_i2i.graphs.passes.rewriting import (
    constant,
    graph_of,
    insert,
    integers,
    optional,
    pad_amounts,
    remove_unused,
    replace,
    required,
    static_shape,
)


def reflect_pad_as_slices(model: ir.Model) -> int:
    """Replace every reflection pad by slices and concatenations: for targets whose Pad lacks reflection.

    Raises:
        GraphError: a pad's amounts are computed, negative, or more than there are rows to reflect.
    """
    pads = [
        node for node in model.graph if node.op_type == "Pad" and node.attributes.get_string("mode", "") == "reflect"
    ]
    for node in pads:
        _replace_pad(node)
    remove_unused(model)
    return len(pads)


def _replace_pad(node: ir.Node) -> None:
    source = required(node, 0)
    value = source
    for axis, (before, after) in enumerate(_reflections(node)):
        if before or after:
            value = _reflect_axis(node, value, axis, before, after)
    if value is source:
        value = insert(node, "Identity", [source], _shape(source))
    replace(node, [value])


def _reflections(node: ir.Node) -> list[tuple[int, int]]:
    """How many rows a reflection pad mirrors before and after every axis."""
    shape, found = _shape(required(node, 0)), pad_amounts(node)
    if found is None:
        computed = required(node, 1) if constant(required(node, 1)) is None else optional(node, 3)
        name = "" if computed is None else f" '{computed.name}'"
        raise GraphError(f"A Pad's amounts{name} are computed, not constant: they cannot become slices.")
    for rows, side in zip(found, shape, strict=True):
        if not all(0 <= number < side for number in rows):
            raise GraphError(
                f"The Pad '{node.name}' reflects {rows} rows of an axis that has {side}.",
                remedy="Leave the pass reflect-pad-as-slices out (--passes).",
            )
    return found


def _reflect_axis(at: ir.Node, value: ir.Value, axis: int, before: int, after: int) -> ir.Value:
    """Mirror ``before`` and ``after`` rows around the edge row (which is not repeated), along one axis."""
    shape = _shape(value)
    side = shape[axis]
    parts = [value]
    if before:
        parts.insert(0, _slice(at, value, axis, start=before, end=0, step=-1))
    if after:
        parts.append(_slice(at, value, axis, start=side - 2, end=side - 2 - after, step=-1))
    shape[axis] = side + before + after
    return insert(at, "Concat", parts, shape, axis=axis)


def _slice(at: ir.Node, value: ir.Value, axis: int, *, start: int, end: int, step: int) -> ir.Value:
    bound = end if end >= 0 else np.iinfo(np.int64).min
    bounds = [integers(graph_of(at), [number]) for number in (start, bound, axis, step)]
    shape = _shape(value)
    shape[axis] = abs(end - start)
    return insert(at, "Slice", [value, *bounds], shape)


def _shape(value: ir.Value) -> list[int]:
    shape = static_shape(value)
    if shape is None:
        raise GraphError(f"'{value.name}' has no static shape.", remedy="Export at one fixed size.")
    return shape
