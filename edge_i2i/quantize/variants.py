"""One quantized variant: calibrated, placed, judged, and mixed with float where INT8 throughout loses too much.

What is not in integers is computed in floats, and in which is part of the variant: where the engine has a choice
(OpenVINO on processors with BF16), each arithmetic that keeps the picture is searched, and the fastest result taken.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from edge_i2i.contract import LARGEST_WEIGHT
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.errors import MissingRequirementError
from edge_i2i.graphs.qdq.targets.protocol import Target
from edge_i2i.metrics.quality import QualityBudget
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.calibration.calibration_set import CalibrationSet
from edge_i2i.quantize.calibration.statistics import RangeKind, cached_statistics
from edge_i2i.quantize.judging.contest import FULL_PRECISION, LEAST_GAIN, Contest, Entry, hold_contest
from edge_i2i.quantize.judging.judge import Judge, JudgedInputs, engine_for, judge_for
from edge_i2i.quantize.judging.timing import EngineTimer
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.quantizer import QuantizedGraph, Quantizer
from edge_i2i.quantize.search.combinations import Combination, Estimated, Latency, Measured, MixedResult
from edge_i2i.quantize.search.delicate import spare_delicate
from edge_i2i.quantize.search.mixed import MixedBudgetError, search_mixed
from edge_i2i.quantize.search.sensitivity import measure_sensitivity

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

FOR_THE_BUDGET = "for the budget"
INT8, MIXED = "int8", "mixed"
_ROUNDS, _SECONDS = 15, 8.0  # of timing float arithmetic against float arithmetic
QUICK_PICTURES = 2
"""Held-out pictures that layers are judged on before a choice; what is chosen is judged on all of them."""


@dataclass(frozen=True, eq=False)
class Ingredients:
    """What every variant of a target is made from.

    ``cache``: where statistics and verdicts are kept. ``outputs``: whether to collect what layers write even where this
    target does not ask for it; another one that shares the cache does, and the frames need to run only once.
    ``contest``: what times variants in different float arithmetic against each other.
    """

    graph: GraphSource
    target: Target
    calibration: CalibrationSet
    inputs: JudgedInputs
    budget: QualityBudget
    cache: Path
    kind: RangeKind = RangeKind.MIN_MAX
    threads: int | None = None
    outputs: bool = False
    contest: Contest = hold_contest

    def options(self, precision: str | None) -> EngineOptions:
        """The options of an engine that computes floats in ``precision``; None: as the graph says."""
        return EngineOptions(threads=self.threads, precision=precision)


@dataclass(frozen=True)
class QuantizedVariant:
    """A variant and what is known of it.

    ``kept_float``: why layers stay in float, by name. ``complaints``: where it misses the budget; empty where it keeps
    it. ``tried``: the combinations that a search went through, none where INT8 in every placed layer was good enough;
    ``taken``: the one of them that this is.

    ``verdicts``: what was found of it by the float arithmetic that it may run in, its own first; empty where the engine
    has no choice. ``alone``: the same of the float network in arithmetic narrower than FP32: where that misses the
    budget, no variant with such floats was searched for. ``largest_weight``: the largest integer among its weights.
    """

    target: str
    graph: QuantizedGraph
    verdict: QualityVerdict
    budget: QualityBudget
    complaints: tuple[str, ...]
    kept_float: Mapping[str, str]
    opset: int
    tried: tuple[Combination, ...] = ()
    taken: Combination | None = None
    verdicts: Mapping[str, QualityVerdict] = field(default_factory=dict)
    alone: Mapping[str, QualityVerdict] = field(default_factory=dict)
    largest_weight: int = LARGEST_WEIGHT

    @property
    def floats(self) -> tuple[str, ...]:
        """The float arithmetic that it may run in, its own first; empty where the engine has no choice."""
        return tuple(self.verdicts)

    @property
    def judged(self) -> Mapping[str, QualityVerdict] | Mapping[None, QualityVerdict]:
        """What was found of it by float arithmetic; of None alone where the engine has no choice."""
        return self.verdicts or {None: self.verdict}

    @property
    def unbearable(self) -> dict[str, tuple[str, ...]]:
        """Float arithmetic that the network does not bear even with nothing in INT8, and what it misses."""
        found = {name: self.budget.complaints(verdict.quality) for name, verdict in self.alone.items()}
        return {name: complaints for name, complaints in found.items() if complaints}

    @property
    def for_the_budget(self) -> tuple[str, ...]:
        """The layers that a search put back into float."""
        return tuple(name for name, why in self.kept_float.items() if why == FOR_THE_BUDGET)

    @property
    def all_int8(self) -> Combination | None:
        """What INT8 in every placed layer gives; None where nothing was searched for."""
        return next((item for item in self.tried if not item.keep_float), None)

    @property
    def price_ms(self) -> float | None:
        """Milliseconds that a frame takes longer than with INT8 in every placed layer; None where none measured it."""
        if self.taken is None or self.all_int8 is None or self.taken.p50_ms is None or self.all_int8.p50_ms is None:
            return None
        return self.taken.p50_ms - self.all_int8.p50_ms

    @property
    def name(self) -> str:
        """The variant's name, as ``--variant`` takes it."""
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
        UsageError: there is no such layer.
        BadInputError: the network gives NaN, or there is no layer to quantize.
        GraphError: the target would misread the graph.
    """
    statistics, _ = cached_statistics(
        given.cache,
        given.graph,
        given.calibration.samples,
        given.calibration.sha256,
        kind=given.kind,
        outputs=given.outputs or given.target.needs_outputs,
        threads=given.threads,
        progress=progress,
    )
    engine = engine_for(given.target.name)
    largest_weight = LARGEST_WEIGHT if engine is None else engine.largest_weight()
    quantizer = Quantizer(given.graph, statistics, given.target, keep_float=keep_float, largest_weight=largest_weight)
    quantizer.refuse_empty()
    choices = () if engine is None else engine.float_choices()
    alone = _each(choices, lambda name: _judge(given, name).judge(given.graph), but=(FULL_PRECISION,))
    borne = [
        name
        for name in choices
        if name == FULL_PRECISION or (name in alone and not given.budget.complaints(alone[name].quality))
    ]
    if borne:
        made = _each(borne, lambda name: _make_in(given, quantizer, name, max_latency_ms, progress, mixed=mixed))
    else:
        made = {"": _make_in(given, quantizer, None, max_latency_ms, progress, mixed=mixed)}
    return replace(_fastest(given, [*made.values()], progress), alone=alone, largest_weight=largest_weight)


def _each(precisions: Sequence[str], make: Callable[[str], _T], but: Sequence[str] = ()) -> dict[str, _T]:
    """What is made in each float arithmetic ``but`` some; FP32 must do, another may be one that this graph lacks.

    OpenVINO keeps single layers in FP32 for reasons of its own: where those are all that is not in integers, there is
    no such variant, and nothing is lost.
    """
    made = {}
    for name in precisions:
        if name in but:
            continue
        try:
            made[name] = make(name)
        except MissingRequirementError as error:
            if name == FULL_PRECISION:
                raise
            _log.info("No variant with floats in %s: %s", name.upper(), error)
    return made


def _judge(given: Ingredients, precision: str | None) -> Judge:
    return judge_for(given.target, given.graph, given.inputs, given.options(precision), cache=given.cache)


def _fastest(given: Ingredients, made: Sequence[QuantizedVariant], progress: Progress | None) -> QuantizedVariant:
    """The fastest of variants in different float arithmetic that keep the budget; none is faster by noise alone."""
    meeting = [variant for variant in made if not variant.complaints]
    engine = engine_for(given.target.name)
    if len(meeting) < 2 or engine is None:
        return meeting[0] if meeting else max(made, key=lambda variant: variant.verdict.fine_psnr_db)
    contestants = [Entry(variant.graph.source, engine, variant.floats[0]) for variant in meeting]
    placings = given.contest(
        contestants,
        given.calibration.held_out[0],
        given.options(None),
        rounds=_ROUNDS,
        seconds=_SECONDS,
        progress=progress,
    )
    best = 0
    for number, placing in enumerate(placings):
        if placing.timings.is_faster_than(placings[best].timings, LEAST_GAIN):
            best = number
    return _with_fallback(given, meeting[best])


def _with_fallback(given: Ingredients, variant: QuantizedVariant) -> QuantizedVariant:
    """A variant with narrow floats may run in FP32, too, if that was judged: for machines without the others."""
    if FULL_PRECISION in variant.floats:
        return variant
    full = _judge(given, FULL_PRECISION).judge(variant.graph.source)
    if given.budget.complaints(full.quality):
        return variant
    return replace(variant, verdicts={**variant.verdicts, FULL_PRECISION: full})


def _make_in(
    given: Ingredients,
    quantizer: Quantizer,
    precision: str | None,
    max_latency_ms: float | None,
    progress: Progress | None,
    *,
    mixed: bool,
) -> QuantizedVariant:
    """The variant whose floats are computed in ``precision`` (None: the engine has no choice)."""
    judge = _judge(given, precision)
    layers = quantizer.placement.quantized
    whole = quantizer.quantize(layers, variant_name(quantizer, layers))
    verdict = judge.judge(whole.source)
    found = variant_of(quantizer, whole, verdict, given.budget)
    if found.complaints and mixed:
        found = _mixed(given, quantizer, judge, found, max_latency_ms, progress)
    return with_floats(found, precision)


def _mixed(
    given: Ingredients,
    quantizer: Quantizer,
    judge: Judge,
    found: QuantizedVariant,
    max_latency_ms: float | None,
    progress: Progress | None,
) -> QuantizedVariant:
    """The best mixture where all placed layers in INT8 (``found``) miss the budget."""
    whole, verdict = found.graph, found.verdict
    timer = _timer(given, judge)
    latency = _latency(quantizer, whole, timer)
    result = spare_delicate(quantizer, judge, judge.quick(QUICK_PICTURES), latency, given.budget, verdict, progress)
    if result is None:
        result = _search(given, quantizer, judge, timer, max_latency_ms, progress or NullProgress())
    return _described(quantizer, found, result)


def variant_of(
    quantizer: Quantizer, graph: QuantizedGraph, verdict: QualityVerdict, budget: QualityBudget
) -> QuantizedVariant:
    """A quantized graph with what is known of it once it was judged.

    Args:
        quantizer: what made it.
        graph: all layers in INT8 that are placed so.
        verdict: what was found of it.
        budget: what that is held against.
    """
    complaints, reasons = budget.complaints(verdict.quality), quantizer.placement.left_out
    left_out = {layer.name: reasons[layer.name] for layer in quantizer.layers if layer.name in reasons}
    return QuantizedVariant(quantizer.target.name, graph, verdict, budget, complaints, left_out, quantizer.opset)


def with_floats(variant: QuantizedVariant, precision: str | None) -> QuantizedVariant:
    """The variant with the float arithmetic that it was judged in; None: the engine has no choice."""
    return variant if precision is None else replace(variant, verdicts={precision: variant.verdict})


def variant_name(quantizer: Quantizer, layers: Sequence[str]) -> str:
    """``int8-TARGET`` where all is quantized that the target's rule quantizes, else ``mixed-TARGET``."""
    kind = INT8 if set(quantizer.rule.quantized) <= set(layers) else MIXED
    return f"{kind}-{quantizer.target.name}"


def names_for(target: str) -> tuple[str, ...]:
    """Every name that a variant for a target can have."""
    return tuple(f"{kind}-{target}" for kind in (INT8, MIXED))


def _timer(given: Ingredients, judge: Judge) -> EngineTimer | None:
    """What times combinations; None where no engine here computes the target."""
    if engine_for(given.target.name) is None:
        return None
    return EngineTimer(judge.engine, judge.options, given.calibration.held_out[0])


def _latency(quantizer: Quantizer, whole: QuantizedGraph, timer: EngineTimer | None) -> Latency:
    """How long combinations take against ``whole``: measured with a timer, or estimated where there is none."""
    if timer is not None:
        return Measured(timer, whole.source)
    macs = {layer.name: layer.macs for layer in quantizer.layers if layer.name in whole.layers}
    return Estimated({name: count / sum(macs.values()) for name, count in macs.items()})


def _search(
    given: Ingredients,
    quantizer: Quantizer,
    judge: Judge,
    timer: EngineTimer | None,
    max_latency_ms: float | None,
    progress: Progress,
) -> MixedResult:
    """The fastest combination that keeps the budget; the best that was found where none does."""
    order = measure_sensitivity(
        quantizer, judge.quick(QUICK_PICTURES, fine=True), given.calibration.sha256, progress=progress
    )
    longest = None if timer is None else max_latency_ms
    try:
        return search_mixed(quantizer, judge, timer, given.budget, order, max_latency_ms=longest, progress=progress)
    except MixedBudgetError as error:
        return error.result


def _described(quantizer: Quantizer, whole: QuantizedVariant, result: MixedResult) -> QuantizedVariant:
    taken = _best_with_int8(result, len(quantizer.placement.quantized))
    layers = [name for name in quantizer.placement.quantized if name not in taken.keep_float]
    return replace(
        whole,
        graph=quantizer.quantize(layers, variant_name(quantizer, layers)),
        verdict=taken.verdict,
        complaints=taken.complaints,
        kept_float={**whole.kept_float, **dict.fromkeys(taken.keep_float, FOR_THE_BUDGET)},
        tried=result.tried,
        taken=taken,
    )


def _best_with_int8(result: MixedResult, placed: int) -> Combination:
    """The best combination; where that is all in float, the best that is not: what was asked for is quantization."""
    if len(result.best.keep_float) < placed:
        return result.best
    some = [item for item in result.tried if len(item.keep_float) < placed]
    meeting = [item for item in some if item.meets]
    if meeting:
        return min(meeting, key=lambda item: item.relative_latency)
    return max(some, key=lambda item: item.verdict.fine_psnr_db)
