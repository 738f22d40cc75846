"""OpenVINO on CPUs: UINT8 or INT8 activations without zero points, INT8 weights, INT8 in and float out.

What its executed graph shows (2026.4, AVX-512 with VNNI): convolutions run on integers, depthwise and grouped ones too,
whether or not their result is quantized. Transposed convolutions do only where the zero point is 0 and there is one
group. Upsampling is where rounding shows most, so they are the first to go back to float where a budget is missed: on
the demo network that is worth 5 dB for 8 % of the time (docs/quantization.md). Behind equalised channels a zero point
would win nothing, so there is none.

But for graphs with a Concat, anywhere: in them, OpenVINO (2026.4.1) takes INT8 activations for UINT8, and cuts off all
that is negative, wherever a Concat, or a Pad that repeats the picture, is next to the quantizer. The smallest such
graphs are in ``tests/graphs/qdq/test_targets_openvino.py``. UINT8 with a zero point it computes as written.
"""

from __future__ import annotations

from typing import ClassVar

import onnx_ir as ir

from edge_i2i.graphs.passes import GraphPass
from edge_i2i.graphs.passes.rewriting import constant, required
from edge_i2i.graphs.qdq.layers import Layer
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.graphs.qdq.targets.protocol import Fault, FaultKind, Target
from edge_i2i.graphs.qdq.targets.reading import DEQUANTIZE, QUANTIZE, quantization
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
        return ""

    def is_delicate(self, layer: Layer) -> bool:
        """Transposed convolutions: what they round goes into the picture with few layers behind to average it."""
        return layer.operator == "ConvTranspose"

    def faults(self, model: ir.Model) -> tuple[Fault, ...]:
        """Quantizers with a computed scale, of a type that its integer kernels do not know, or that it misreads."""
        found, misread = [], has_concat(model)
        for node in model.graph:
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
