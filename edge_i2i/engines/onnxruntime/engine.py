"""ONNX Runtime on the CPU: the default engine, one wheel everywhere, nothing else needed."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, ClassVar

from edge_i2i.arrays import Array
from edge_i2i.engines.effective import INTEGER, Arithmetic
from edge_i2i.engines.onnxruntime.precision import profiled, read_arithmetic
from edge_i2i.engines.protocol import (
    Availability,
    Engine,
    EngineOptions,
    GraphSource,
    Session,
    SessionInfo,
    not_loadable,
)
from edge_i2i.errors import GraphError
from edge_i2i.requirements import installed_version, require

if TYPE_CHECKING:
    import onnxruntime

# Without VNNI, products of UINT8 and INT8 are added up in 16 bits and cut off; this makes its kernels take UINT8 twice,
# which is exact everywhere. Where the processor has VNNI it changes nothing.
_EXACT_INTEGERS = "session.x64quantprecision"
_PROVIDER = "CPUExecutionProvider"
_QUANTIZED = ("int8", "mixed")
_FLOAT = Arithmetic({}, rest="fp32")
_DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")


class OnnxRuntimeEngine(Engine):
    """Runs the ONNX file as it is on ONNX Runtime's CPU provider."""

    name: ClassVar[str] = "onnxruntime"
    title: ClassVar[str] = "ONNX Runtime (CPU)"
    preference: ClassVar[int] = 10
    precisions: ClassVar[tuple[str, ...]] = ("fp32", "fp16", "mixed", "int8")
    target: ClassVar[str | None] = "onnxruntime"
    misreading: ClassVar[str] = "what its integer kernels do not fuse runs in FP32, slower than an FP32 graph"
    forced_precisions: ClassVar[tuple[str, ...]] = ("fp32",)

    def availability(self) -> Availability:
        """Whether exactly one of its competing distributions is installed: of two, the wrong one can win silently."""
        found = [name for name in _DISTRIBUTIONS if installed_version(name)]
        if not found:
            return Availability(False, reason="onnxruntime is not installed.", remedy="pip install onnxruntime")
        if len(found) > 1:
            return Availability(
                False,
                reason=f"{' and '.join(found)} are installed over each other.",
                remedy=f"pip uninstall -y {' '.join(found)} && pip install {found[0]}",
            )
        return Availability(True, version=installed_version(found[0]))

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Make an ONNX Runtime session; ``options.threads`` limits its thread pool.

        A quantized graph runs one frame, to find out which of its convolutions are computed in integers.
        """
        self.ensure_available()
        data = graph.read()
        ort = require("onnxruntime", extra="cpu", purpose="The engine 'onnxruntime'")
        settings = ort.SessionOptions()
        settings.log_severity_level = 3
        settings.add_session_config_entry(_EXACT_INTEGERS, "1")
        if options.threads is not None:
            settings.intra_op_num_threads = options.threads
        try:
            session, arithmetic = _open(ort, graph, data, settings)
        except Exception as error:
            raise not_loadable(f"ONNX Runtime {ort.__version__}", graph, error) from error
        return OnnxRuntimeSession(session, graph, options.threads, ort.__version__, arithmetic)


def _open(ort: Any, graph: GraphSource, data: bytes, settings: Any) -> tuple[onnxruntime.InferenceSession, Arithmetic]:
    quantized = graph.precision in _QUANTIZED
    with profiled(settings) if quantized else nullcontext():
        session = ort.InferenceSession(data, settings, providers=[_PROVIDER])
        return session, read_arithmetic(session, graph.declaration) if quantized else _FLOAT


class OnnxRuntimeSession(Session):
    """A loaded graph; inputs and outputs are bound in place, so nothing is copied or allocated per call.

    Args:
        session: the loaded session, on the CPU provider.
        graph: what it was made of.
        threads: what its thread pool was limited to; None: ONNX Runtime's own choice.
        version: that of ONNX Runtime.
        arithmetic: what its convolutions were found to be computed in.
    """

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        graph: GraphSource,
        threads: int | None,
        version: str,
        arithmetic: Arithmetic,
    ) -> None:
        self.declaration = graph.declaration
        self.info = SessionInfo(
            engine=OnnxRuntimeEngine.name,
            version=version,
            device="CPU",
            provider=session.get_providers()[0],
            effective_precision=arithmetic.name,
            threads=threads,
            notes=_notes(graph.precision, arithmetic),
        )
        self._session: onnxruntime.InferenceSession | None = session

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._session is None:
            raise GraphError(f"The session of '{self.declaration.name}' is closed.")
        binding = self._session.io_binding()
        for name, array in inputs.items():
            binding.bind_cpu_input(name, array)
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        self._session.run_with_iobinding(binding)

    def close(self) -> None:
        """Drop the session and its weights."""
        self._session = None


def _notes(precision: str, arithmetic: Arithmetic) -> tuple[str, ...]:
    if precision == "fp16":
        return ("ONNX Runtime's CPU provider computes FP16 graphs in FP32",)
    if not arithmetic.convolutions:
        return ()
    fused = INTEGER in arithmetic.convolutions
    return (arithmetic.note(), *(() if fused else ("Q/DQ convolutions are computed in FP32",)))
