"""ONNX Runtime on CPUs: UINT8 activations, INT8 weights, and integer kernels only where the result is quantized, too.

So there are two modes. *Fast* quantizes what convolutions read and what they write: the only form that its optimizer
fuses into integer convolutions. That puts a quantizer between a convolution and its norm, and costs 3 to 8 dB.
*Accurate* quantizes inputs and weights only, computes in float, and is for handing a graph over to engines that need no
more. There is no integer kernel for transposed convolutions.

On x86 without VNNI, integer kernels add pairs of products in 16 bits, which large ones overflow; that is not emulated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import numpy as np
import onnx_ir as ir

from edge_i2i.errors import GraphError
from edge_i2i.graphs.passes.rewriting import graph_of, insert, remove_unused, static_shape
from edge_i2i.graphs.qdq.insert import first_reader, scalar
from edge_i2i.graphs.qdq.layers import Layer
from edge_i2i.graphs.qdq.scheme import Range, Scheme, quantizer_for
from edge_i2i.graphs.qdq.targets.protocol import Fault, FaultKind, Target
from edge_i2i.graphs.qdq.targets.reading import (
    DEQUANTIZE,
    QUANTIZE,
    pad_input,
    quantization,
    quantized_convolutions,
    readers,
    reads_quantized,
)
from edge_i2i.requirements import require

QUANTIZE_OUTPUTS = "quantize-conv-outputs"

_TYPES = ("uint8", "int8", "int32")
_INTEGER_KERNELS = ("QLinearConv", "ConvInteger")


class Mode(StrEnum):
    """Whether results are quantized so that integers are computed, or kept in float so that quality is."""

    FAST = "fast"
    ACCURATE = "accurate"


class OnnxRuntimeTarget(Target):
    """ONNX Runtime's CPU provider."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime"
    scheme: ClassVar[Scheme] = Scheme.ASYMMETRIC

    def __init__(self, mode: Mode = Mode.FAST) -> None:
        self.mode = mode

    @property
    def needs_outputs(self) -> bool:
        """Whether ``legalise`` wants to know what convolutions write: in fast mode it does."""
        return self.mode is Mode.FAST

    def reason_for_float(self, layer: Layer) -> str:
        """The layer that makes the picture; in fast mode also what has no integer kernel."""
        if layer.last:
            return "makes the picture: its steps would be seen as bands"
        if self.needs_outputs and layer.operator == "ConvTranspose":
            return "a transposed convolution: ONNX Runtime has no integer kernel for it"
        return ""

    def legalise(self, model: ir.Model, outputs: Mapping[str, Range] | None = None) -> dict[str, int]:
        """Run the passes (see ``Target.legalise``); in fast mode, also quantize what convolutions write.

        Raises:
            GraphError: in fast mode, the range of a quantized convolution's result is not known.
        """
        counts = super().legalise(model, outputs)
        if self.needs_outputs:
            counts[QUANTIZE_OUTPUTS] = quantize_outputs(model, {} if outputs is None else outputs)
        return counts

    def faults(self, model: ir.Model) -> tuple[Fault, ...]:
        """Types that it has no kernels for; in fast mode also quantized convolutions that it would compute in float."""
        found = []
        for node in model.graph:
            reason = _quantizer_fault(node) if node.op_type in (QUANTIZE, DEQUANTIZE) else ""
            if self.needs_outputs and node.op_type in ("Conv", "ConvTranspose") and reads_quantized(node):
                reason = _fusion_fault(node)
            if reason:
                kind = FaultKind.REFUSED if node.op_type in (QUANTIZE, DEQUANTIZE) else FaultKind.RE_READ
                found.append(Fault(node, kind, reason))
        return tuple(found)

    def notes(self, layers: tuple[Layer, ...]) -> tuple[str, ...]:
        """Tell in a sentence what the mode costs in speed or quality."""
        if self.mode is Mode.ACCURATE:
            return ("ONNX Runtime computes this graph in float, slower than an FP32 graph: it is for other engines.",)
        return ("Results of convolutions are quantized as well, in front of norms, too: the picture loses 3 to 8 dB.",)


def quantize_outputs(model: ir.Model, outputs: Mapping[str, Range]) -> int:
    """Quantize what the quantized convolutions write, in place; returns how many of them that took.

    Left as they are: results that are quantized already, by the next convolution or behind a ReLU that the quantizer
    takes over, and transposed convolutions.

    Args:
        model: a graph behind ``insert_qdq``.
        outputs: what each layer's result reaches, by layer name.

    Raises:
        GraphError: the range of a layer's result is not known.
    """
    waiting = {
        name: node
        for name, node in quantized_convolutions(model).items()
        if node.op_type == "Conv" and not _is_quantized(node.outputs[0]) and readers(node.outputs[0])
    }
    unmeasured = sorted(waiting.keys() - outputs.keys())
    if unmeasured:
        raise GraphError(
            f"No range is known for the result of {', '.join(unmeasured)}.",
            remedy="Calibrate this very graph with the ranges of results, too.",
        )
    for name, node in waiting.items():
        _quantize_output(node, outputs[name])
    remove_unused(model)
    return len(waiting)


def _quantize_output(node: ir.Node, reached: Range) -> None:
    value, graph = node.outputs[0], graph_of(node)
    quantizer, shape = quantizer_for(reached, Scheme.ASYMMETRIC), static_shape(value) or []
    uses, first = list(value.uses()), first_reader(value)
    scale = scalar(graph, np.array(quantizer.scale, np.float32), f"{value.name}_scale")
    point = scalar(graph, np.array(quantizer.zero_point, quantizer.dtype), f"{value.name}_zero_point")
    steps = insert(first, QUANTIZE, [value, scale, point], shape)
    steps.type = ir.TensorType(ir.DataType.UINT8)
    result = insert(first, DEQUANTIZE, [steps, scale, point], shape)
    result.type = value.type
    for use in uses:
        use.node.replace_input_with(use.idx, result)


def _is_quantized(value: ir.Value) -> bool:
    """Whether only quantizers read a result, or a ReLU that they can stand for, because they cut off at zero."""
    found = readers(value)
    if value.is_graph_output() or not found:
        return False
    if len(found) == 1 and found[0].op_type == "Relu":
        behind = readers(found[0].outputs[0])
        return bool(behind) and all(node.op_type == QUANTIZE and quantization(node).covered.low >= 0 for node in behind)
    return len(found) == 1 and found[0].op_type == QUANTIZE


def _fusion_fault(node: ir.Node) -> str:
    if node.op_type == "ConvTranspose":
        return "there is no integer kernel for it, so that it runs in float"
    if pad_input(node) is not None:
        return "a Pad lies between its quantizer and it, so that it runs in float"
    if not _is_quantized(node.outputs[0]):
        return "its result is not quantized, so that it runs in float"
    return ""


def _quantizer_fault(node: ir.Node) -> str:
    now = quantization(node)
    return "" if now.dtype in _TYPES else f"it is {now.dtype.upper()}, not UINT8 or INT8"


def integer_convolutions(data: bytes) -> tuple[int, int]:
    """How many convolutions ONNX Runtime computes on integers here, and how many there are, transposed ones included.

    Its optimizer is run over the graph, and what it makes of it is read; nothing is computed.

    Args:
        data: an ONNX file's bytes.
    """
    import onnx

    ort = require("onnxruntime", extra="cpu", purpose="Counting integer convolutions")
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 1
    with TemporaryDirectory(prefix="edge-i2i-") as folder:
        path = Path(folder) / "optimised.onnx"
        settings.optimized_model_filepath = str(path)
        ort.InferenceSession(data, settings, providers=["CPUExecutionProvider"])
        found = Counter(node.op_type for node in onnx.load(path).graph.node if "Conv" in node.op_type)
    return sum(found[kernel] for kernel in _INTEGER_KERNELS), found.total()
