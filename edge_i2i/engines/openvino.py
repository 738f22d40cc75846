"""OpenVINO on x86 and ARM CPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edge_i2i.engines.effective import Arithmetic
from edge_i2i.engines.openvino_precision import read_arithmetic
from edge_i2i.engines.protocol import Array, Availability, Engine, EngineOptions, GraphSource, Session, SessionInfo
from edge_i2i.errors import GraphError, MissingRequirementError
from edge_i2i.requirements import installed_version, require

if TYPE_CHECKING:
    import openvino

_QUANTIZED = ("int8", "mixed")
_HINTS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


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
        """Installed or not; every x86-64 and ARM64 CPU will do."""
        version = installed_version("openvino")
        if version is None:
            return Availability(False, reason="openvino is not installed.", remedy="pip install 'edge-i2i[cpu]'")
        return Availability(True, version=version)

    def precisions_here(self) -> tuple[str, ...]:
        """What the processor has instructions for; OpenVINO emulates BF16 elsewhere, slower than FP32."""
        ov = require("openvino", extra="cpu", purpose="The engine 'openvino'")
        capabilities = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return tuple(name for name in self.forced_precisions if name.upper() in capabilities)

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Compile for latency.

        A FP32 graph runs in FP32: OpenVINO's silent BF16 on AMX machines is switched off. The float rest of a quantized
        graph, and FP16 graphs, run in what OpenVINO prefers, which is BF16 where the processor has it.
        """
        self.ensure_available()
        ov = require("openvino", extra="cpu", purpose="The engine 'openvino'")
        if options.precision is not None and options.precision not in self.precisions_here():
            raise _no_arithmetic(options.precision, "this processor has no instructions for it")
        core = ov.Core()
        try:
            compiled = core.compile_model(core.read_model(model=graph.read()), "CPU", _settings(graph, options))
        except RuntimeError as error:
            raise GraphError(
                f"OpenVINO {ov.__version__} cannot compile the graph '{graph.declaration.name}' "
                f"({graph.variant}): {error}",
                remedy="pip install -U openvino, or choose another --engine or --variant.",
            ) from error
        arithmetic = read_arithmetic(compiled.get_runtime_model())
        if options.precision is not None and arithmetic.floats and options.precision not in arithmetic.floats:
            raise _no_arithmetic(options.precision, f"it computes this graph in {arithmetic.name}")
        return OpenVinoSession(compiled, graph, ov, arithmetic)


def _settings(graph: GraphSource, options: EngineOptions) -> dict[str, Any]:
    settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    precision = options.precision or ("fp32" if graph.precision == "fp32" else None)
    if precision is not None:
        settings["INFERENCE_PRECISION_HINT"] = _HINTS[precision]
    if options.threads is not None:
        settings["INFERENCE_NUM_THREADS"] = options.threads
    return settings


def _no_arithmetic(precision: str, reason: str) -> MissingRequirementError:
    return MissingRequirementError(
        f"OpenVINO does not compute in {precision.upper()} here: {reason}.",
        remedy="Leave --precision out, or give --precision fp32.",
    )


class OpenVinoSession(Session):
    """A compiled graph with one infer request; outputs are written straight into the caller's arrays."""

    def __init__(self, compiled: openvino.CompiledModel, graph: GraphSource, ov: Any, arithmetic: Arithmetic) -> None:
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
            notes=_notes(graph.precision, arithmetic),
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


def _notes(precision: str, arithmetic: Arithmetic) -> tuple[str, ...]:
    counted = (arithmetic.note(),) if arithmetic.mixed or precision in _QUANTIZED else ()
    if precision == "fp16" and "fp16" not in arithmetic.floats:
        return (*counted, f"an FP16 graph, computed in {arithmetic.name.upper()}")
    return counted
