"""Reading a Q/DQ graph, whoever wrote it: quantizers of activations, stored integers, quantized convolutions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.rewriting import constant, optional, required
from edge_i2i.graphs.qdq.insert import QUANTIZED_SUFFIX
from edge_i2i.graphs.qdq.layers import CONVOLUTIONS, layer_name
from edge_i2i.graphs.qdq.scheme import Range

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"

INTEGER_OPERATORS = frozenset(
    {"QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear", "QAttention", "QGemm"}
)
"""Operators that compute on integers themselves, where Q/DQ pairs around float operators are meant."""

_WITH_WEIGHTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_POSITIVE = frozenset({"Relu", "Sigmoid", "Softmax", "Abs", "Exp", "Sqrt", "Softplus"})
_KEEPS_SIGNS = frozenset(
    {"Pad", "MaxPool", "AveragePool", "GlobalAveragePool", "Slice", "Transpose", "Reshape", "Concat", "DepthToSpace"}
    | {"SpaceToDepth", "Identity", "Squeeze", "Unsqueeze", "Gather", "Resize", QUANTIZE, DEQUANTIZE}
)


@dataclass(frozen=True)
class Quantization:
    """How one node quantizes or dequantizes. ``dtype``: numpy's name of the integers; ``zero_point``: one for all, or
    one for each channel; None where scale or zero point are computed while the graph runs.
    """

    scale: Array | None
    zero_point: Array | None
    dtype: str

    @property
    def symmetric_int8(self) -> bool:
        """Whether it is what TensorRT takes: INT8 around zero."""
        return self.dtype == "int8" and self.zero_point is not None and not self.zero_point.any()

    @property
    def per_tensor(self) -> bool:
        """Whether one scale serves the whole tensor."""
        return self.scale is not None and self.scale.size == 1

    @property
    def covered(self) -> Range:
        """The range that a per-tensor quantizer keeps; what lies outside is cut off."""
        limits = np.iinfo(self.dtype)
        scale, zero = (float(np.ravel(array)[0]) for array in (self.scale, self.zero_point) if array is not None)
        return Range((limits.min - zero) * scale, (limits.max - zero) * scale)


def quantization(node: ir.Node) -> Quantization:
    """What a QuantizeLinear or DequantizeLinear does. Without a zero point, ONNX means UINT8 when it quantizes."""
    point = optional(node, 2)
    scale, zero = constant(optional(node, 1)), constant(point)
    if point is not None:
        return Quantization(scale, zero, _numpy_name(point.dtype))
    written = node.outputs[0] if node.op_type == QUANTIZE else required(node, 0)
    stored = "uint8" if written.dtype is None else _numpy_name(written.dtype)
    return Quantization(scale, np.zeros((), "int32"), stored)


def _numpy_name(dtype: ir.DataType | None) -> str:
    return "unknown" if dtype is None else dtype.name.lower()


def readers(value: ir.Value) -> tuple[ir.Node, ...]:
    """The nodes that read a value."""
    return tuple(use.node for use in value.uses())


def dequantizers(node: ir.Node) -> tuple[ir.Node, ...]:
    """The DequantizeLinear nodes behind a QuantizeLinear; empty where something else reads the integers, too."""
    value = node.outputs[0]
    found = readers(value)
    plain = found and not value.is_graph_output() and all(reader.op_type == DEQUANTIZE for reader in found)
    return found if plain else ()


def undoes(dequantizer: ir.Node, quantizer: ir.Node) -> bool:
    """Whether a DequantizeLinear undoes a QuantizeLinear; the two may hold copies of one scale."""
    there, back = quantization(quantizer), quantization(dequantizer)
    if there.scale is None or back.scale is None or there.zero_point is None or back.zero_point is None:
        return False
    return bool(np.array_equal(there.scale, back.scale) and np.array_equal(there.zero_point, back.zero_point))


def stored_integers(node: ir.Node) -> Array | None:
    """The integers in the file that a DequantizeLinear reads; None where they are computed."""
    return constant(required(node, 0)) if node.op_type == DEQUANTIZE else None


def is_weight(node: ir.Node) -> bool:
    """Whether all that a DequantizeLinear makes is weights of convolutions and matrix products."""
    uses = list(node.outputs[0].uses())
    return bool(uses) and all(use.node.op_type in _WITH_WEIGHTS and use.idx == 1 for use in uses)


def reads_quantized(node: ir.Node) -> bool:
    """Whether a convolution's input (in front of a Pad, if there is one) and weights are quantized."""
    return all(_is_dequantized(value) for value in (pad_input(node) or required(node, 0), required(node, 1)))


def pad_input(node: ir.Node) -> ir.Value | None:
    """What a Pad in front of a convolution reads; None where there is none."""
    before = required(node, 0).producer()
    return required(before, 0) if before is not None and before.op_type == "Pad" else None


def _is_dequantized(value: ir.Value) -> bool:
    node = value.producer()
    return node is not None and node.op_type == DEQUANTIZE


def quantized_convolutions(model: ir.Model) -> dict[str, ir.Node]:
    """The convolutions that ``insert_qdq`` quantized, by the names that their layers had in the float graph."""
    seen: Counter[str] = Counter()
    found = {}
    for node in model.graph:
        if node.op_type not in CONVOLUTIONS or len(node.inputs) < 2:
            continue
        stem = layer_name(_weight_name(required(node, 1)))
        seen[stem] += 1
        if reads_quantized(node):
            found[stem if seen[stem] == 1 else f"{stem}#{seen[stem]}"] = node
    return found


def _weight_name(value: ir.Value) -> str:
    node = value.producer()
    stored = value if node is None or node.op_type != DEQUANTIZE else required(node, 0)
    return str(stored.name).removesuffix(QUANTIZED_SUFFIX)


def never_negative(value: ir.Value) -> bool:
    """Whether a tensor holds no negative numbers, as far as the nodes that make it tell."""
    node = value.producer()
    if node is None:
        array = constant(value)
        return value.dtype in (ir.DataType.UINT8, ir.DataType.BOOL) or (array is not None and not (array < 0).any())
    if node.op_type in _POSITIVE:
        return True
    if node.op_type == "Cast":
        return never_negative(required(node, 0))
    if node.op_type == "Clip":
        low = constant(optional(node, 1))
        return low is not None and not (low < 0).any()
    if node.op_type not in _KEEPS_SIGNS or node.attributes.get_string("mode", "") == "cubic":
        return False
    return all(never_negative(given) for given in _data_inputs(node))


def _data_inputs(node: ir.Node) -> list[ir.Value]:
    if node.op_type == "Concat":
        return [given for given in node.inputs if given is not None]
    fill = optional(node, 2) if node.op_type == "Pad" else None
    return [required(node, 0), *([] if fill is None else [fill])]
