"""Writing INT8 into a graph: the placement that keeps the picture.

Only what convolutions read is quantized: their input and their weights. Their result stays float up to the next
convolution, so that nothing stands between a convolution and its norm: the norm would magnify the rounding error of a
quantizer there, which costs 5 to 8 dB. Biases stay float.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.passes.rewriting import (
    constant,
    graph_of,
    initializer,
    insert,
    remove_unused,
    required,
    static_shape,
)
from edge_i2i.graphs.qdq.layers import Layer, find_layers
from edge_i2i.graphs.qdq.scheme import Quantizer, Range, Scheme, WeightMemo, quantize_weights, quantizer_for

QUANTIZED_SUFFIX = "_quantized"


def insert_qdq(
    model: ir.Model,
    ranges: Mapping[str, Range],
    scheme: Scheme,
    layers: Collection[str],
    scales: Mapping[str, Array] | None = None,
    *,
    before_pads: bool = False,
    memo: WeightMemo | None = None,
) -> int:
    """Quantize the inputs and weights of the named layers, in place; returns how many layers that are.

    Args:
        model: a FP32 graph at a static size.
        ranges: what each layer's input reaches, by layer name.
        scheme: how activations are written.
        layers: the layers to be quantized.
        scales: scales of weights that were learned, float32 ``[output channels]`` by layer name; by default those of
            the least squared error.
        before_pads: quantize what a plain Pad reads instead of what it writes, which pads one byte a value instead of
            four. The same numbers.
        memo: of weights that were quantized for another variant of this graph; what is new is added to it.

    Raises:
        UsageError: there is no layer of that name.
        GraphError: a layer's range is not known.
    """
    found = {layer.name: layer for layer in find_layers(model)}
    _refuse_unknown(layers, found, ranges)
    writer = _Writer(scheme, scales or {}, WeightMemo() if memo is None else memo, before_pads=before_pads)
    for layer in found.values():
        if layer.name in layers:
            writer.quantize(layer, ranges[layer.name])
    remove_unused(model)
    return len(set(layers))


def _refuse_unknown(layers: Collection[str], found: Mapping[str, Layer], ranges: Mapping[str, Range]) -> None:
    unknown = sorted(set(layers) - found.keys())
    if unknown:
        raise UsageError(f"The graph has no layer {', '.join(unknown)}.", remedy=f"It has: {', '.join(found)}.")
    unmeasured = sorted(set(layers) - ranges.keys())
    if unmeasured:
        raise GraphError(
            f"No range is known for the input of {', '.join(unmeasured)}.", remedy="Calibrate with this very graph."
        )


class _Writer:
    """Writes layer after layer; layers that read one tensor share its quantizer, and those of one weight its data."""

    def __init__(self, scheme: Scheme, scales: Mapping[str, Array], memo: WeightMemo, *, before_pads: bool) -> None:
        self._scheme, self._scales, self._memo, self._before_pads = scheme, scales, memo, before_pads
        self._inputs: dict[tuple[ir.Value, Quantizer], ir.Value] = {}
        self._weights: dict[tuple[ir.Value, int], tuple[ir.Value, ...]] = {}

    def quantize(self, layer: Layer, reached: Range) -> None:
        layer.node.replace_input_with(0, self._quantized_input(layer, quantizer_for(reached, self._scheme)))
        layer.node.replace_input_with(1, self._quantized_weight(layer))

    def _quantized_input(self, layer: Layer, quantizer: Quantizer) -> ir.Value:
        if self._before_pads and layer.pad is not None:
            return _padded(layer.pad, self._quantized(layer.source, quantizer), before=layer.node)
        return self._quantized(required(layer.node, 0), quantizer)

    def _quantized(self, value: ir.Value, quantizer: Quantizer) -> ir.Value:
        key = value, quantizer
        if key not in self._inputs:
            graph, shape = graph_of(first_reader(value)), static_shape(value) or []
            zero = np.array(quantizer.zero_point, quantizer.dtype)
            scale = scalar(graph, np.array(quantizer.scale, np.float32), f"{value.name}_scale")
            point = scalar(graph, zero, f"{value.name}_zero_point")
            first, number = first_reader(value), _quantizer_number(value)
            steps = insert(first, "QuantizeLinear", [value, scale, point], shape)
            steps.type = ir.TensorType(point.dtype) if point.dtype is not None else None
            result = insert(first, "DequantizeLinear", [steps, scale, point], shape)
            result.type = value.type
            steps.name = f"{value.name}{QUANTIZED_SUFFIX}{number}"
            result.name = f"{value.name}_dequantized{number}"
            self._inputs[key] = result
        return self._inputs[key]

    def _quantized_weight(self, layer: Layer) -> ir.Value:
        key = layer.weight, self._axis(layer)
        if key not in self._weights:
            self._weights[key] = self._write_weight(layer)
        steps, scale, zeros = self._weights[key]
        result = insert(
            layer.node, "DequantizeLinear", [steps, scale, zeros], layer.weight_shape, axis=self._axis(layer)
        )
        result.type = layer.weight.type
        return result

    def _write_weight(self, layer: Layer) -> tuple[ir.Value, ...]:
        weight = constant(layer.weight)
        if weight is None:
            raise GraphError(f"The weight of '{layer.name}' has no data.")
        axis, graph, name = self._axis(layer), graph_of(layer.node), str(layer.weight.name)
        learned = self._scales.get(layer.name)
        if learned is None:
            steps, scales = self._memo.quantize(weight, axis)
        else:
            steps, scales = quantize_weights(weight, learned, axis), learned
        return (
            initializer(graph, steps, f"{name}{QUANTIZED_SUFFIX}"),
            initializer(graph, np.asarray(scales, np.float32), f"{name}_scale"),
            initializer(graph, np.zeros(len(scales), np.int8), f"{name}_zero_point"),
        )

    @staticmethod
    def _axis(layer: Layer) -> int:
        """Output channels; those of a grouped transposed convolution lie along both axes, so its inputs."""
        return 0 if layer.groups > 1 else layer.output_axis


def _padded(pad: ir.Node, value: ir.Value, *, before: ir.Node) -> ir.Value:
    """A copy of ``pad`` that reads ``value`` instead, put before the node ``before``; returns what it writes."""
    attributes = {name: attribute.value for name, attribute in pad.attributes.items()}
    return insert(before, "Pad", [value, *pad.inputs[1:]], static_shape(pad.outputs[0]) or [], **attributes)


def scalar(graph: ir.Graph, number: Array, name: str) -> ir.Value:
    """Add a constant without axes, of the shape ``[]``: a scale or zero point for a whole tensor.

    Args:
        graph: the graph that is to hold it.
        number: the scale or zero point, an array of one number.
        name: what it is called; where the graph has that name, a number is put behind it.
    """
    value = initializer(graph, number, name)
    value.const_value = ir.tensor(number.reshape(()), name=value.name)  # numpy's contiguous copies have an axis
    value.shape = ir.Shape([])
    return value


def _quantizer_number(value: ir.Value) -> str:
    """What sets a further quantizer of a value apart: layers may read one tensor with ranges of their own."""
    others = sum(use.node.op_type == "QuantizeLinear" for use in value.uses())
    return f"_{others}" if others else ""


def first_reader(value: ir.Value) -> ir.Node:
    """The earliest of the nodes that read a value: what it reads instead has to be computed before it."""
    readers = {use.node for use in value.uses()}
    return next(node for node in graph_of(next(iter(readers))) if node in readers)
