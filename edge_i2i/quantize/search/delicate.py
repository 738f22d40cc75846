"""The short way to a budget: only the layers that a target knows as delicate go back to float.

A whole search (``mixed``) judges every layer by itself first, which takes minutes on a large network. Where rounding
shows most is known beforehand, so those few layers are tried first, and the search begins only where that fails.
"""

from __future__ import annotations

from collections.abc import Sequence

from edge_i2i.metrics.quality import QualityBudget
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.quantizer import QuantizedGraph
from edge_i2i.quantize.search.combinations import Combination, Judges, Latency, MixedResult, Quantizes


def spare_delicate(
    quantizer: Quantizes,
    judge: Judges,
    quick: Judges,
    latency: Latency,
    budget: QualityBudget,
    missed: QualityVerdict,
    progress: Progress | None = None,
) -> MixedResult | None:
    """Keep the delicate layers in float, and put back into INT8 those that the budget allows, the most expensive first.

    Args:
        quantizer: of the frame graph, for one target.
        judge: of that target, with the options that the variant will be used with; has the last word.
        quick: the same on fewer pictures, for the way there.
        latency: of combinations, relative to all placed layers in INT8.
        budget: what the pictures have to keep.
        missed: what was found of all placed layers in INT8.
        progress: told about combinations.

    Returns:
        The combination that keeps the budget, beside all in INT8; None where none does, or no layer is delicate.
    """
    if not quantizer.placement.delicate:
        return None
    shown = progress or NullProgress()
    shown.start(1 + len(quantizer.placement.delicate), "combinations tried")
    try:
        chosen = _verified(quantizer, judge, budget, _returns(quantizer, quick, budget, shown), shown)
    finally:
        shown.finish()
    return None if chosen is None else _result(*chosen, latency, budget, missed)


_Found = tuple[tuple[str, ...], QuantizedGraph, QualityVerdict]


def _returns(quantizer: Quantizes, quick: Judges, budget: QualityBudget, progress: Progress) -> list[str]:
    """The delicate layers that seem to bear INT8, the most expensive first; never all of them."""
    returned: list[str] = []
    for name in quantizer.placement.delicate:
        kept = tuple(other for other in quantizer.placement.delicate if other not in (*returned, name))
        if kept and not budget.complaints(_try(quantizer, quick, kept, progress)[2].quality):
            returned.append(name)
    return returned


def _verified(
    quantizer: Quantizes, judge: Judges, budget: QualityBudget, returned: Sequence[str], progress: Progress
) -> _Found | None:
    """What keeps the budget with the most of them in INT8; None where it is missed with all of them in float."""
    for count in range(len(returned), -1, -1):
        kept = tuple(name for name in quantizer.placement.delicate if name not in returned[:count])
        found = _try(quantizer, judge, kept, progress)
        if not budget.complaints(found[2].quality):
            return found
    return None


def _try(quantizer: Quantizes, judge: Judges, kept: tuple[str, ...], progress: Progress) -> _Found:
    layers = [name for name in quantizer.placement.quantized if name not in kept]
    graph = quantizer.quantize(layers, f"{len(kept)}-in-float")
    verdict = judge.judge(graph.source)
    progress.advance(note=f"{len(kept)} layers in float: {verdict.quality.psnr_db:.2f} dB")
    return kept, graph, verdict


def _result(
    kept: Sequence[str],
    graph: QuantizedGraph,
    verdict: QualityVerdict,
    latency: Latency,
    budget: QualityBudget,
    missed: QualityVerdict,
) -> MixedResult:
    relative = latency.of(graph.source, kept)
    unit = latency.int8_ms
    integers = Combination((), missed, budget.complaints(missed.quality), 1.0, unit)
    best = Combination(tuple(kept), verdict, (), relative, None if unit is None else relative * unit)
    return MixedResult(best, graph, (integers, best), {})
