"""FP16 as a typed rewrite: every tensor's type is in the graph, as strongly typed engines need it.

Convolutions and what lies between them run on FP16 tensors; statistics (instance norm, means, variances, their roots
and quotients), tanh, sigmoid, exp and the picture's scaling stay FP32 behind explicit casts, because their error is
what FP16 translations usually die of (NVIDIA/TensorRT#2691, microsoft/onnxruntime#10079).

``choose_half`` says which nodes run in FP16, and why; the rewrite then casts every value to what its reader wants.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge_i2i.errors import GraphError
from edge_i2i.graphs.fp16_choice import FULL, HALF, always_full, choose_half

# Types are replaced, never changed in place: clones of a graph share them.
_LARGEST_HALF = float(np.finfo(np.float16).max)


def to_fp16(model: ir.Model, full_convolutions: int = 0) -> int:
    """Rewrite a FP32 graph to FP16 in place; inputs and outputs keep their types. Returns how many nodes run in FP16.

    The first ``full_convolutions`` convolutions stay FP32 with the norms behind them: they read smooth pictures, whose
    large means cancel in the instance norm and leave the rounding errors of FP16 behind, amplified.

    Raises:
        GraphError: a weight is too large for FP16.
    """
    half = choose_half(model.graph, full_convolutions)
    rewrite = _HalfRewrite(model.graph)
    for node in list(model.graph):
        if node in half:
            rewrite.run_in_half(node)
        else:
            rewrite.set_inputs(node, FULL)
    return len(half)


class _HalfRewrite:
    """Walks the graph in order; remembers which casts exist already."""

    def __init__(self, graph: ir.Graph) -> None:
        self.graph = graph
        self._casts: dict[tuple[int, ir.DataType], ir.Value] = {}
        self._weights: dict[str, ir.Value] = {}

    def run_in_half(self, node: ir.Node) -> None:
        """Let a node read and write FP16."""
        self.set_inputs(node, HALF)
        for output in node.outputs:
            if output.dtype is not FULL:
                continue
            if output.is_graph_output():
                self._restore_output(node, output)
            else:
                output.type = ir.TensorType(HALF)

    def _restore_output(self, node: ir.Node, output: ir.Value) -> None:
        """A graph output keeps its FP32 type: the node writes FP16 beside it and a cast writes the output."""
        name, position = output.name, self.graph.outputs.index(output)
        replacement = ir.node("Cast", inputs=[output], attributes={"to": FULL.value})
        output.name, output.type = f"{name}_fp16", ir.TensorType(HALF)
        result = replacement.outputs[0]
        result.name, result.shape, result.type = name, output.shape, ir.TensorType(FULL)
        self.graph.insert_after(node, replacement)
        self.graph.outputs[position] = result

    def set_inputs(self, node: ir.Node, dtype: ir.DataType) -> None:
        """Cast what a node reads to ``dtype``, except what its operator reads as FP32 in any case."""
        for index, value in enumerate(node.inputs):
            if dtype is HALF and index in always_full(node):
                continue
            if value is None or value.dtype not in (HALF, FULL) or value.dtype is dtype:
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
            new = ir.Value(name=name, const_value=half, shape=ir.Shape(full.shape), type=ir.TensorType(HALF))
            self.graph.register_initializer(new)
            self._weights[name] = new
        return self._weights[name]

    def _cast(self, value: ir.Value, dtype: ir.DataType, *, before: ir.Node) -> ir.Value:
        key = (id(value), dtype)
        if key not in self._casts:
            node = ir.node("Cast", inputs=[value], attributes={"to": dtype.value})
            output = node.outputs[0]
            output.name = f"{value.name}_{'fp16' if dtype is HALF else 'fp32'}"
            output.shape, output.type = value.shape, ir.TensorType(dtype)
            self.graph.insert_before(before, node)
            self._casts[key] = output
        return self._casts[key]


def emulate_fp16(model: ir.Model) -> None:
    """Turn a FP16 graph, in place, into a FP32 graph that rounds every FP16 value to FP16 where it is produced.

    What tensor cores compute (FP16 operands and results, FP32 accumulation), runnable on any CPU: ONNX Runtime's CPU
    provider would compute the FP16 graph itself without rounding between the nodes (NVIDIA/TensorRT#4355).
    """
    graph = model.graph
    for value in list(graph.initializers.values()):
        if value.dtype is HALF and value.const_value is not None:
            value.const_value = ir.tensor(value.const_value.numpy().astype(np.float32), name=value.name)
            value.type = ir.TensorType(FULL)
    for node in list(graph):
        for output in node.outputs:
            if output.dtype is HALF:
                _round_to_half(graph, node, output)


def _round_to_half(graph: ir.Graph, node: ir.Node, output: ir.Value) -> None:
    users = [(use.node, use.idx) for use in output.uses()]
    last, value = node, output
    if node.op_type != "Cast":
        output.type = ir.TensorType(FULL)
        last, value = _append_cast(graph, last, value, HALF)
    _, wide = _append_cast(graph, last, value, FULL)
    for user, index in users:
        user.replace_input_with(index, wide)


def _append_cast(graph: ir.Graph, after: ir.Node, value: ir.Value, dtype: ir.DataType) -> tuple[ir.Node, ir.Value]:
    node = ir.node("Cast", inputs=[value], attributes={"to": dtype.value})
    output = node.outputs[0]
    output.shape, output.type = value.shape, ir.TensorType(dtype)
    graph.insert_after(after, node)
    return node, output
