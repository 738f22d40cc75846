"""A target that no engine here computes, emulated: the same integers, added up in floats by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from edge_i2i.arrays import Array
from edge_i2i.engines.effective import Arithmetic
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.onnxruntime.engine import OnnxRuntimeEngine, OnnxRuntimeSession
from edge_i2i.engines.protocol import Availability, Engine, EngineOptions, GraphSource, Session
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Target

_NO_FUSION = "session.disable_quant_qdq"


class EmulatingEngine(Engine):
    """Runs graphs as ``emulated`` computes them. For judging quality; its speed says nothing."""

    name: ClassVar[str] = OnnxRuntimeEngine.name
    title: ClassVar[str] = "emulation in ONNX Runtime (CPU)"
    forced_precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    def __init__(self, emulated: Target) -> None:
        self.emulated = emulated

    def availability(self) -> Availability:
        """Whether ONNX Runtime, which emulates, can run here; never raises."""
        return OnnxRuntimeEngine().availability()

    def reads(self, graph: GraphSource) -> bool:
        """Whether the graph is for the emulated target, or for every engine."""
        return not graph.targets or self.emulated.name in graph.targets

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes

        self.ensure_available()
        ort = require("onnxruntime", extra="cpu", purpose=f"Emulating {self.emulated.title}")
        settings = ort.SessionOptions()
        settings.log_severity_level = 3
        settings.add_session_config_entry(_NO_FUSION, "1")
        if options.threads is not None:
            settings.intra_op_num_threads = options.threads
        model = self.emulated.emulate(model_from_bytes(graph.read()))
        source = GraphInMemory(graph.declaration, model_to_bytes(model), graph.variant)
        session = ort.InferenceSession(source.data, settings, providers=["CPUExecutionProvider"])
        return _EmulatedSession(
            OnnxRuntimeSession(session, source, options.threads, ort.__version__, Arithmetic({}, rest="fp32")),
            self.emulated.name,
        )


class _EmulatedSession(Session):
    """An ONNX Runtime session whose ``info`` names the target that it emulates."""

    def __init__(self, session: Session, emulated: str) -> None:
        self._session, self.declaration = session, session.declaration
        self.info = replace(session.info, effective_precision=f"{emulated} emulated")

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        self._session.run_into(inputs, outputs)

    def close(self) -> None:
        """Drop the session and its weights."""
        self._session.close()
