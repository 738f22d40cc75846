"""Rewrites towards signed INT8 around zero: what other tools write, in the one form that TensorRT computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.rewriting import (
    constant,
    graph_of,
    initializer,
    insert,
    remove_unused,
    required,
    static_shape,
)
from edge_i2i.graphs.qdq.insert import scalar
from edge_i2i.graphs.qdq.scheme import Scheme, quantizer_for
from edge_i2i.graphs.qdq.targets.reading import (
    DEQUANTIZE,
    QUANTIZE,
    dequantizers,
    is_weight,
    never_negative,
    quantization,
    stored_integers,
    undoes,
)


def signed_activations(model: ir.Model) -> int:
    """Quantize activations in INT8 around zero, with a scale that covers all of the range that they had.

    Half of the levels of a tensor that is never negative go unused then: that is the price of the target. A quantizer
    that stood for a rectifier (other tools drop a ReLU in front of one, because it cuts off negative numbers as well)
    gets its ReLU back.
    """
    count = 0
    for node in list(model.graph):
        if node.op_type == QUANTIZE and constant(required(node, 0)) is None:
            count += _sign(node)
    remove_unused(model)
    return count


def _sign(node: ir.Node) -> bool:
    now, readers = quantization(node), dequantizers(node)
    known = now.per_tensor and now.zero_point is not None and now.dtype in ("uint8", "int8")
    if not readers or not known or now.symmetric_int8 or not all(undoes(reader, node) for reader in readers):
        return False
    value, covered = required(node, 0), now.covered
    if covered.low >= 0 and not never_negative(value):
        value = insert(node, "Relu", [value], static_shape(value) or [])
        node.replace_input_with(0, value)
    scale = quantizer_for(covered, Scheme.SYMMETRIC).scale
    name = str(node.outputs[0].name)
    _replace_quantizer([node, *readers], scale, name)
    return True


def _replace_quantizer(nodes: Sequence[ir.Node], scale: float, name: str) -> None:
    """Let a QuantizeLinear, which comes first, and the DequantizeLinear nodes behind it be INT8 around zero."""
    graph = graph_of(nodes[0])
    given = scalar(graph, np.array(scale, np.float32), f"{name}_signed_scale")
    zero = scalar(graph, np.array(0, np.int8), f"{name}_signed_zero_point")
    for node in nodes:
        node.replace_input_with(1, given)
        if len(node.inputs) < 3:
            node.resize_inputs(3)
        node.replace_input_with(2, zero)
    nodes[0].outputs[0].type = ir.TensorType(ir.DataType.INT8)


def re_read_as_int8(model: ir.Model) -> int:
    """What TensorRT's parser makes of UINT8 quantizers without zero point: INT8 of the same scale, in place.

    The upper half of what they covered is cut off. This is for emulation; it is no rewrite that keeps a result.
    """
    count = 0
    for node in list(model.graph):
        now, readers = (quantization(node), dequantizers(node)) if node.op_type == QUANTIZE else (None, ())
        if now is not None and readers and now.dtype == "uint8" and now.scale is not None:
            _replace_quantizer([node, *readers], float(np.ravel(now.scale)[0]), str(node.outputs[0].name))
            count += 1
    remove_unused(model)
    return count


def drop_quantized_biases(model: ir.Model) -> int:
    """Store biases as the floats that their INT32 form stands for. Exact."""
    return _store_as_float(model, lambda node, stored: stored.dtype == np.int32)


def fold_other_constants(model: ir.Model) -> int:
    """Store constants as floats where they are not INT8 weights around zero: scales of norms, factors. Exact."""
    return _store_as_float(model, lambda node, stored: not (quantization(node).symmetric_int8 and is_weight(node)))


def _store_as_float(model: ir.Model, chosen: Callable[[ir.Node, Array], bool]) -> int:
    count = 0
    for node in list(model.graph):
        stored = stored_integers(node) if node.op_type == DEQUANTIZE else None
        if stored is None or not chosen(node, stored) or (floats := _dequantized(node, stored)) is None:
            continue
        store = scalar if floats.ndim == 0 else initializer
        value = store(graph_of(node), floats, f"{required(node, 0).name}_float")
        ir.convenience.replace_all_uses_with(node.outputs[0], value)
        count += 1
    remove_unused(model)
    return count


def _dequantized(node: ir.Node, stored: Array) -> Array | None:
    """The floats that a DequantizeLinear makes of stored integers; None where they depend on what is computed."""
    now = quantization(node)
    if now.scale is None or now.zero_point is None or node.attributes.get_int("block_size"):
        return None
    if node.outputs[0].is_graph_output():
        return None
    shape = [1] * stored.ndim
    if now.scale.size > 1:
        shape[node.attributes.get_int("axis", 1)] = now.scale.size
    scale, zero = now.scale.reshape(shape), np.broadcast_to(now.zero_point, now.scale.shape).reshape(shape)
    return np.asarray((stored.astype(np.int64) - zero) * scale, now.scale.dtype).reshape(stored.shape)
