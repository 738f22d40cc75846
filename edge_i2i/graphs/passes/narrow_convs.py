"""Convolutions that write very few channels, such as the 64 → 3 one that makes the picture, do four pixels a time.

Vector units hold 8 or 16 output channels; one that writes three leaves most of them idle. The same kernel, shifted to
the four places of a 2x2 square and written side by side with zeros around, is one convolution of stride 2 that writes
12 channels: a 7x7 kernel becomes an 8x8 one, and needs 1.3 times the products on four times the lanes. DepthToSpace
puts the pixels back.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.convolutions import Convolution, read_convolution
from edge_i2i.graphs.passes.rewriting import (
    graph_of,
    initializer,
    insert,
    remove_unused,
    replace,
    required,
    static_shape,
)

MOST_CHANNELS = 4
"""Output channels above which the lanes are filled well enough without."""

LEAST_KERNEL = 3
"""Rows of a kernel below which the zeros cost more than the lanes give: 1x1 would become 2x2."""


def narrow_conv_as_phases(model: ir.Model) -> int:
    """Compute convolutions of at most four output channels for 2x2 pixels at a time."""
    found = [conv for node in model.graph if (conv := read_convolution(node)) is not None and _pays(conv)]
    for conv in found:
        _rewrite(conv)
    remove_unused(model)
    return len(found)


def _pays(conv: Convolution) -> bool:
    _, channels, height, width = static_shape(conv.node.outputs[0]) or [0, 0, 0, 0]
    square = conv.kernel[0] == conv.kernel[1] >= LEAST_KERNEL
    return conv.is_dense and square and channels <= MOST_CHANNELS and height % 2 == 0 == width % 2


def _rewrite(conv: Convolution) -> None:
    node, graph = conv.node, graph_of(conv.node)
    batch, channels, height, width = static_shape(node.outputs[0]) or [0, 0, 0, 0]
    inputs = [required(node, 0), initializer(graph, square_weights(conv.weight), f"{required(node, 1).name}_square")]
    if conv.bias is not None:
        inputs.append(initializer(graph, np.tile(conv.bias, 4), f"{required(node, 1).name}_square_bias"))
    shape = (batch, 4 * channels, height // 2, width // 2)
    small = insert(node, "Conv", inputs, shape, pads=list(conv.pads), strides=[2, 2])
    replace(node, [insert(node, "DepthToSpace", [small], (batch, channels, height, width), blocksize=2, mode="DCR")])


def square_weights(weight: Array) -> Array:
    """The kernel [out, in, side, side] at the four places of a square: [4·out, in, side + 1, side + 1], DCR order."""
    out, channels, side, _ = weight.shape
    placed = np.zeros((2, 2, out, channels, side + 1, side + 1), weight.dtype)
    for row in range(2):
        for column in range(2):
            placed[row, column, :, :, row : row + side, column : column + side] = weight
    return placed.reshape(4 * out, channels, side + 1, side + 1)
