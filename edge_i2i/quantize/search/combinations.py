"""Choices of layers to keep in float: what each gives in quality and costs in time, beside all of them in INT8."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from edge_i2i.engines.protocol import GraphSource
from edge_i2i.quantize.judging.timing import MeasureLatency
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.quantizer import QuantizedGraph

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Placement

_FLOAT_TO_INT8 = 2.0
"""How much longer a float multiplication is taken to last where nothing can be measured (FP16 on tensor cores)."""


class Quantizes(Protocol):
    """What makes the graph of a combination: ``quantize.quantizer.Quantizer`` is one."""

    @property
    def placement(self) -> Placement:
        """Which layers the target quantizes, and so may be kept in float."""
        ...

    def quantize(self, layers: Sequence[str], variant: str) -> QuantizedGraph:
        """The graph with ``layers`` in INT8 and all others in float, under the name ``variant``."""
        ...


class Judges(Protocol):
    """What judges the combinations: ``judge.Judge``, with the options that the variant will be used with."""

    def judge(self, graph: GraphSource) -> QualityVerdict:
        """The quality of the graph's pictures against FP32 of the same network."""
        ...


@dataclass(frozen=True)
class Combination:
    """A choice of layers to keep in float, and what it gives.

    ``keep_float``: in graph order. ``complaints``: where it misses the budget. ``relative_latency``: to all placed
    layers in INT8, 1 = as long. ``p50_ms``: the same in milliseconds of that graph's first measurement; None where
    nothing was measured and ``relative_latency`` is estimated from multiplications.
    """

    keep_float: tuple[str, ...]
    verdict: QualityVerdict
    complaints: tuple[str, ...]
    relative_latency: float
    p50_ms: float | None

    @property
    def meets(self) -> bool:
        """Whether the pictures keep the budget."""
        return not self.complaints


@dataclass(frozen=True)
class MixedResult:
    """The best combination, its graph, and all that were tried.

    ``best``: of those that keep the budget the fastest; where none does, that of the highest PSNR. ``costs_ms``: what
    keeping a layer in float costs, alone, in milliseconds; of those that were measured.
    """

    best: Combination
    variant: QuantizedGraph
    tried: tuple[Combination, ...]
    costs_ms: Mapping[str, float]

    @property
    def pareto(self) -> tuple[Combination, ...]:
        """The combinations that no other beats in both PSNR of pictures and latency, the fastest first."""
        ordered = sorted(self.tried, key=lambda item: (item.relative_latency, -item.verdict.quality.psnr_db))
        front: list[Combination] = []
        for item in ordered:
            if not front or item.verdict.quality.psnr_db > front[-1].verdict.quality.psnr_db:
                front.append(item)
        return tuple(front)


def rank(item: Combination) -> tuple[float, int]:
    """The key to sort combinations by, the best first: latency, and of equal ones the number of layers in float."""
    return item.relative_latency, len(item.keep_float)


class Latency(ABC):
    """Latencies relative to that of all placed layers in INT8. ``int8_ms``: that one; None: not known."""

    int8_ms: float | None = None

    @abstractmethod
    def of(self, graph: GraphSource, keep_float: Sequence[str]) -> float:
        """How many times as long a combination takes as all placed layers in INT8; ``graph`` is it, built."""

    @abstractmethod
    def of_single(self, graphs: Mapping[str, GraphSource]) -> dict[str, float]:
        """How much longer it takes to keep each of these layers in float, alone; 1 is the time of all in INT8."""


class Estimated(Latency):
    """Latency from the numbers of multiplications: ``shares`` of all of them, by layer."""

    def __init__(self, shares: Mapping[str, float]) -> None:
        self._shares = shares

    def of(self, graph: GraphSource, keep_float: Sequence[str]) -> float:
        """See ``Latency.of``; a multiplication in float counts double."""
        return 1 + (_FLOAT_TO_INT8 - 1) * sum(self._shares[name] for name in keep_float)

    def of_single(self, graphs: Mapping[str, GraphSource]) -> dict[str, float]:
        """Nothing is known of single layers but their multiplications, which a search has already: no entry."""
        return {}


class Measured(Latency):
    """Every run times the all-INT8 graph, too: a machine's moods fall on both alike, and runs can be compared."""

    def __init__(self, measure: MeasureLatency, integers: GraphSource) -> None:
        self._measure, self._integers = measure, integers

    def of(self, graph: GraphSource, keep_float: Sequence[str]) -> float:
        """See ``Latency.of``; timed interleaved with the all-INT8 graph."""
        if not keep_float:
            return 1.0
        return self._run([graph])[graph.variant]

    def of_single(self, graphs: Mapping[str, GraphSource]) -> dict[str, float]:
        """See ``Latency.of_single``; all timed in one interleaved run."""
        times = self._run(list(graphs.values()))
        return {name: times[graph.variant] - 1 for name, graph in graphs.items()}

    def _run(self, graphs: Sequence[GraphSource]) -> dict[str, float]:
        timings = self._measure([self._integers, *graphs])
        integers = timings[self._integers.variant]
        if self.int8_ms is None:
            self.int8_ms = integers.p50 * 1e3
        return {graph.variant: integers.speed_to(timings[graph.variant]).median for graph in graphs}
