"""INT8 written as UINT8 with a zero point: the same numbers, in the form that OpenVINO never takes for another."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge_i2i.graphs.passes.rewriting import constant, graph_of, initializer, required
from edge_i2i.graphs.qdq.insert import scalar
from edge_i2i.graphs.qdq.targets.reading import QUANTIZE, dequantizers, quantization, undoes

_OFFSET = 128  # from the lowest INT8 to the lowest UINT8


def has_concat(model: ir.Model) -> bool:
    """Whether tensors are joined anywhere in the graph."""
    return any(node.op_type == "Concat" for node in model.graph)


def unsigned_beside_concats(model: ir.Model) -> int:
    """Write INT8 activations as UINT8, 128 higher, in a graph that joins tensors anywhere; no value changes."""
    if not has_concat(model):
        return 0
    return sum(_lift(node) for node in list(model.graph) if node.op_type == QUANTIZE)


def _lift(node: ir.Node) -> bool:
    now, readers = quantization(node), dequantizers(node)
    if constant(required(node, 0)) is not None or now.dtype != "int8" or now.zero_point is None:
        return False
    if not readers or not all(undoes(reader, node) for reader in readers):
        return False
    lifted = (now.zero_point.astype(np.int64) + _OFFSET).astype(np.uint8)
    store = scalar if lifted.ndim == 0 else initializer
    zero = store(graph_of(node), lifted, f"{node.outputs[0].name}_unsigned_zero_point")
    for item in (node, *readers):
        item.replace_input_with(2, zero)
    node.outputs[0].type = ir.TensorType(ir.DataType.UINT8)
    return True
