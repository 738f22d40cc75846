"""Convolutions as passes see them: plain numbers instead of attributes, with ONNX's defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass

import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.rewriting import constant, optional, static_shape


@dataclass(frozen=True)
class Convolution:
    """A two-dimensional Conv with constant weights [out, in / groups, kh, kw] and explicit padding."""

    node: ir.Node
    weight: Array
    bias: Array | None
    pads: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    groups: int

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def is_dense(self) -> bool:
        """Whether it visits every pixel with neighbouring taps, and all channels at once."""
        return self.strides == (1, 1) and self.dilations == (1, 1) and self.groups == 1


def read_convolution(node: ir.Node) -> Convolution | None:
    """The convolution that a node is; None where it is none of that kind or at no static size."""
    if node.op_type != "Conv" or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return None
    weight, bias = constant(optional(node, 1)), optional(node, 2)
    biases = constant(bias)
    if weight is None or weight.ndim != 4 or (bias is not None and biases is None):
        return None
    if node.inputs[0] is None or static_shape(node.inputs[0]) is None or static_shape(node.outputs[0]) is None:
        return None
    attributes = node.attributes
    return Convolution(
        node,
        weight,
        biases,
        tuple(attributes.get_ints("pads", (0, 0, 0, 0))),
        tuple(attributes.get_ints("strides", (1, 1))),
        tuple(attributes.get_ints("dilations", (1, 1))),
        attributes.get_int("group", 1),
    )
