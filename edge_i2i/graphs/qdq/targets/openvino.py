"""OpenVINO on CPUs: UINT8 or INT8 activations without zero points, INT8 weights, INT8 in and float out.

What its executed graph shows (2026.4, AVX-512 with VNNI): convolutions run on integers, depthwise and grouped ones too,
whether or not their result is quantized. Transposed convolutions do only where the zero point is 0 and there is one
group. Upsampling is where rounding shows most, so they are the first to go back to float where a budget is missed: on
the demo network that is worth 5 dB for 8 % of the time (docs/quantization.md). Behind equalised channels a zero point
would win nothing, so there is none.

But for graphs with a Concat, anywhere: in them, OpenVINO (2026.4.1) takes INT8 activations for UINT8, and cuts off all
that is negative, wherever a Concat, or a Pad that repeats the picture, is next to the quantizer. The smallest such
graphs are in ``tests/graphs/qdq/test_targets_openvino.py``. UINT8 with a zero point it computes as written.

And but for signed transposed convolutions whose result is no multiple of their stride (3x3, stride 2, padding 1 without
output padding): 2026.4.1 gives other numbers from run to run, or writes beyond its memory. Generators double exactly,
so hardly any is met. They stay in float whatever sign their input has, and are a fault where they read INT8.
"""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edge_i2i.graphs.passes import GraphPass
from edge_i2i.graphs.passes.rewriting import constant, required
from edge_i2i.graphs.qdq.layers import Layer
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.graphs.qdq.targets.protocol import Fault, FaultKind, Target
from edge_i2i.graphs.qdq.targets.reading import DEQUANTIZE, QUANTIZE, quantization, reads_quantized
from edge_i2i.graphs.qdq.targets.unsigned import has_concat, unsigned_beside_concats

_TYPES = ("uint8", "int8", "int32")


class OpenVinoTarget(Target):
    """OpenVINO's CPU plugin."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    scheme: ClassVar[Scheme] = Scheme.ZERO_BASED
    before_pads: ClassVar[bool] = True
    passes: ClassVar[tuple[GraphPass, ...]] = (
        GraphPass(
            "int8-to-uint8",
            "in a graph that joins tensors, INT8 activations become UINT8, 128 higher",
            unsigned_beside_concats,
        ),
    )

    def reason_for_float(self, layer: Layer) -> str:
        """The layer that makes the picture, and what has no integer kernel."""
        if layer.last:
            return "makes the picture: its steps would be seen as bands"
        if layer.operator == "ConvTranspose" and layer.groups > 1:
            return "a transposed convolution in groups: OpenVINO has no integer kernel for it"
        if layer.operator == "ConvTranspose" and not _runs_as_written(layer.node, layer.weight_shape[2:]):
            return "a transposed convolution whose result is no multiple of its stride: OpenVINO may compute another"
        return ""

    def is_delicate(self, layer: Layer) -> bool:
        """Transposed convolutions: what they round goes into the picture with few layers behind to average it."""
        return layer.operator == "ConvTranspose"

    def faults(self, model: ir.Model) -> tuple[Fault, ...]:
        """Quantizers with a computed scale, of a type that its integer kernels do not know, or that it misreads."""
        found, misread = [], has_concat(model)
        for node in model.graph:
            if _is_misread(node):
                found.append(Fault(node, FaultKind.RE_READ, "from INT8, a result that is no multiple of its stride"))
            if node.op_type not in (QUANTIZE, DEQUANTIZE):
                continue
            now = quantization(node)
            if now.scale is None or now.zero_point is None:
                found.append(Fault(node, FaultKind.REFUSED, "its scale or zero point is computed while the graph runs"))
            elif now.dtype not in _TYPES:
                found.append(Fault(node, FaultKind.REFUSED, f"it is {now.dtype.upper()}, not UINT8 or INT8"))
            elif now.dtype == "int32" and constant(required(node, 0)) is None:
                found.append(Fault(node, FaultKind.REFUSED, "INT32 is for biases that are stored in the file"))
            elif misread and node.op_type == QUANTIZE and now.dtype == "int8":
                found.append(Fault(node, FaultKind.RE_READ, "in a graph with a Concat, INT8 may be taken for UINT8"))
        return tuple(found)


def _is_misread(node: ir.Node) -> bool:
    """Whether a node is a transposed convolution of INT8 that OpenVINO may compute wrongly."""
    if node.op_type != "ConvTranspose" or not reads_quantized(node):
        return False
    given, weight = required(node, 0).producer(), required(node, 1).producer()
    integers = None if weight is None else constant(required(weight, 0))
    if given is None or integers is None or quantization(given).dtype != "int8":
        return False
    return not _runs_as_written(node, integers.shape[2:])


def _runs_as_written(node: ir.Node, kernel: tuple[int, ...]) -> bool:
    """Whether OpenVINO computes a transposed convolution as written even from INT8.

    It does where the result is a multiple of the stride, and, with a stride of 2, where nothing is cut off it or added.
    Found by trying kernels of 2 to 7, strides of 2 and 3, paddings of both kinds, one thread and two.
    """
    if "output_shape" in node.attributes or node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET":
        return False
    sides = len(kernel)
    strides, dilations, added = (
        node.attributes.get_ints(name, [default] * sides)
        for name, default in (("strides", 1), ("dilations", 1), ("output_padding", 0))
    )
    pads = node.attributes.get_ints("pads", [0] * 2 * sides)
    cut = [before + after for before, after in zip(pads[:sides], pads[sides:], strict=True)]
    axes = zip(kernel, strides, dilations, added, cut, strict=True)
    return all(
        (spread * (width - 1) + 1 + more - less) % stride == 0 or (stride == 2 and not more and not less)
        for width, stride, spread, more, less in axes
    )
