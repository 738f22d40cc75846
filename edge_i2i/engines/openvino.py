"""OpenVINO on x86 and ARM CPUs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edge_i2i.engines.protocol import Array, Availability, Engine, EngineOptions, GraphSource, Session, SessionInfo
from edge_i2i.errors import GraphError
from edge_i2i.requirements import installed_version, require

if TYPE_CHECKING:
    import openvino

_PRECISION_NAMES = {"f32": "fp32", "f16": "fp16", "bf16": "bf16", "dynamic": "dynamic"}


class OpenVinoEngine(Engine):
    """Compiles the ONNX file for the CPU, tuned for the latency of single frames."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO (CPU)"
    preference: ClassVar[int] = 20

    def availability(self) -> Availability:
        """Installed or not; every x86-64 and ARM64 CPU will do."""
        version = installed_version("openvino")
        if version is None:
            return Availability(False, reason="openvino is not installed.", remedy="pip install 'edge-i2i[cpu]'")
        return Availability(True, version=version)

    def load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Compile for latency. A FP32 graph runs in FP32: OpenVINO's silent BF16 on AMX machines is switched off."""
        self.ensure_available()
        ov = require("openvino", extra="cpu", purpose="The engine 'openvino'")
        core = ov.Core()
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
        if graph.precision == "fp32":
            settings["INFERENCE_PRECISION_HINT"] = "f32"
        if options.threads is not None:
            settings["INFERENCE_NUM_THREADS"] = options.threads
        try:
            compiled = core.compile_model(core.read_model(model=graph.read()), "CPU", settings)
        except RuntimeError as error:
            raise GraphError(
                f"OpenVINO {ov.__version__} cannot compile the graph '{graph.declaration.name}' "
                f"({graph.variant}): {error}",
                remedy="pip install -U openvino, or choose another --engine or --variant.",
            ) from error
        return OpenVinoSession(compiled, graph, ov)


class OpenVinoSession(Session):
    """A compiled graph with one infer request; outputs are written straight into the caller's arrays."""

    def __init__(self, compiled: openvino.CompiledModel, graph: GraphSource, ov: Any) -> None:
        self.declaration = graph.declaration
        self._ov = ov
        self._request: openvino.InferRequest | None = compiled.create_infer_request()
        effective = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.info = SessionInfo(
            engine=OpenVinoEngine.name,
            version=str(ov.__version__),
            device=str(compiled.get_property("EXECUTION_DEVICES")),
            provider="CPU",
            effective_precision=_PRECISION_NAMES.get(effective, effective),
            threads=int(compiled.get_property("INFERENCE_NUM_THREADS")) or os.cpu_count(),
        )

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._request is None:
            raise GraphError(f"The session of '{self.declaration.name}' is closed.")
        for name, array in outputs.items():
            self._request.set_tensor(name, self._ov.Tensor(array, shared_memory=True))
        for name, array in inputs.items():
            shared = array if array.flags.writeable else array.copy()  # OpenVINO shares no read-only memory
            self._request.set_tensor(name, self._ov.Tensor(shared, shared_memory=True))
        self._request.infer()

    def close(self) -> None:
        """Drop the request and the compiled graph."""
        self._request = None
