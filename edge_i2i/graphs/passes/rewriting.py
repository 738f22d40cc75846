"""What the passes share: reading constants and shapes off a graph, and putting nodes into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.errors import GraphError


def remove_unused(model: ir.Model) -> int:
    """Drop nodes and weights that nothing reads any more; 1 where there were any."""
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    return int(RemoveUnusedNodesPass()(model).modified)


def required(node: ir.Node, index: int) -> ir.Value:
    """An input that the operator cannot do without.

    Raises:
        GraphError: the node lacks it.
    """
    value = optional(node, index)
    if value is None:
        raise GraphError(f"The {node.op_type} '{node.name}' lacks its input {index}.")
    return value


def optional(node: ir.Node, index: int) -> ir.Value | None:
    """The input number ``index`` of a node; None where it is left out."""
    return node.inputs[index] if index < len(node.inputs) else None


def constant(value: ir.Value | None) -> Array | None:
    """The data of a weight or a constant; None where it is computed (or where there is no value)."""
    tensor = None if value is None else ir.convenience.get_const_tensor(value)
    return None if tensor is None else tensor.numpy()


def static_shape(value: ir.Value) -> list[int] | None:
    """The sides of a tensor; None where one of them is not known before it runs."""
    if value.shape is None or not value.shape.is_static():
        return None
    return [int(side) for side in value.shape.numpy()]


def pad_amounts(node: ir.Node) -> list[tuple[int, int]] | None:
    """How many rows a Pad adds before and after every axis; None where amounts or shape are not constant."""
    shape, amounts, named = static_shape(required(node, 0)), constant(required(node, 1)), optional(node, 3)
    if shape is None or amounts is None:
        return None
    chosen = np.arange(len(shape)) if named is None else constant(named)
    if chosen is None:
        return None
    found = [(0, 0)] * len(shape)
    for i, axis in enumerate(chosen):
        found[int(axis) % len(shape)] = int(amounts[i]), int(amounts[len(chosen) + i])
    return found


def initializer(graph: ir.Graph, array: Array, name: str) -> ir.Value:
    """Add a constant to a graph.

    Args:
        graph: the graph that is to hold it.
        array: its value, of any type that ONNX stores.
        name: what it is called; where the graph has that name, a number is put behind it.
    """
    free, number = name, 1
    while free in graph.initializers:
        free, number = f"{name}_{number}", number + 1
    tensor = ir.tensor(np.ascontiguousarray(array), name=free)
    value = ir.Value(name=free, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
    graph.register_initializer(value)
    return value


def integers(graph: ir.Graph, numbers: Sequence[int]) -> ir.Value:
    """Whole numbers as a constant; short lists are shared by everything that reads the same ones."""
    text = "_".join(str(number) for number in numbers)
    name = f"const_{text}"
    if len(numbers) <= 8 and name in graph.initializers:
        return graph.initializers[name]
    return initializer(graph, np.array(numbers, np.int64), name if len(numbers) <= 8 else "indices")


def insert(
    at: ir.Node, operator: str, inputs: Sequence[ir.Value | None], shape: Sequence[int], **attributes: Any
) -> ir.Value:
    """Put a node into a graph; returns its output, which has the type of the first input.

    Args:
        at: the node before which it goes.
        operator: its ONNX operator, as in ``Conv``.
        inputs: what it reads; None: left out.
        shape: the sides of its output.
        attributes: the node's ONNX attributes.
    """
    return insert_several(at, operator, inputs, [shape], **attributes)[0]


def insert_several(
    at: ir.Node, operator: str, inputs: Sequence[ir.Value | None], shapes: Sequence[Sequence[int]], **attributes: Any
) -> Sequence[ir.Value]:
    """Put a node with several outputs into a graph; returns the outputs, which have the type of the first input.

    Args:
        at: the node before which it goes.
        operator: its ONNX operator, as in ``Split``.
        inputs: what it reads; None: left out.
        shapes: the sides of each output, one after another.
        attributes: the node's ONNX attributes.
    """
    node = ir.node(operator, inputs=inputs, attributes=attributes, num_outputs=len(shapes))
    dtype = None if inputs[0] is None else inputs[0].dtype
    for output, shape in zip(node.outputs, shapes, strict=True):
        output.shape = ir.Shape(shape)
        output.type = None if dtype is None else ir.TensorType(dtype)
    graph_of(at).insert_before(at, node)
    return node.outputs


def replace(node: ir.Node, values: Sequence[ir.Value]) -> None:
    """Let ``values`` take the place, and the names, of a node's outputs; the node goes."""
    graph, names = graph_of(node), [output.name for output in node.outputs]
    for output, value in zip(node.outputs, values, strict=True):
        if output.is_graph_output():
            graph.outputs[graph.outputs.index(output)] = value
        ir.convenience.replace_all_uses_with(output, value)
    graph.remove(node, safe=True)
    for value, name in zip(values, names, strict=True):
        value.name = name


def graph_of(node: ir.Node) -> ir.Graph:
    """The graph that a node is in.

    Raises:
        GraphError: it is in none, or in a function.
    """
    if not isinstance(node.graph, ir.Graph):
        raise GraphError(f"The {node.op_type} '{node.name}' is not part of a graph.")
    return node.graph
