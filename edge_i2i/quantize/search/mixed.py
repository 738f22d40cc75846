"""Mixed precision: which layers to keep in float for a stated budget, at the least measured latency.

The order comes from the sensitivity report: layers whose error is large for what they cost in float come first. Nothing
is taken on trust, though. Layers disturb each other, and an engine's time is not the sum of its layers, so every
combination is built, judged whole, and timed against the all-INT8 graph in one interleaved run:

1. all placed layers in INT8; where that keeps the budget, and is faster than all in float, it is the answer (where it
   is slower, which engines without fast kernels are, only those layers stay in INT8 that are faster by themselves);
2. the shortest beginning of the order that keeps the budget, by bisection; cost is estimated from multiplications;
3. the cost of those layers is measured, the order is made anew with it, and bisected again;
4. clean-up: each float layer goes back to INT8, the most expensive first, where the budget still holds and it is
   faster.

That judges at most ``2 + 2·⌈log2 n⌉ + n`` combinations of ``n`` layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from edge_i2i.errors import BadInputError, BudgetError, UsageError
from edge_i2i.metrics.quality import QualityBudget
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.judging.timing import MeasureLatency
from edge_i2i.quantize.search.combinations import (
    Combination,
    Estimated,
    Judges,
    Latency,
    Measured,
    MixedResult,
    Quantizes,
    rank,
)
from edge_i2i.quantize.search.report import SensitivityReport
from edge_i2i.quantize.search.sensitivity import worth_first

_TIMED_AT_ONCE = 3
"""Variants beside the all-INT8 one in a run that measures what single layers cost: full-size ones take 1 GB each."""

_LEAST_LEFT = 0.1
"""Measured costs may add up to more than the whole, by noise; others then still cost this share of their estimate."""


class MixedBudgetError(BudgetError):
    """No combination keeps the budget.

    Args:
        what: what is missed, in a sentence.
        result: the best that was found, and all that was tried; kept as ``result``.
        remedy: what to do about it.
    """

    def __init__(self, what: str, result: MixedResult, *, remedy: str = "") -> None:
        super().__init__(what, remedy=remedy)
        self.result = result


def search_mixed(
    quantizer: Quantizes,
    judge: Judges,
    measure_latency: MeasureLatency | None,
    budget: QualityBudget,
    order: SensitivityReport,
    *,
    variant: str = "mixed",
    max_latency_ms: float | None = None,
    progress: Progress | None = None,
) -> MixedResult:
    """Find the layers to keep in float so that the pictures keep the budget and a frame takes the least time.

    Args:
        quantizer: of the frame graph, for one target.
        judge: of that target, with the options that the variant will be used with.
        measure_latency: times graphs on the engine (``timing.EngineTimer``); None: no engine here computes the target,
            and latency is estimated from multiplications.
        budget: what the pictures have to keep.
        order: the sensitivity of the layers, measured on this graph for this target.
        variant: the name of the result's variant.
        max_latency_ms: the longest that a frame may take, in milliseconds.
        progress: told about combinations.

    Raises:
        MixedBudgetError: not even all layers in float keep the budget, or the fastest combination that does takes too
            long; carries the best that was found.
        BadInputError: the sensitivity report is of other layers, or there are none.
        UsageError: a latency is asked for where none can be measured.
    """
    if max_latency_ms is not None and measure_latency is None:
        raise UsageError(
            "A latency budget cannot be held where no engine computes the target.", remedy="Leave --max-latency out."
        )
    _refuse_other_layers(quantizer.placement.quantized, order)
    shown = progress or NullProgress()
    shown.start(None, "combinations tried")
    try:
        search = _Search(quantizer, judge, measure_latency, budget, order, shown)
        best = search.run()
        made = quantizer.quantize(search.quantized(best.keep_float), variant)
    finally:
        shown.finish()
    result = MixedResult(best, made, tuple(search.tried.values()), search.costs_ms)
    _refuse_missed(result, max_latency_ms)
    return result


def _refuse_other_layers(placed: Sequence[str], order: SensitivityReport) -> None:
    measured = {layer.name for layer in order.placed}
    if not placed or measured != set(placed):
        odd = ", ".join(sorted(measured ^ set(placed))) or "there is no layer to choose from"
        raise BadInputError(
            f"The sensitivity report is not of the layers that this target quantizes in this graph: {odd}.",
            remedy="Measure the sensitivity of this graph for this target first.",
        )


def _refuse_missed(result: MixedResult, max_latency_ms: float | None) -> None:
    best = result.best
    if not best.meets:
        raise MixedBudgetError(
            f"No choice of layers keeps the budget; the best of {len(result.tried)} that were tried, with "
            f"{len(best.keep_float)} layers in float, misses it: {'; '.join(best.complaints)}.",
            result,
            remedy="Allow more loss (--min-psnr, --min-ssim), or fine-tune the network under INT8: edge-i2i qat.",
        )
    if max_latency_ms is not None and best.p50_ms is not None and best.p50_ms > max_latency_ms:
        raise MixedBudgetError(
            f"The fastest combination that keeps the quality takes {best.p50_ms:.4g} ms a frame, and "
            f"{max_latency_ms:g} ms were asked for.",
            result,
            remedy="Allow more loss or more time, export at a smaller size, or distil a smaller network.",
        )


class _Search:
    """The steps of a search, and the combinations that were tried so far."""

    def __init__(
        self,
        quantizer: Quantizes,
        judge: Judges,
        measure: MeasureLatency | None,
        budget: QualityBudget,
        order: SensitivityReport,
        progress: Progress,
    ) -> None:
        self._quantizer, self._judge, self._budget, self._progress = quantizer, judge, budget, progress
        self._damage = {layer.name: layer.error_power for layer in order.placed}
        every = sum(layer.macs_share for layer in order.placed) or 1.0
        self._shares = {layer.name: layer.macs_share / every for layer in order.placed}
        self.tried: dict[frozenset[str], Combination] = {}
        self._latency: Latency = Estimated(self._shares)
        if measure is not None:
            self._latency = Measured(measure, quantizer.quantize(tuple(self._damage), "all-int8").source)
        self._costs: dict[str, float] = {}

    @property
    def costs_ms(self) -> dict[str, float]:
        """What single layers cost in float, as far as that was measured."""
        unit = self._latency.int8_ms
        return {} if unit is None else {name: cost * unit for name, cost in self._costs.items()}

    def quantized(self, keep_float: Sequence[str]) -> tuple[str, ...]:
        """The layers that are in INT8 beside those in ``keep_float``, in graph order."""
        return tuple(name for name in self._damage if name not in keep_float)

    def run(self) -> Combination:
        """Go through the steps; returns the fastest combination that keeps the budget, else the one of most quality."""
        floats, integers = self._try(tuple(self._damage)), self._try(())
        if integers.meets and integers.relative_latency > floats.relative_latency:
            costs = self._refined(self._estimated_costs(floats), tuple(self._damage))
            self._try([name for name, cost in costs.items() if cost <= 0])
        elif not integers.meets and floats.meets:
            self._mix(floats)
        meeting = [item for item in self.tried.values() if item.meets]
        if meeting:
            return min(meeting, key=rank)
        return max(self.tried.values(), key=lambda item: item.verdict.fine_psnr_db)

    def _mix(self, floats: Combination) -> None:
        costs = self._estimated_costs(floats)
        found = self._shortest_beginning(worth_first(self._damage, costs))
        costs = self._refined(costs, found.keep_float)
        again = self._shortest_beginning(worth_first(self._damage, costs))
        self._clean_up(min(found, again, key=rank), costs)

    def _try(self, keep_float: Sequence[str]) -> Combination:
        """Build, judge and time a combination, unless that was done."""
        key = frozenset(keep_float)
        if key not in self.tried:
            kept = tuple(name for name in self._damage if name in key)
            graph = self._quantizer.quantize(self.quantized(kept), f"{len(kept)}-in-float").source
            verdict = self._judge.judge(graph)
            relative = self._latency.of(graph, kept)
            unit = self._latency.int8_ms
            found = Combination(
                kept,
                verdict,
                self._budget.complaints(verdict.quality),
                relative,
                None if unit is None else relative * unit,
            )
            self.tried[key] = found
            self._progress.advance(note=_line(found))
        return self.tried[key]

    def _estimated_costs(self, floats: Combination) -> dict[str, float]:
        """What the step from all INT8 to all float costs, spread over the layers by their multiplications."""
        return {name: share * (floats.relative_latency - 1) for name, share in self._shares.items()}

    def _shortest_beginning(self, order: Sequence[str]) -> Combination:
        """The fewest layers of an order, in float, that keep the budget; none are known not to, all are known to."""
        too_few, enough = 0, len(order)
        while enough - too_few > 1:
            middle = (too_few + enough) // 2
            if self._try(order[:middle]).meets:
                enough = middle
            else:
                too_few = middle
        return self._try(order[:enough])

    def _refined(self, costs: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
        """Costs with those of some layers measured; what is left of the whole is spread over the others."""
        missing = [name for name in names if name not in self._costs]
        for start in range(0, len(missing), _TIMED_AT_ONCE):
            at_once = missing[start : start + _TIMED_AT_ONCE]
            alone = {
                name: self._quantizer.quantize(self.quantized((name,)), f"float {name}").source for name in at_once
            }
            self._costs |= self._latency.of_single(alone)
        measured = {name: cost for name, cost in self._costs.items() if name in names}
        expected = sum(cost for name, cost in costs.items() if name not in measured)
        left = max(sum(costs.values()) - sum(measured.values()), _LEAST_LEFT * expected)
        scale = left / expected if expected > 0 else 1.0
        return {name: scale * cost for name, cost in costs.items()} | measured

    def _clean_up(self, start: Combination, costs: Mapping[str, float]) -> Combination:
        """Put float layers back into INT8, the most expensive first, where that is faster and good enough."""
        incumbent = start
        for name in sorted(start.keep_float, key=lambda name: -costs[name]):
            candidate = self._try(tuple(kept for kept in incumbent.keep_float if kept != name))
            if candidate.meets and rank(candidate) < rank(incumbent):
                incumbent = candidate
        return incumbent


def _line(found: Combination) -> str:
    time = f"{found.relative_latency:.2f} × INT8" if found.p50_ms is None else f"{found.p50_ms:.4g} ms"
    return f"{len(found.keep_float)} layers in float: {found.verdict.quality.psnr_db:.2f} dB, {time}"
