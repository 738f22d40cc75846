"""The reference engine: the bundle's own ONNX graph, run node by node in torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from edge_i2i.arrays import Array
from edge_i2i.engines.protocol import Availability, Engine, EngineOptions, GraphSource, Session, SessionInfo
from edge_i2i.errors import GraphError
from edge_i2i.requirements import installed_version, require

if TYPE_CHECKING:
    from edge_i2i.engines.torch.interpreter import TorchGraph


class TorchEngine(Engine):
    """Slow, exact, and independent of every runtime: what the others are held against."""

    name: ClassVar[str] = "torch"
    title: ClassVar[str] = "torch (reference)"

    def availability(self) -> Availability:
        """Whether torch and onnx are installed; never raises."""
        missing = [name for name in ("torch", "onnx") if installed_version(name) is None]
        if missing:
            return Availability(
                False, reason=f"{' and '.join(missing)} not installed.", remedy="pip install 'edge-i2i[torch]'"
            )
        return Availability(True, version=installed_version("torch"))

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Read the graph; it runs on CUDA where torch has it, else on the CPU."""
        self.ensure_available()
        data = graph.read()
        torch = require("torch", extra="torch", purpose="The engine 'torch'")
        onnx = require("onnx", extra="torch", purpose="The engine 'torch'")
        from edge_i2i.engines.torch.interpreter import TorchGraph

        device = "cuda" if torch.cuda.is_available() else "cpu"
        return TorchSession(TorchGraph(onnx.load_from_string(data), device), graph, options.threads, torch)


class TorchSession(Session):
    """A graph in torch. The number of threads is set around each call and restored, since torch keeps it per process.

    Args:
        graph: the network as torch runs it, on its device.
        source: what it was made of.
        threads: torch's CPU threads during a call; None: as many as torch has then.
        torch: the module ``torch``, which is imported only where it is needed.
    """

    def __init__(self, graph: TorchGraph, source: GraphSource, threads: int | None, torch: Any) -> None:
        self.declaration = source.declaration
        self._graph: TorchGraph | None = graph
        self._threads = threads
        self._torch = torch
        emulated = source.precision == "fp16" and graph.device == "cpu"
        self.info = SessionInfo(
            engine=TorchEngine.name,
            version=str(torch.__version__),
            device=graph.device.upper(),
            provider="torch",
            effective_precision=source.precision,
            threads=threads,
            notes=("FP16 values, FP32 accumulation (emulated)",) if emulated else (),
        )

    def _tensor(self, array: Array) -> Any:
        """Shares the array's memory where it may be written to: torch knows no read-only tensors."""
        return self._torch.from_numpy(array if array.flags.writeable else array.copy())

    def _run_into(self, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
        if self._graph is None:
            raise GraphError(f"The session of '{self.declaration.name}' is closed.")
        before = self._torch.get_num_threads()
        if self._threads is not None:
            self._torch.set_num_threads(self._threads)
        try:
            results = self._graph.run({name: self._tensor(array) for name, array in inputs.items()})
        finally:
            self._torch.set_num_threads(before)
        for name, array in outputs.items():
            array[...] = results[name].cpu().numpy()

    def close(self) -> None:
        """Drop the graph and its weights."""
        self._graph = None
