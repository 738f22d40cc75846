"""OpenVINO on x86 and ARM CPUs.

Left to itself, OpenVINO computes floats in BF16 where the processor has it, and adds up INT8 products inexactly where
it lacks the instructions: one file would give other pictures on other machines. So both are settled here. Floats are
computed in what the variant was judged in, FP32 where nothing is known; and integers in integers only where they come
out as they are written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import LARGEST_WEIGHT
from edge_i2i.engines.effective import Arithmetic
from edge_i2i.engines.openvino import capabilities as openvino_capabilities
from edge_i2i.engines.openvino.precision import read_arithmetic
from edge_i2i.engines.protocol import (
    Availability,
    Engine,
    EngineOptions,
    GraphSource,
    Session,
    SessionInfo,
    not_loadable,
)
from edge_i2i.errors import GraphError, MissingRequirementError
from edge_i2i.requirements import installed_version, require

if TYPE_CHECKING:
    import openvino

_QUANTIZED = ("int8", "mixed")
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}
_FULL = "fp32"
_WITHOUT_BEING_JUDGED = (_FULL,)
_WORTH_TRYING = (_FULL, "bf16")
_INTEGERS_AS_FLOATS = {"LP_TRANSFORMS_MODE": False}
_INTEGER_TYPES = {"i8": 0, "u8": 128}  # of weights, and where their middle lies
_KERNEL_AXES = 3  # at least, of a convolution's weights
OVERFLOW_SAFE = 64
"""Two weights of at most this size times the largest step fit into 16 bits together."""


class OpenVinoEngine(Engine):
    """Compiles the ONNX file for the CPU, tuned for the latency of single frames."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO (CPU)"
    preference: ClassVar[int] = 20
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "mixed", "int8")
    target: ClassVar[str | None] = "openvino"
    misreading: ClassVar[str] = "it moves and merges quantizers by rules of its own"
    forced_precisions: ClassVar[tuple[str, ...]] = tuple(_HINTS)

    def availability(self) -> Availability:
        """Whether OpenVINO is installed; every x86-64 and ARM64 CPU will do."""
        version = installed_version("openvino")
        if version is None:
            return Availability(False, reason="openvino is not installed.", remedy="pip install 'edge-i2i[cpu]'")
        return Availability(True, version=version)

    def precisions_here(self) -> tuple[str, ...]:
        """What the processor has instructions for; what it has not, OpenVINO would compute in FP32 without a word."""
        return openvino_capabilities.found().floats

    def float_choices(self) -> tuple[str, ...]:
        """FP32, and BF16 where the processor has it: faster, at about 50 dB, and less of a sensitive network."""
        here = self.precisions_here()
        return tuple(name for name in _WORTH_TRYING if name in here)

    def arithmetic_here(self) -> str:
        """The float arithmetic that this processor has, and whether it adds up integers exactly, in words."""
        return str(openvino_capabilities.found())

    def largest_weight(self) -> int:
        """All of INT8 where its products are added up exactly, else what two sums of 16 bits hold."""
        return LARGEST_WEIGHT if openvino_capabilities.found().exact_integers else OVERFLOW_SAFE

    def judged_in(self, graph: GraphSource) -> tuple[str, ...]:
        """The float arithmetic that the bundle says a graph was judged in; FP32 where it says nothing."""
        return graph.floats or _WITHOUT_BEING_JUDGED

    def runs_in(self, graph: GraphSource) -> str | None:
        """The first arithmetic that a graph was judged in and that this processor has; None: it has none of them."""
        return next((name for name in self.judged_in(graph) if self._has(name)), None)

    def lacks(self, graph: GraphSource, options: EngineOptions) -> str:
        """Why a graph cannot be computed here: no instructions for what it was judged in. Empty where it can be."""
        if options.precision is not None or self.runs_in(graph) is not None:
            return ""
        judged = " or ".join(self.judged_in(graph)).upper()
        return f"its pictures were judged with floats in {judged}, and this processor has no instructions for that"

    def _has(self, precision: str) -> bool:
        """Whether this processor has that float arithmetic; FP32 is everywhere, so nothing is found out for it."""
        return precision == _FULL or precision in self.precisions_here()

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Compile for latency, in the float arithmetic of ``judged_in`` unless another is asked for.

        Where the processor would add up a quantized graph's products inexactly, they are computed as floats: slower
        than FP32, but the pictures that were judged. ``info`` says so.
        """
        self.ensure_available()
        data = graph.read()
        ov = require("openvino", extra="cpu", purpose="The engine 'openvino'")
        precision = options.precision or self.runs_in(graph) or _FULL
        if not self._has(precision):
            raise _no_arithmetic(precision, "this processor has no instructions for it")
        core = ov.Core()
        try:
            model = core.read_model(model=data)
            inexact = graph.precision in _QUANTIZED and _would_overflow(model)
            settings = _settings(precision, options.threads) | (_INTEGERS_AS_FLOATS if inexact else {})
            compiled = core.compile_model(model, "CPU", settings)
        except (RuntimeError, MemoryError) as error:
            raise not_loadable(f"OpenVINO {ov.__version__}", graph, error) from error
        arithmetic = read_arithmetic(compiled.get_runtime_model())
        if not arithmetic.is_in(precision):
            raise _no_arithmetic(precision, f"it computes this graph in {arithmetic.name}")
        return OpenVinoSession(compiled, graph, ov, arithmetic, inexact=inexact)


def _settings(precision: str, threads: int | None) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": _HINTS[precision]}
    if threads is not None:
        settings["INFERENCE_NUM_THREADS"] = threads
    return settings


def _would_overflow(model: Any) -> bool:
    """Whether this processor may cut off sums of this graph's products."""
    return not openvino_capabilities.found().exact_integers and any(map(_has_large_weights, model.get_ordered_ops()))


def _has_large_weights(node: Any) -> bool:
    if node.get_type_name() != "Constant" or len(node.get_output_shape(0)) < _KERNEL_AXES:
        return False
    middle = _INTEGER_TYPES.get(node.get_element_type().to_string())
    if middle is None:
        return False
    return bool(np.abs(np.asarray(node.data).astype(np.int16) - middle).max(initial=0) > OVERFLOW_SAFE)


def _no_arithmetic(precision: str, reason: str) -> MissingRequirementError:
    return MissingRequirementError(
        f"OpenVINO does not compute in {precision.upper()} here: {reason}.",
        remedy="Leave --precision out, or give --precision fp32.",
    )


class OpenVinoSession(Session):
    """A compiled graph with one infer request; outputs are written straight into the caller's arrays.

    Args:
        compiled: the graph, compiled for the CPU.
        graph: what it was made of.
        ov: the module ``openvino``, which is imported only where it is needed.
        arithmetic: what the compiled graph's layers are computed in.
        inexact: whether integers are computed as floats here, because the processor adds up such weights inexactly.
    """

    def __init__(
        self, compiled: openvino.CompiledModel, graph: GraphSource, ov: Any, arithmetic: Arithmetic, *, inexact: bool
    ) -> None:
        self.declaration = graph.declaration
        self._ov = ov
        self._request: openvino.InferRequest | None = compiled.create_infer_request()
        self.info = SessionInfo(
            engine=OpenVinoEngine.name,
            version=str(ov.__version__),
            device=str(compiled.get_property("EXECUTION_DEVICES")),
            provider="CPU",
            effective_precision=arithmetic.name,
            threads=int(compiled.get_property("INFERENCE_NUM_THREADS")) or os.cpu_count(),
            notes=(*_notes(graph.precision, arithmetic), *(_COMPUTED_AS_FLOATS if inexact else ())),
        )

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._request is None:
            raise GraphError(f"The session of '{self.declaration.name}' is closed.")
        for name, array in outputs.items():
            self._request.set_tensor(name, self._ov.Tensor(array, shared_memory=True))
        # OpenVINO shares no read-only memory, and keeps nothing alive: a copy has to outlast the call.
        shared = {name: array if array.flags.writeable else array.copy() for name, array in inputs.items()}
        for name, array in shared.items():
            self._request.set_tensor(name, self._ov.Tensor(array, shared_memory=True))
        self._request.infer()

    def close(self) -> None:
        """Drop the request and the compiled graph."""
        self._request = None


_COMPUTED_AS_FLOATS = ("integers are computed as floats: this processor adds up such large weights inexactly",)


def _notes(precision: str, arithmetic: Arithmetic) -> tuple[str, ...]:
    counted = (arithmetic.note(),) if arithmetic.mixed or precision in _QUANTIZED else ()
    if precision == "fp16" and "fp16" not in arithmetic.floats:
        return (*counted, f"an FP16 graph, computed in {arithmetic.name.upper()}")
    return counted
