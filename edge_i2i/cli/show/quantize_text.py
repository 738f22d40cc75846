"""What ``edge-i2i quantize`` found, in words and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_i2i.quantize.judging.contest import Placing
    from edge_i2i.quantize.outcome import QuantizeSummary
    from edge_i2i.quantize.search.combinations import Combination
    from edge_i2i.quantize.variants import QuantizedVariant


def lines(summary: QuantizeSummary) -> Iterator[str]:
    """The result for people: the data, each variant and its fate, the timings, and what will run."""
    yield from summary.calibration
    for variant in summary.variants:
        yield f"{variant.name}: {_fate(variant, summary)}"
        yield from (f"    {line}" for line in _about(variant))
    yield "time of a frame: median (10 % to 90 %), all interleaved in one run:"
    yield from (f"    {_timing(placing)}" for placing in summary.placings)
    if summary.stays:
        yield f"still in the bundle, from an earlier run: {', '.join(summary.stays)}"
    yield f"bundle  {summary.bundle}"
    yield f"        runs {summary.auto} here, unless --engine or --variant says otherwise"


def _fate(variant: QuantizedVariant, summary: QuantizeSummary) -> str:
    if variant.name in summary.missed:
        return f"BELOW BUDGET, kept aside in {summary.aside}: {'; '.join(summary.missed[variant.name])}"
    if variant.name in summary.dropped:
        return f"dropped, because it is only {summary.dropped[variant.name]} (--keep-slower keeps it)"
    standing = summary.kept[variant.name]
    if not standing.recommended:
        return f"kept as asked, never picked by itself: only {standing.label}"
    return f"added; {standing.label}" if standing.label else "added"


def _about(variant: QuantizedVariant) -> Iterator[str]:
    quality, budget = variant.verdict.quality, variant.budget
    flicker = "" if quality.flicker_ratio is None else f", flicker {quality.flicker_ratio - 1:+.1%}"
    yield (
        f"{quality.psnr_db:.2f} dB to FP32 (at least {budget.min_psnr_db:g}), SSIM {quality.ssim:.4f} "
        f"(at least {budget.min_ssim:g}), {quality.grey_levels_ratio:.0%} of the grey levels{flicker}"
    )
    count = len(variant.graph.layers)
    yield f"{count} layer{'' if count == 1 else 's'} in INT8, {len(variant.kept_float)} in float"
    for reason, names in _by_reason(variant).items():
        yield f"in float: {', '.join(names)} ({reason})"
    yield from _floats(variant)
    yield from _price(variant)


def _floats(variant: QuantizedVariant) -> Iterator[str]:
    """In what floats are computed, where there was a choice, and what was not borne."""
    if variant.alone:
        yield f"floats computed in {' or '.join(variant.floats).upper()}"
    for name, complaints in variant.unbearable.items():
        yield f"not in {name.upper()}: even with nothing in INT8, {'; '.join(complaints)}"


def _by_reason(variant: QuantizedVariant) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for name, reason in variant.kept_float.items():
        reasons.setdefault(reason, []).append(name)
    return reasons


def _price(variant: QuantizedVariant) -> Iterator[str]:
    """What layers in float bring and cost, where they were searched for."""
    integers = variant.all_int8
    if variant.taken is None or integers is None:
        return
    yield f"of {len(variant.tried)} choices that were tried, this one gives {_gives(variant.taken)}"
    if variant.taken.keep_float:
        yield f"with none of the layers in float for the budget: {_gives(integers)}"


def _gives(item: Combination) -> str:
    time = "time not measured" if item.p50_ms is None else f"{item.p50_ms:.1f} ms"
    return f"{item.verdict.quality.psnr_db:.2f} dB, {time}"


def _timing(placing: Placing) -> str:
    timings, is_baseline = placing.timings, placing.entry.is_baseline
    speed = "" if placing.speed is None or is_baseline else f", {placing.speed:.2f} times as fast as fp32"
    return (
        f"{placing.entry.name:34s} {timings.p50 * 1e3:9.2f} ms ({timings.p10 * 1e3:.2f} to {timings.p90 * 1e3:.2f})"
        f"{speed}, computed in {placing.effective_precision}"
    )


def as_json(summary: QuantizeSummary) -> dict[str, Any]:
    """The result for programs."""
    return {
        "bundle": str(summary.bundle),
        "auto": summary.auto,
        "calibration": list(summary.calibration),
        "variants": [_variant(variant) for variant in summary.variants],
        "latency": [_placing(placing) for placing in summary.placings],
        "kept": {name: {"label": item.label, "recommended": item.recommended} for name, item in summary.kept.items()},
        "dropped": dict(summary.dropped),
        "missed": {name: list(complaints) for name, complaints in summary.missed.items()},
        "removed": list(summary.removed),
        "kept_aside": None if summary.aside is None else str(summary.aside),
    }


def _variant(variant: QuantizedVariant) -> dict[str, Any]:
    return {
        "variant": variant.name,
        "target": variant.target,
        "judged_by": variant.verdict.judged_by,
        "quality": variant.verdict.quality.figures(),
        "min_psnr_db": variant.budget.min_psnr_db,
        "min_ssim": variant.budget.min_ssim,
        "int8_layers": list(variant.graph.layers),
        "float_layers": dict(variant.kept_float),
        "floats": list(variant.floats),
        "floats_not_borne": {name: list(complaints) for name, complaints in variant.unbearable.items()},
        "passes": dict(variant.graph.passes),
        "tried": [_combination(item) for item in variant.tried],
    }


def _combination(item: Combination) -> dict[str, Any]:
    return {
        "float_layers": list(item.keep_float),
        "quality": item.verdict.quality.figures(),
        "p50_ms": item.p50_ms,
        "meets": item.meets,
    }


def _placing(placing: Placing) -> dict[str, Any]:
    return {
        "variant": placing.entry.graph.variant,
        "engine": placing.entry.engine.name,
        "precision": placing.entry.precision,
        "effective_precision": placing.effective_precision,
        **placing.timings.figures(),
        "speed_to_fp32": placing.speed,
    }
