"""FP16 as a typed rewrite: every tensor's type is in the graph, as strongly typed engines need it.

Convolutions and what lies between them run on FP16 tensors; instance-norm statistics, tanh and the picture's
scaling stay FP32 behind explicit casts, because their error is what FP16 translations usually die of
(NVIDIA/TensorRT#2691, microsoft/onnxruntime#10079).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

from edge_i2i.errors import GraphError

# Types are replaced, never changed in place: clones of a graph share them.
_HALF = ir.DataType.FLOAT16
_FULL = ir.DataType.FLOAT
_LARGEST_HALF = float(np.finfo(np.float16).max)

# Heavy in arithmetic, safe in FP16 with FP32 accumulation: what the rewrite is for.
_ANCHORS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# Computed in FP32, but their neighbours stay FP16: casts around them.
_ISLANDS = frozenset({"InstanceNormalization", "GroupNormalization", "LayerNormalization"})
# Move or combine values without arithmetic risk: FP16 when everything that they read is.
_FOLLOWERS = frozenset(
    {"Add", "AveragePool", "Concat", "DepthToSpace", "Identity", "LeakyRelu", "MaxPool", "Pad", "PRelu", "Relu"}
    | {"Reshape", "Resize", "Slice", "SpaceToDepth", "Split", "Transpose", "Unsqueeze"}
)
# Inputs that are no data: a Resize reads its region and its scales as FP32, whatever it resizes.
_ALWAYS_FULL: Mapping[str, tuple[int, ...]] = MappingProxyType({"Resize": (1, 2)})


def to_fp16(model: ir.Model, full_convolutions: int = 0) -> int:
    """Rewrite a FP32 graph to FP16 in place; inputs and outputs keep their types. Returns how many nodes run in FP16.

    The first ``full_convolutions`` convolutions stay FP32 with the norms behind them: they read smooth pictures, whose
    large means cancel in the instance norm and leave the rounding errors of FP16 behind, amplified.

    Raises:
        GraphError: a weight is too large for FP16.
    """
    rewrite = _HalfRewrite(model.graph, full_convolutions)
    for node in list(model.graph):
        rewrite.visit(node)
    return rewrite.count


class _HalfRewrite:
    """Walks the graph in order; remembers which values are FP16 and which casts exist already."""

    def __init__(self, graph: ir.Graph, full_convolutions: int) -> None:
        self.graph = graph
        self.count = 0
        self._still_full = full_convolutions
        self._casts: dict[tuple[int, ir.DataType], ir.Value] = {}
        self._weights: dict[str, ir.Value] = {}

    def visit(self, node: ir.Node) -> None:
        """Give one node the types that its kind calls for."""
        if _is_anchor(node) and self._still_full:
            self._still_full -= 1
            self._set_inputs(node, _FULL)
        elif _is_anchor(node) or (node.op_type in _FOLLOWERS and self._reads_only_half(node)):
            self._run_in_half(node)
        elif node.op_type in _ISLANDS and self._reads_half(node):
            self._run_as_island(node)
        else:
            self._set_inputs(node, _FULL)

    def _reads_half(self, node: ir.Node) -> bool:
        return any(value is not None and value.dtype is _HALF for value in node.inputs)

    def _reads_only_half(self, node: ir.Node) -> bool:
        dynamic = [v for v in node.inputs if v is not None and not v.is_initializer() and v.dtype in (_HALF, _FULL)]
        return bool(dynamic) and all(value.dtype is _HALF for value in dynamic)

    def _run_in_half(self, node: ir.Node) -> None:
        self._set_inputs(node, _HALF)
        for output in node.outputs:
            if output.dtype is not _FULL:
                continue
            if output.is_graph_output():
                self._restore_output(node, output)
            else:
                output.type = ir.TensorType(_HALF)
        self.count += 1

    def _run_as_island(self, node: ir.Node) -> None:
        self._set_inputs(node, _FULL)
        output = node.outputs[0]
        if output.is_graph_output():
            return
        users = [(use.node, use.idx) for use in output.uses()]
        half = self._cast(output, _HALF, after=node)
        for user, index in users:
            user.replace_input_with(index, half)

    def _restore_output(self, node: ir.Node, output: ir.Value) -> None:
        """A graph output keeps its FP32 type: the node writes FP16 beside it and a cast writes the output."""
        name, position = output.name, self.graph.outputs.index(output)
        replacement = ir.node("Cast", inputs=[output], attributes={"to": _FULL.value})
        output.name, output.type = f"{name}_fp16", ir.TensorType(_HALF)
        result = replacement.outputs[0]
        result.name, result.shape, result.type = name, output.shape, ir.TensorType(_FULL)
        self.graph.insert_after(node, replacement)
        self.graph.outputs[position] = result

    def _set_inputs(self, node: ir.Node, dtype: ir.DataType) -> None:
        for index, value in enumerate(node.inputs):
            if dtype is _HALF and index in _ALWAYS_FULL.get(node.op_type, ()):
                continue
            if value is None or value.dtype not in (_HALF, _FULL) or value.dtype is dtype:
                continue
            replacement = self._weight(value) if value.is_initializer() else self._cast(value, dtype, before=node)
            node.replace_input_with(index, replacement)

    def _weight(self, value: ir.Value) -> ir.Value:
        name = f"{value.name}_fp16"
        if name not in self._weights:
            tensor = ir.convenience.get_const_tensor(value)
            if tensor is None:
                raise GraphError(f"The weight '{value.name}' has no data.")
            full = tensor.numpy()
            largest = float(np.abs(full).max(initial=0.0))
            if largest > _LARGEST_HALF:
                raise GraphError(
                    f"The weight '{value.name}' reaches {largest:.4g}, more than FP16 can hold ({_LARGEST_HALF:.0f}).",
                    remedy="Export with --precision fp32.",
                )
            half = ir.tensor(full.astype(np.float16), name=name)
            new = ir.Value(name=name, const_value=half, shape=ir.Shape(full.shape), type=ir.TensorType(_HALF))
            self.graph.register_initializer(new)
            self._weights[name] = new
        return self._weights[name]

    def _cast(
        self, value: ir.Value, dtype: ir.DataType, *, before: ir.Node | None = None, after: ir.Node | None = None
    ) -> ir.Value:
        key = (id(value), dtype)
        if key not in self._casts:
            node = ir.node("Cast", inputs=[value], attributes={"to": dtype.value})
            output = node.outputs[0]
            output.name = f"{value.name}_{'fp16' if dtype is _HALF else 'fp32'}"
            output.shape, output.type = value.shape, ir.TensorType(dtype)
            if before is not None:
                self.graph.insert_before(before, node)
            elif after is not None:
                self.graph.insert_after(after, node)
            self._casts[key] = output
        return self._casts[key]


def _is_anchor(node: ir.Node) -> bool:
    """A product with constant weights. A product of two activations may be a sum over a whole picture: too large."""
    return node.op_type in _ANCHORS and node.inputs[1] is not None and node.inputs[1].is_initializer()


def emulate_fp16(model: ir.Model) -> None:
    """Turn a FP16 graph, in place, into a FP32 graph that rounds every FP16 value to FP16 where it is produced.

    What tensor cores compute (FP16 operands and results, FP32 accumulation), runnable on any CPU: ONNX Runtime's CPU
    provider would compute the FP16 graph itself without rounding between the nodes (NVIDIA/TensorRT#4355).
    """
    graph = model.graph
    for value in list(graph.initializers.values()):
        if value.dtype is _HALF and value.const_value is not None:
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
            value.type = ir.TensorType(_FULL)
    for node in list(graph):
        for output in node.outputs:
            if output.dtype is _HALF:
                _round_to_half(graph, node, output)


def _round_to_half(graph: ir.Graph, node: ir.Node, output: ir.Value) -> None:
    users = [(use.node, use.idx) for use in output.uses()]
    last, value = node, output
    if node.op_type != "Cast":
        output.type = ir.TensorType(_FULL)
        last, value = _append_cast(graph, last, value, _HALF)
    _, wide = _append_cast(graph, last, value, _FULL)
    for user, index in users:
        user.replace_input_with(index, wide)


def _append_cast(graph: ir.Graph, after: ir.Node, value: ir.Value, dtype: ir.DataType) -> tuple[ir.Node, ir.Value]:
    node = ir.node("Cast", inputs=[value], attributes={"to": dtype.value})
    output = node.outputs[0]
    output.shape, output.type = value.shape, ir.TensorType(dtype)
    graph.insert_after(after, node)
    return node, output
