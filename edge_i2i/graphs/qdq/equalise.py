"""Channels of one size: an exact rewrite that gives every channel of a quantized tensor all of its 255 levels.

One scale serves a whole activation, so a channel that reaches a fifth of the largest one gets a fifth of the levels.
Residual streams of image translators spread that far, and what they feed (above all the first upsampling) loses most
of the picture there. Dividing each channel by what it reaches, and multiplying the weights that read it by the same,
changes nothing in float; behind it every channel is quantized as finely as the widest. Weights have a scale for each
*output* channel, and bear the wider spread along their inputs well: on the trained demo network this is worth 3.7 dB
(docs/quantization.md). The idea is that of cross-layer equalization (Nagel et al. 2019) and of SmoothQuant (Xiao et al.
2023, with all of the migration strength on the activations), at the one place where our placement has quantizers.

The division disappears into an instance norm's scale and shift where nothing but a rectifier lies between.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.errors import GraphError
from edge_i2i.graphs.passes.rewriting import constant, graph_of, initializer, insert, required, static_shape
from edge_i2i.graphs.qdq.layers import Layer, find_layers
from edge_i2i.graphs.qdq.scheme import Range

HEADROOM = 1.5
"""How much farther than in calibration a widened channel may reach before it is clipped. Another picture wakes channels
up that calibration saw asleep, and a clipped channel costs far more than half a bit: over random choices of 4, 6 and 8
of eleven very different photographs, headroom 1 gave the demo network medians of 43 to 46 dB on the others and 29 to 38
at worst, this one 46 to 47 and 35 to 46, and no equalisation 44 to 45 and 40 to 44."""

LARGEST_GAIN = 4.0
"""A channel that hardly moves is widened by no more than this, for the same reason."""

_RECTIFIERS = frozenset({"Relu", "LeakyRelu"})  # a positive factor passes through them


@dataclass(frozen=True)
class ChannelRanges:
    """What each channel of a layer's input reaches: float32 ``[channels]`` each."""

    low: Array
    high: Array

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        if self.low.shape != self.high.shape or self.low.ndim != 1 or not self.low.size:
            raise GraphError(f"Channel ranges of shapes {self.low.shape} and {self.high.shape} do not fit.")

    @property
    def whole(self) -> Range:
        """The range of all channels together."""
        return Range(float(self.low.min()), float(self.high.max()))

    def gains(self, headroom: float = HEADROOM) -> Array:
        """What to multiply each channel with so that all reach about as far as the farthest; 1 for that one."""
        reach = np.maximum(np.abs(self.low), np.abs(self.high))
        farthest = float(reach.max(initial=0.0))
        if farthest == 0.0:
            return np.ones_like(reach)
        return np.asarray(farthest / np.clip(reach * headroom, farthest / LARGEST_GAIN, farthest), np.float32)

    def widened(self, gains: Array, headroom: float = HEADROOM) -> ChannelRanges:
        """What the channels may reach when they are multiplied by ``gains``: no farther than the farthest did."""
        farthest = self.whole.largest
        room = gains * np.where(gains > 1.0, headroom, 1.0)
        return ChannelRanges(
            np.maximum(self.low * room, -farthest).astype(np.float32),
            np.minimum(self.high * room, farthest).astype(np.float32),
        )


def equalise_channels(
    model: ir.Model, reached: Mapping[str, ChannelRanges], layers: Collection[str], headroom: float = HEADROOM
) -> dict[str, Range]:
    """Make the channels that the named layers read equally wide, in place; returns the range of every layer's input.

    Left as they are: the layers that make the picture, grouped convolutions, and weights that two layers share.

    Args:
        model: a FP32 graph at a static size.
        reached: what each layer's input reaches in that graph, by layer name.
        layers: the layers whose inputs will be quantized.
        headroom: how much farther than ``reached`` a widened channel may reach.
    """
    found = find_layers(model)
    ranges = {layer.name: reached[layer.name].whole for layer in found if layer.name in reached}
    for group in _groups(found, reached, layers):
        whole = _union([reached[layer.name] for layer in group])
        gains = whole.gains(headroom)
        if np.allclose(gains, 1.0):
            continue
        _multiply(group, gains)
        for layer in group:
            _divide_weights(layer, gains)
            ranges[layer.name] = reached[layer.name].widened(gains, headroom).whole
    return ranges


def _groups(
    found: tuple[Layer, ...], reached: Mapping[str, ChannelRanges], layers: Collection[str]
) -> list[list[Layer]]:
    """Layers that read one tensor, and so share its gains."""
    shared = {layer.weight for layer in found if sum(other.weight is layer.weight for other in found) > 1}
    groups: dict[ir.Value, list[Layer]] = defaultdict(list)
    for layer in found:
        plain = layer.groups == 1 and layer.weight not in shared and not layer.weight.is_graph_output()
        if layer.name in layers and layer.name in reached and plain:
            groups[layer.source].append(layer)
    return list(groups.values())


def _union(ranges: list[ChannelRanges]) -> ChannelRanges:
    low = np.min([item.low for item in ranges], axis=0)
    high = np.max([item.high for item in ranges], axis=0)
    return ChannelRanges(low, high)


def _multiply(group: list[Layer], gains: Array) -> None:
    """Widen the tensor that the group reads: inside the norm that makes it, or by a product of its own."""
    source = group[0].source
    norm = _norm_before(source, group)
    if norm is not None:
        _scale_norm(norm, gains)
        return
    readers = {layer.pad or layer.node for layer in group}
    first = next(node for node in graph_of(group[0].node) if node in readers)
    factor = initializer(graph_of(first), gains.reshape(1, -1, 1, 1), f"{source.name}_gains")
    product = insert(first, "Mul", [source, factor], static_shape(source) or [])
    product.name = f"{source.name}_equalised"
    for reader in readers:
        _read(reader, source, product)


def _read(reader: ir.Node, source: ir.Value, product: ir.Value) -> None:
    """Let a reader take the product; a Pad that others read too stays as it is beside a new one."""
    for index, value in enumerate(reader.inputs):
        if value is source:
            reader.replace_input_with(index, product)


def _norm_before(source: ir.Value, group: list[Layer]) -> ir.Node | None:
    """The instance norm behind a tensor, where only a rectifier lies between and nobody else reads what is between."""
    readers = {layer.pad or layer.node for layer in group}
    value = source
    if {use.node for use in value.uses()} != readers or value.is_graph_output():
        return None
    node = value.producer()
    if node is not None and node.op_type in _RECTIFIERS:
        value = required(node, 0)
        if len(value.uses()) != 1 or value.is_graph_output():
            return None
        node = value.producer()
    if node is None or node.op_type != "InstanceNormalization":
        return None
    return node if all(constant(required(node, index)) is not None for index in (1, 2)) else None


def _scale_norm(norm: ir.Node, gains: Array) -> None:
    graph = graph_of(norm)
    for index in (1, 2):
        value = required(norm, index)
        array = constant(value)
        if array is not None:
            norm.replace_input_with(
                index, initializer(graph, np.asarray(array * gains, np.float32), f"{value.name}_eq")
            )


def _divide_weights(layer: Layer, gains: Array) -> None:
    weight = constant(layer.weight)
    if weight is None:
        raise GraphError(f"The weight of '{layer.name}' has no data.")
    shape = [1] * 4
    shape[1 - layer.output_axis] = -1
    divided = (weight / gains.reshape(shape)).astype(np.float32)
    layer.weight.const_value = ir.tensor(divided, name=layer.weight.name)
