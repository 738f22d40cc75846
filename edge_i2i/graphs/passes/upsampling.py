"""Nearest ×2 upsampling and the convolution behind it, computed at the low resolution.

Every low-resolution pixel of a nearest-upsampled tensor is read several times by each kernel. Summing the weights that
meet the same pixel gives one small kernel for each of the four phases (even or odd row, even or odd column) of the
output: a 5x5 kernel becomes four 3x3 ones (25 → 9 products an output value), a 3x3 kernel four 2x2 ones (9 → 4). The
four are one convolution with 4 times the channels, and DepthToSpace interleaves its results.

Zero and edge padding are exact as they are. Reflection of two rows, as in front of a 5x5 kernel, is edge padding but
for the outermost output ring: the padded rows are u₁ u₀ | u₀ u₀ u₁ …, where edge padding has u₀ u₀ | u₀ u₀ u₁ …, and
only the outermost output row reaches that far. The ring is computed by the original convolution on thin strips.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.convolutions import Convolution, read_convolution
from edge_i2i.graphs.passes.rewriting import (
    constant,
    graph_of,
    initializer,
    insert,
    insert_several,
    integers,
    optional,
    pad_amounts,
    remove_unused,
    replace,
    required,
    static_shape,
)

Padding = Literal["zero", "edge", "reflect"]

# How Resize may pick the nearest pixel so that every pixel is just doubled.
_DOUBLING = (("asymmetric", "floor"), ("half_pixel", "round_prefer_floor"), ("half_pixel", "round_prefer_ceil"))

LEAST_SAVING = 640
"""How many products an output value must save for phases to pay. Interleaving them costs time of its own (ONNX Runtime
does it on one thread): 3x3 kernels gain from about 128 input channels on, 5x5 ones from about 40."""


def upsample_conv_as_phases(model: ir.Model, least_saving: int = LEAST_SAVING) -> int:
    """Turn nearest ×2 upsampling → padding → 3x3 or 5x5 convolution into a convolution at the low resolution.

    Only where that saves ``least_saving`` products an output value.
    """
    found = [match for match in _matches(model) if match.side > 1 and match.saving >= least_saving]
    for match in found:
        _PhaseConvolution(match).rewrite()
    remove_unused(model)
    return len(found)


def upsample_after_pointwise_conv(model: ir.Model) -> int:
    """Move nearest ×2 upsampling behind a 1x1 convolution, which then has a quarter of the pixels to do."""
    found = [match for match in _matches(model) if match.side == 1]
    for match in found:
        _convolve_first(match)
    remove_unused(model)
    return len(found)


@dataclass(frozen=True)
class _UpsampledConvolution:
    """A convolution that keeps the size of a tensor which nearest upsampling doubled."""

    conv: Convolution
    resize: ir.Node
    padding: Padding

    @property
    def side(self) -> int:
        """Rows (and columns) of the kernel."""
        return self.conv.kernel[0]

    @property
    def taps(self) -> int:
        """Rows (and columns) of the kernels of its four phases."""
        return (self.side + 1) // 2

    @property
    def saving(self) -> int:
        """Products an output value that the phases need less."""
        channels: int = self.conv.weight.shape[1]
        return (self.side * self.side - self.taps * self.taps) * channels

    @property
    def low(self) -> ir.Value:
        """The tensor before upsampling, [N, C, H, W]."""
        return required(self.resize, 0)


def _matches(model: ir.Model) -> list[_UpsampledConvolution]:
    return [match for node in model.graph if (match := _match(node)) is not None]


def _match(node: ir.Node) -> _UpsampledConvolution | None:
    conv = read_convolution(node)
    if conv is None or not conv.is_dense or conv.kernel not in ((1, 1), (3, 3), (5, 5)):
        return None
    before = required(node, 0).producer()
    if before is not None and before.op_type == "Pad":
        padding = _pad_of(before, conv)
        before = required(before, 0).producer()
    else:
        padding = "zero" if conv.pads == (conv.kernel[0] // 2,) * 4 else None
    if before is None or padding is None or not _doubles(before):
        return None
    return _UpsampledConvolution(conv, before, padding)


def _pad_of(pad: ir.Node, conv: Convolution) -> Padding | None:
    """How a Pad in front of a convolution keeps the size; None where it does not, or does so in another way."""
    rows = conv.kernel[0] // 2
    if any(conv.pads) or pad_amounts(pad) != [(0, 0), (0, 0), (rows, rows), (rows, rows)]:
        return None
    mode = pad.attributes.get_string("mode", "constant")
    if mode == "constant":
        fill = optional(pad, 2)
        filled = constant(fill)
        return "zero" if fill is None or (filled is not None and not filled.any()) else None
    if mode == "reflect":
        # One mirrored row of doubled pixels is the same pixel again.
        return "reflect" if rows > 1 else "edge"
    return "edge" if mode == "edge" else None


def _doubles(node: ir.Node) -> bool:
    """Whether a Resize repeats every pixel twice along both spatial axes."""
    attributes = node.attributes
    picks = (
        attributes.get_string("coordinate_transformation_mode", "half_pixel"),
        attributes.get_string("nearest_mode", "round_prefer_floor"),
    )
    if node.op_type != "Resize" or attributes.get_string("mode", "nearest") != "nearest" or picks not in _DOUBLING:
        return False
    before, after = static_shape(required(node, 0)), static_shape(node.outputs[0])
    if "axes" in attributes or before is None or after is None or len(before) != 4:
        return False
    scales, sides = constant(optional(node, 2)), constant(optional(node, 3))
    exact = scales is not None and scales.tolist() == [1, 1, 2, 2]
    return (exact or sides is not None) and after == [*before[:2], 2 * before[2], 2 * before[3]]


def _convolve_first(match: _UpsampledConvolution) -> None:
    """Let the 1x1 convolution read the small tensor, and upsample its result: the same with a quarter of the work."""
    node, resize = match.conv.node, match.resize
    batch, _, height, width = _sides(match.low)
    channels = len(match.conv.weight)
    small = insert(node, "Conv", [match.low, *node.inputs[1:]], (batch, channels, height, width), **_plain(node))
    sizes = resize.inputs[1:3]
    if optional(resize, 3) is not None:  # sizes name the channels too, which are others now
        sizes = [None, None, integers(graph_of(node), (batch, channels, 2 * height, 2 * width))]
    large = insert(node, "Resize", [small, *sizes], (batch, channels, 2 * height, 2 * width), **_plain(resize))
    replace(node, [large])


def _plain(node: ir.Node) -> dict[str, object]:
    return {name: attribute.value for name, attribute in node.attributes.items()}


def _sides(value: ir.Value) -> tuple[int, int, int, int]:
    shape = static_shape(value) or []
    batch, channels, height, width = shape
    return batch, channels, height, width


class _PhaseConvolution:
    """One convolution for all four phases, interleaved, with the output ring put right where it needs to be."""

    def __init__(self, match: _UpsampledConvolution) -> None:
        self.match = match
        self.node = match.conv.node
        self.graph = graph_of(self.node)
        self.batch, _, self.height, self.width = _sides(match.low)
        self.channels = len(match.conv.weight)

    def rewrite(self) -> None:
        value = self._phases()
        if self.match.side == 3:  # its output begins one row and one column early
            value = self._without_ring(value, 2 * self.height, 2 * self.width)
        if self.match.padding == "reflect":
            value = self._with_exact_ring(value)
        replace(self.node, [value])

    def _phases(self) -> ir.Value:
        weights = phase_weights(self.match.conv.weight)
        name = required(self.node, 1).name
        inputs = [self._padded(), initializer(self.graph, weights, f"{name}_phases")]
        if self.match.conv.bias is not None:
            inputs.append(initializer(self.graph, np.tile(self.match.conv.bias, 4), f"{name}_phases_bias"))
        more = 1 if self.match.side == 3 else 0
        height, width = self.height + more, self.width + more
        pads = [1 if self.match.padding == "zero" else 0] * 4
        small = insert(self.node, "Conv", inputs, (self.batch, 4 * self.channels, height, width), pads=pads)
        shape = (self.batch, self.channels, 2 * height, 2 * width)
        return insert(self.node, "DepthToSpace", [small], shape, blocksize=2, mode="DCR")

    def _padded(self) -> ir.Value:
        """Repeat the outermost rows and columns; zeros are the convolution's own padding."""
        low = self.match.low
        if self.match.padding == "zero":
            return low
        batch, channels, height, width = _sides(low)
        amounts = integers(self.graph, (0, 0, 1, 1, 0, 0, 1, 1))
        return insert(self.node, "Pad", [low, amounts], (batch, channels, height + 2, width + 2), mode="edge")

    def _without_ring(self, value: ir.Value, height: int, width: int) -> ir.Value:
        bounds = [integers(self.graph, pair) for pair in ((1, 1), (height + 1, width + 1), (2, 3))]
        return insert(self.node, "Slice", [value, *bounds], (self.batch, self.channels, height, width))

    def _with_exact_ring(self, value: ir.Value) -> ir.Value:
        """Replace the outermost ring by what the original convolution gives there."""
        height, width = 2 * self.height, 2 * self.width
        inner = self._without_ring(value, height - 2, width - 2)
        top, bottom = self._ends(2, _mirrored(self.width))
        left, right = self._ends(3, _mirrored(self.height)[1:-1])
        middle = insert(
            self.node, "Concat", [left, inner, right], (self.batch, self.channels, height - 2, width), axis=3
        )
        return insert(self.node, "Concat", [top, middle, bottom], (self.batch, self.channels, height, width), axis=2)

    def _ends(self, axis: int, along: list[int]) -> tuple[ir.Value, ir.Value]:
        """The first and the last output row (axis 2) or column (axis 3), from the low-resolution pixels ``along``.

        The five upsampled and padded rows that each of the two reads lie one after the other, so that a stride of five
        visits both and nothing between.
        """
        sides = list(_sides(self.match.low))
        ends, other = self.height if axis == 2 else self.width, 5 - axis
        sides[axis] = 10
        strip = insert(self.node, "Gather", [self.match.low, self._indices(_ends_mirrored(ends))], sides, axis=axis)
        sides[other] = len(along)
        strip = insert(self.node, "Gather", [strip, self._indices(along)], sides, axis=other)
        shape = [self.batch, self.channels, 0, 0]
        shape[axis], shape[other] = 2, len(along) - 4
        strides = [5, 1] if axis == 2 else [1, 5]
        both = insert(self.node, "Conv", [strip, *self.node.inputs[1:]], shape, strides=strides)
        shape[axis] = 1
        first, last = insert_several(self.node, "Split", [both], [shape, shape], axis=axis, num_outputs=2)
        return first, last

    def _indices(self, numbers: list[int]) -> ir.Value:
        return integers(self.graph, numbers)


def _mirrored(side: int) -> list[int]:
    """Which low-resolution pixel lies at each place of an upsampled row with two reflected pixels at both ends.

    >>> _mirrored(3)
    [1, 0, 0, 0, 1, 1, 2, 2, 2, 1]
    """
    return [1, 0, *(place // 2 for place in range(2 * side)), side - 1, side - 2]


def _ends_mirrored(side: int) -> list[int]:
    """The first five and the last five places of ``_mirrored``.

    >>> _ends_mirrored(3)
    [1, 0, 0, 0, 1, 1, 2, 2, 2, 1]
    """
    return [*_mirrored(side)[:5], *_mirrored(side)[-5:]]


def phase_weights(weight: Array) -> Array:
    """The phase kernels [4·out, in, taps, taps] of a 3x3 or 5x5 kernel [out, in, side, side], in DepthToSpace's order.

    For a 3x3 kernel the phases are swapped: its odd output rows come first, then the even ones that follow them.
    """
    order = (0, 1) if weight.shape[2] == 5 else (1, 0)
    kernels = [_sum_taps(_sum_taps(weight, 2, row), 3, column) for row in order for column in order]
    return np.concatenate(kernels).astype(weight.dtype)


def _sum_taps(weight: Array, axis: int, phase: int) -> Array:
    """Add up the weights along one axis that meet the same low-resolution pixel in even (0) or odd (1) output rows."""
    side = weight.shape[axis]
    pixels = [(phase + tap - side // 2) // 2 for tap in range(side)]
    taps = np.moveaxis(weight.astype(np.float64), axis, 0)
    sums = np.zeros(((side + 1) // 2, *taps.shape[1:]))
    for pixel, tap in zip(pixels, taps, strict=True):
        sums[pixel - pixels[0]] += tap
    return np.moveaxis(sums, 0, axis)
