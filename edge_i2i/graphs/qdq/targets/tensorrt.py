"""TensorRT: signed INT8 around zero, explicit Q/DQ, strongly typed.

Its parser refuses INT32 biases and zero points other than 0, and re-reads UINT8 as INT8 with no more than a warning:
the upper half of every such tensor is cut off. A quantizer without a zero point, which is UINT8 to ONNX, becomes INT8
without even that. Measured with TensorRT-RTX 1.7.1, whose parser and builder need no GPU. That one also builds what the
documentation of TensorRT rules out, activations with a scale for each channel; here they are refused.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edge_i2i.graphs.passes import GraphPass
from edge_i2i.graphs.passes.rewriting import constant, optional, required
from edge_i2i.graphs.qdq.layers import Layer
from edge_i2i.graphs.qdq.scheme import Scheme
from edge_i2i.graphs.qdq.targets.protocol import Fault, FaultKind, Target
from edge_i2i.graphs.qdq.targets.reading import (
    DEQUANTIZE,
    INTEGER_OPERATORS,
    QUANTIZE,
    Quantization,
    dequantizers,
    is_weight,
    quantization,
)
from edge_i2i.graphs.qdq.targets.signed import (
    drop_quantized_biases,
    fold_other_constants,
    re_read_as_int8,
    signed_activations,
)

PICTURE_CHANNELS = 3
CHANNEL_MULTIPLE = 16
"""INT8 tensor cores take channels in groups of so many; others are padded."""
ENOUGH_CHANNELS = 32
"""With fewer channels INT8 does not pay on tensor cores."""


class TensorRtTarget(Target):
    """TensorRT and TensorRT-RTX."""

    name: ClassVar[str] = "tensorrt"
    title: ClassVar[str] = "TensorRT"
    scheme: ClassVar[Scheme] = Scheme.SYMMETRIC
    passes: ClassVar[tuple[GraphPass, ...]] = (
        GraphPass(
            "drop-quantized-bias",
            "biases that are stored as INT32 become floats, because the parser refuses them",
            drop_quantized_biases,
        ),
        GraphPass(
            "fold-quantized-constants",
            "stored integers that are no INT8 weights around zero become floats",
            fold_other_constants,
        ),
        GraphPass(
            "uint8-to-int8",
            "activations become INT8 around zero, with scales that cover their ranges",
            signed_activations,
        ),
    )

    def reason_for_float(self, layer: Layer) -> str:
        """Layers that lose quality, or win no time, in INT8 on tensor cores."""
        if layer.last:
            return "makes the picture: its steps would be seen as bands"
        if layer.operator == "ConvTranspose":
            return "a transposed convolution: slower or wrong in TensorRT's INT8 (TensorRT #1699, #4366)"
        if layer.groups > 1 and layer.groups == layer.input_channels:
            return "a depthwise convolution: bound by memory, it wins nothing on tensor cores"
        if layer.input_channels <= PICTURE_CHANNELS:
            return f"reads a picture of {layer.input_channels} channels: too few for INT8 to pay"
        return ""

    def notes(self, layers: tuple[Layer, ...]) -> tuple[str, ...]:
        """Quantized layers whose channels do not fill tensor cores."""
        chosen = set(self.placement(layers).quantized)
        widths = {
            layer.name: (layer.input_channels // layer.groups, layer.output_channels // layer.groups)
            for layer in layers
            if layer.name in chosen
        }
        odd = [name for name, pair in widths.items() if any(width % CHANNEL_MULTIPLE for width in pair)]
        thin = [name for name, pair in widths.items() if min(pair) < ENOUGH_CHANNELS]
        return tuple(
            f"{len(names)} of {len(widths)} quantized layers have {what}: {', '.join(names)}."
            for names, what in (
                (odd, f"channels that are no multiple of {CHANNEL_MULTIPLE}, which TensorRT pads"),
                (thin, f"fewer than {ENOUGH_CHANNELS} channels, too few for INT8 tensor cores to pay"),
            )
            if names
        )

    def faults(self, model: ir.Model) -> tuple[Fault, ...]:
        """Every quantizer that is not INT8 around zero, and every operator on integers."""
        found = []
        for node in model.graph:
            if node.op_type in INTEGER_OPERATORS:
                found.append(Fault(node, FaultKind.REFUSED, "TensorRT takes Q/DQ around float operators only"))
            elif node.op_type in (QUANTIZE, DEQUANTIZE) and (fault := _fault(node)) is not None:
                found.append(Fault(node, *fault))
        return tuple(found)

    def emulate(self, model: ir.Model) -> ir.Model:
        """The graph as TensorRT's parser reads it: UINT8 becomes INT8 (see ``Target.emulate``)."""
        copy = super().emulate(model)
        re_read_as_int8(copy)
        return copy


def _fault(node: ir.Node) -> tuple[FaultKind, str] | None:
    now = quantization(node)
    if now.scale is None or now.zero_point is None:
        return FaultKind.REFUSED, "its scale or zero point is computed while the graph runs"
    if now.zero_point.any():
        shown = int(now.zero_point.flat[int(np.argmax(now.zero_point != 0))])
        return FaultKind.REFUSED, f"its zero point is {shown}, and must be 0"
    stored = constant(required(node, 0)) is not None
    if node.op_type == QUANTIZE and not stored and not now.per_tensor:
        return FaultKind.REFUSED, "an activation has one scale for all of its channels"
    if node.op_type == DEQUANTIZE and stored and now.dtype == "int8" and not is_weight(node):
        return FaultKind.REFUSED, "only weights are stored as INT8"
    return _type_fault(node, now, stored)


def _type_fault(node: ir.Node, now: Quantization, stored: bool) -> tuple[FaultKind, str] | None:
    if now.dtype == "int8":
        return None
    if now.dtype == "int32":
        return FaultKind.REFUSED, "a bias is not quantized"
    if now.dtype != "uint8":
        return FaultKind.REFUSED, f"it is {now.dtype.upper()}, not INT8"
    if stored or (node.op_type == QUANTIZE and not dequantizers(node)):
        return FaultKind.REFUSED, "it is UINT8, not INT8"
    written = "UINT8" if optional(node, 2) is not None else "UINT8, as one without a zero point is,"
    return FaultKind.RE_READ, f"{written} is re-read as INT8, and all above 127 steps is cut off"
