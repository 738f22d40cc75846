"""Exact rewrites as named passes over the ONNX graph; each has a test of its own on a tiny graph.

A pass takes a model in place and returns how many places it rewrote. ``PASSES`` lists them by name in the order in
which they run; ``DEFAULT_PASSES`` are the ones that run unless others are asked for.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.parity import NETWORK_OUTPUT


@dataclass(frozen=True)
class GraphPass:
    """A rewrite that does not change what the graph computes."""

    name: str
    summary: str
    apply: Callable[[ir.Model], int]


def drop_bias_before_instance_norm(model: ir.Model) -> int:
    """Remove the bias of every convolution that only feeds instance norms, which subtract the mean anyway."""
    count = 0
    for node in model.graph:
        if node.op_type not in ("Conv", "ConvTranspose") or len(node.inputs) < 3 or node.inputs[2] is None:
            continue
        output = node.outputs[0]
        consumers = [use.node for use in output.uses()]
        if consumers and not output.is_graph_output() and all(c.op_type == "InstanceNormalization" for c in consumers):
            node.replace_input_with(2, None)
            count += 1
    _remove_unused(model)
    return count


def reflect_pad_as_slices(model: ir.Model) -> int:
    """Replace every reflection pad by slices and concatenations: for targets whose Pad lacks reflection."""
    pads = [
        node for node in model.graph if node.op_type == "Pad" and node.attributes.get_string("mode", "") == "reflect"
    ]
    for node in pads:
        _replace_pad(model.graph, node)
    _remove_unused(model)
    return len(pads)


def _replace_pad(graph: ir.Graph, node: ir.Node) -> None:
    source, output = _required(node, 0), node.outputs[0]
    value = source
    for axis, (before, after) in enumerate(_reflections(node)):
        if before or after:
            value = _reflect_axis(graph, node, value, axis, before, after)
    if value is source:
        value = _insert(graph, node, ir.node("Identity", inputs=[source]), _shape(source), source.dtype)
    if output.is_graph_output():
        graph.outputs[graph.outputs.index(output)] = value
    ir.convenience.replace_all_uses_with(output, value)
    graph.remove(node, safe=True)
    value.name = output.name


def _reflections(node: ir.Node) -> list[tuple[int, int]]:
    """How many rows a reflection pad mirrors before and after every axis."""
    shape, amounts = _shape(_required(node, 0)), [int(number) for number in _constant(_required(node, 1))]
    named = node.inputs[3] if len(node.inputs) > 3 else None
    axes = range(len(shape)) if named is None else [int(axis) % len(shape) for axis in _constant(named)]
    found = [(0, 0)] * len(shape)
    for i, axis in enumerate(axes):
        found[axis] = amounts[i], amounts[len(axes) + i]
        if not all(0 <= rows < shape[axis] for rows in found[axis]):
            raise GraphError(
                f"The Pad '{node.name}' reflects {found[axis]} rows of an axis that has {shape[axis]}.",
                remedy="Leave the pass reflect-pad-as-slices out (--passes).",
            )
    return found


def _reflect_axis(graph: ir.Graph, at: ir.Node, value: ir.Value, axis: int, before: int, after: int) -> ir.Value:
    """Mirror ``before`` and ``after`` rows around the edge row (which is not repeated), along one axis."""
    shape = _shape(value)
    side = shape[axis]
    parts = [value]
    if before:
        parts.insert(0, _slice(graph, at, value, axis, start=before, end=0, step=-1))
    if after:
        parts.append(_slice(graph, at, value, axis, start=side - 2, end=side - 2 - after, step=-1))
    shape[axis] = side + before + after
    joined = ir.node("Concat", inputs=parts, attributes={"axis": axis})
    return _insert(graph, at, joined, shape, value.dtype)


def _slice(graph: ir.Graph, at: ir.Node, value: ir.Value, axis: int, *, start: int, end: int, step: int) -> ir.Value:
    bound = end if end >= 0 else np.iinfo(np.int64).min
    bounds = [_initializer(graph, [number]) for number in (start, bound, axis, step)]
    shape = _shape(value)
    shape[axis] = abs(end - start)
    return _insert(graph, at, ir.node("Slice", inputs=[value, *bounds]), shape, value.dtype)


def keep_declared_outputs(model: ir.Model) -> int:
    """Drop the float output that only parity needs."""
    kept = [value for value in model.graph.outputs if value.name != NETWORK_OUTPUT]
    dropped = len(model.graph.outputs) - len(kept)
    model.graph.outputs[:] = kept
    _remove_unused(model)
    return dropped


PASSES: Mapping[str, GraphPass] = MappingProxyType(
    {
        item.name: item
        for item in (
            GraphPass(
                "drop-bias-before-instance-norm",
                "convolution biases that instance norm cancels are removed",
                drop_bias_before_instance_norm,
            ),
            GraphPass(
                "reflect-pad-as-slices",
                "reflection pads become slices and concatenations (old TensorRT, Core ML with flexible shapes)",
                reflect_pad_as_slices,
            ),
        )
    }
)
DEFAULT_PASSES: tuple[str, ...] = ("drop-bias-before-instance-norm",)


def get_passes(names: Iterable[str]) -> tuple[GraphPass, ...]:
    """Passes by name.

    Raises:
        UsageError: there is no pass of that name; suggests the nearest.
    """
    return tuple(_get_pass(name) for name in names)


def _get_pass(name: str) -> GraphPass:
    if name not in PASSES:
        near = difflib.get_close_matches(name, PASSES, n=1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise UsageError(f"There is no graph pass '{name}'.", remedy=f"{hint}Known passes: {', '.join(PASSES)}.")
    return PASSES[name]


def _remove_unused(model: ir.Model) -> int:
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    return int(RemoveUnusedNodesPass()(model).modified)


def _required(node: ir.Node, index: int) -> ir.Value:
    value = node.inputs[index]
    if value is None:
        raise GraphError(f"The {node.op_type} '{node.name}' lacks its input {index}.")
    return value


def _constant(value: ir.Value) -> NDArray[Any]:
    tensor = ir.convenience.get_const_tensor(value)
    if tensor is None:
        raise GraphError(f"A Pad's amounts '{value.name}' are computed, not constant: they cannot become slices.")
    return tensor.numpy()


def _shape(value: ir.Value) -> list[int]:
    if value.shape is None or not value.shape.is_static():
        raise GraphError(f"'{value.name}' has no static shape.", remedy="Export at one fixed size.")
    return [int(side) for side in value.shape.numpy()]


def _initializer(graph: ir.Graph, numbers: list[int]) -> ir.Value:
    name = f"const_{'_'.join(str(number) for number in numbers)}"
    if name not in graph.initializers:
        tensor = ir.tensor(np.array(numbers, np.int64), name=name)
        graph.register_initializer(ir.Value(name=name, const_value=tensor, shape=ir.Shape([len(numbers)]), type=_INT64))
    return graph.initializers[name]


_INT64 = ir.TensorType(ir.DataType.INT64)


def _insert(graph: ir.Graph, at: ir.Node, node: ir.Node, shape: list[int], dtype: ir.DataType | None) -> ir.Value:
    output = node.outputs[0]
    output.shape = ir.Shape(shape)
    output.type = None if dtype is None else ir.TensorType(dtype)
    graph.insert_before(at, node)
    return output
