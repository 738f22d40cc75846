"""Networks of which errors and times are written down, for searches over layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import GraphSource
from edge_i2i.graphs.qdq.targets import Placement
from edge_i2i.metrics.decibels import error_power, psnr_of_error
from edge_i2i.metrics.latency import Timings
from edge_i2i.metrics.quality import PictureQuality, QualityBudget
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.quantizer import QuantizedGraph
from edge_i2i.quantize.search.combinations import MixedResult
from edge_i2i.quantize.search.mixed import search_mixed
from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport
from samples.sensitive import DECLARATION


@dataclass
class Toy:
    """A network of layers whose errors add up, and whose times do: quantizer, judge and clock in one.

    ``psnr``: of each layer alone in INT8, dB. ``extra``: milliseconds more in float than in INT8; less where INT8 is
    slower. ``floor``: the error that is there even in float. ``delicate``: as a placement has them.
    """

    psnr: Mapping[str, float]
    extra: Mapping[str, float]
    base: float = 10.0
    floor: float = 0.0
    delicate: tuple[str, ...] = ()
    judged: list[tuple[str, ...]] = field(default_factory=list)
    runs: int = 0

    @property
    def order(self) -> SensitivityReport:
        share = 1 / len(self.psnr)
        layers = [LayerSensitivity(name=n, psnr_db=p, macs_share=share) for n, p in self.psnr.items()]
        return SensitivityReport(layers=tuple(layers))

    @property
    def placement(self) -> Placement:
        return Placement(tuple(self.psnr), {}, self.delicate)

    def quantize(self, layers: Sequence[str], variant: str) -> QuantizedGraph:
        source = GraphInMemory(DECLARATION, "\n".join(layers).encode(), variant, "mixed")
        return QuantizedGraph(source, tuple(layers))

    def judge(self, graph: GraphSource) -> QualityVerdict:
        layers = self._layers(graph)
        self.judged.append(layers)
        power = self.floor + sum(error_power(self.psnr[name]) for name in layers)
        psnr = psnr_of_error(power, 1.0)
        return QualityVerdict(PictureQuality(psnr, psnr, 1, 1, 1, 1), psnr, "a toy")

    def clock(self, graphs: Sequence[GraphSource]) -> dict[str, Timings]:
        """Every run is on a machine of another mood."""
        self.runs += 1
        mood = 1 + self.runs % 3
        return {graph.variant: Timings((self.milliseconds(graph) * mood / 1e3,) * 3) for graph in graphs}

    def milliseconds(self, graph: GraphSource) -> float:
        return self.base + sum(extra for name, extra in self.extra.items() if name not in self._layers(graph))

    @staticmethod
    def _layers(graph: GraphSource) -> tuple[str, ...]:
        """Its text is no ONNX file, so it is not read as engines read."""
        assert isinstance(graph, GraphInMemory)
        return tuple(graph.data.decode().splitlines())

    def search(self, min_psnr: float, **more: float) -> MixedResult:
        return search_mixed(self, self, self.clock, QualityBudget(min_psnr, 0.9), self.order, **more)
