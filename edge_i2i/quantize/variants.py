"""One quantized variant: calibrated, placed, judged, and mixed with float where INT8 throughout loses too much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.engines.protocol import Array, EngineOptions, GraphSource
from edge_i2i.errors import UsageError
from edge_i2i.graphs.qdq.targets.protocol import Target
from edge_i2i.measure.quality import LARGEST_FIGURE, QualityBudget
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.data import CalibrationSet
from edge_i2i.quantize.graphs import QuantizedGraph, Quantizer
from edge_i2i.quantize.judge import Judge, JudgedInputs, engine_for, judge_for
from edge_i2i.quantize.mixed import Combination, MixedBudgetError, MixedResult, search_mixed
from edge_i2i.quantize.sensitivity import measure_sensitivity
from edge_i2i.quantize.statistics import RangeKind, cached_statistics
from edge_i2i.quantize.timing import EngineTimer
from edge_i2i.quantize.verdicts import Verdict

KEPT_AS_ASKED = "as asked"
FOR_THE_BUDGET = "for the budget"


@dataclass(frozen=True, eq=False)
class Ingredients:
    """What every variant of a target is made from. ``cache``: where statistics and verdicts are kept."""

    graph: GraphSource
    target: Target
    calibration: CalibrationSet
    inputs: JudgedInputs
    budget: QualityBudget
    cache: Path
    kind: RangeKind = RangeKind.MIN_MAX
    threads: int | None = None


@dataclass(frozen=True)
class QuantizedVariant:
    """A variant and what is known of it.

    ``kept_float``: why layers stay in float, by name. ``complaints``: where it misses the budget; empty where it keeps
    it. ``tried``: the combinations that a search went through, none where INT8 in every placed layer was good enough.
    """

    target: str
    graph: QuantizedGraph
    verdict: Verdict
    budget: QualityBudget
    complaints: tuple[str, ...]
    kept_float: Mapping[str, str]
    opset: int
    tried: tuple[Combination, ...] = ()

    @property
    def name(self) -> str:
        """What ``--variant`` takes."""
        return self.graph.source.variant


def make_variant(
    given: Ingredients,
    *,
    mixed: bool = True,
    keep_float: Sequence[str] = (),
    max_latency_ms: float | None = None,
    progress: Progress | None = None,
) -> QuantizedVariant:
    """Calibrate, quantize what the target's rule places, judge; and search for a mixture where that misses the budget.

    Args:
        given: the graph, the target, the data and the budget.
        mixed: whether to search.
        keep_float: layers that stay in float in any case.
        max_latency_ms: the longest median frame that a mixture may take.
        progress: told about frames, layers and combinations.

    Raises:
        UsageError: there is no such layer, or none is left.
        GraphError: the network gives NaN, or the target would misread the graph.
    """
    statistics, _ = cached_statistics(
        given.cache,
        given.graph,
        given.calibration.samples,
        given.calibration.sha256,
        kind=given.kind,
        outputs=given.target.needs_outputs,
        threads=given.threads,
        progress=progress,
    )
    quantizer = Quantizer(given.graph, statistics, given.target)
    judge = _judge(given, fine=False)
    left_out = _left_out(quantizer, keep_float)
    layers = [layer.name for layer in quantizer.layers if layer.name not in left_out]
    whole = quantizer.quantize(layers, f"int8-{given.target.name}")
    verdict = judge.judge(whole.source)
    complaints = given.budget.complaints(verdict.quality)
    found = QuantizedVariant(given.target.name, whole, verdict, given.budget, complaints, left_out, quantizer.opset)
    if not complaints or not mixed:
        return found
    return _mixture(given, quantizer, judge, found, layers, max_latency_ms, progress or NullProgress())


def _left_out(quantizer: Quantizer, keep_float: Sequence[str]) -> dict[str, str]:
    """The layers that are not even tried, and why."""
    known = [layer.name for layer in quantizer.layers]
    unknown = sorted(set(keep_float) - set(known))
    if unknown:
        raise UsageError(f"The graph has no layer {', '.join(unknown)}.", remedy=f"It has: {', '.join(known)}.")
    reasons = {**quantizer.placement.left_out, **dict.fromkeys(keep_float, KEPT_AS_ASKED)}
    if len(reasons) == len(known):
        raise UsageError("Every layer stays in float: there is nothing to quantize.", remedy="Keep fewer in float.")
    return {name: reasons[name] for name in known if name in reasons}


def _judge(given: Ingredients, *, fine: bool) -> Judge:
    options = EngineOptions(threads=given.threads)
    return judge_for(given.target, given.graph, given.inputs, options, fine=fine, cache=given.cache)


def _mixture(
    given: Ingredients,
    quantizer: Quantizer,
    judge: Judge,
    whole: QuantizedVariant,
    layers: Sequence[str],
    max_latency_ms: float | None,
    progress: Progress,
) -> QuantizedVariant:
    """The fastest combination that keeps the budget; the best that was found where none does."""
    report = measure_sensitivity(quantizer, _judge(given, fine=True), given.calibration.sha256, progress=progress)
    order = report.model_copy(update={"layers": tuple(item for item in report.layers if item.name in layers)})
    name = f"mixed-{given.target.name}"
    runs_here = engine_for(given.target.name) is not None
    timer = EngineTimer(judge.engine, judge.options, given.calibration.held_out[0]) if runs_here else None
    try:
        result = search_mixed(
            quantizer,
            judge,
            timer,
            given.budget,
            order,
            variant=name,
            max_latency_ms=None if timer is None else max_latency_ms,
            progress=progress,
        )
    except MixedBudgetError as error:
        result = error.result
    return _described(whole, result)


def _described(whole: QuantizedVariant, result: MixedResult) -> QuantizedVariant:
    best = result.best
    return QuantizedVariant(
        whole.target,
        result.variant,
        best.verdict,
        whole.budget,
        best.complaints,
        {**whole.kept_float, **dict.fromkeys(best.keep_float, FOR_THE_BUDGET)},
        whole.opset,
        result.tried,
    )


def golden_psnr(given: Ingredients, variant: QuantizedVariant, golden: Sequence[Mapping[str, Array]]) -> float | None:
    """The lowest PSNR in dB of a variant's pictures of the bundle's own example inputs; None where there are none."""
    if not golden:
        return None
    options = EngineOptions(threads=given.threads)
    judge = judge_for(given.target, given.graph, JudgedInputs(golden), options, cache=given.cache)
    worst = judge.judge(variant.graph.source).quality.worst_psnr_db
    return max(min(worst, LARGEST_FIGURE), -LARGEST_FIGURE)
