"""The outputs of a graph: those that a finished file keeps, and the float one that it can be judged by."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge_i2i.graphs.passes.rewriting import constant, graph_of, insert, remove_unused, required, static_shape
from edge_i2i.metrics.parity import NETWORK_OUTPUT

_AFTER_SCALING = frozenset({"Cast", "Clip", "Round", "Transpose"})
_SCALE, _SHIFT = 127.5, 1.0
"""What ``picture.to_outside_form`` makes grey levels with: (value + 1) × 127.5."""


def keep_declared_outputs(model: ir.Model) -> int:
    """Drop the float output that only parity needs."""
    kept = [value for value in model.graph.outputs if value.name != NETWORK_OUTPUT]
    dropped = len(model.graph.outputs) - len(kept)
    model.graph.outputs[:] = kept
    remove_unused(model)
    return dropped


def expose_network_output(model: ir.Model) -> int:
    """Give a finished graph its float output back, to judge it before rounding; 1 where it could be found.

    The output ``network_output`` is float32 ``[3, H, W]`` in [-1, 1]: what the first output is scaled, rounded and cast
    from. A graph whose picture comes to be in any other way than the exporter's stays as it is.
    """
    if any(value.name == NETWORK_OUTPUT for value in model.graph.outputs):
        return 0
    found = _before_scaling(model.graph.outputs[0]) if model.graph.outputs else None
    if found is None:
        return 0
    scaling, value = found
    _free_name(model.graph)
    exposed = insert(scaling, "Cast", [value], static_shape(value) or [], to=ir.DataType.FLOAT.value)
    exposed.name, exposed.type = NETWORK_OUTPUT, ir.TensorType(ir.DataType.FLOAT)
    model.graph.outputs.append(exposed)
    return 1


def _free_name(graph: ir.Graph) -> None:
    """Traced graphs have the value that parity was measured on still inside, under the output's name."""
    for node in graph:
        for value in node.outputs:
            if value.name == NETWORK_OUTPUT:
                value.name = f"{NETWORK_OUTPUT}_inside"


def _before_scaling(picture: ir.Value) -> tuple[ir.Node, ir.Value] | None:
    """The addition that begins the scaling, and the value that it scales."""
    node = _skip(picture)
    scaled = _other_operand(node, "Mul", _SCALE)
    shifting = None if scaled is None else _skip(scaled)
    value = _other_operand(shifting, "Add", _SHIFT)
    if shifting is None or value is None or graph_of(shifting) is not picture.graph:
        return None
    shape = static_shape(value)
    return (shifting, value) if shape is not None and len(shape) == 3 and shape[0] == 3 else None


def _skip(value: ir.Value) -> ir.Node | None:
    """The node that a value comes from, before it is only rounded, clamped, cast or turned."""
    node = value.producer()
    while node is not None and node.op_type in _AFTER_SCALING:
        node = required(node, 0).producer()
    return node


def _other_operand(node: ir.Node | None, operator: str, number: float) -> ir.Value | None:
    """What a node of that operator adds to, or multiplies by, a number; None for any other node."""
    if node is None or node.op_type != operator:
        return None
    for index in (0, 1):
        array = constant(required(node, index))
        if array is not None and array.size == 1 and np.isclose(float(array.reshape(-1)[0]), number):
            return required(node, 1 - index)
    return None
