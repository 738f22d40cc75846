"""What comes of quantized variants: which are kept, and how they stand; which are dropped; which miss their budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.errors import BudgetError
from edge_i2i.quantize.job import QuantizeJob
from edge_i2i.quantize.judging.contest import Placing, verdict_on
from edge_i2i.quantize.variants import QuantizedVariant, names_for

NOT_TIMED = "not timed: nothing on the machine that quantized it runs this target"


@dataclass(frozen=True)
class Standing:
    """How a variant that is kept stands in its bundle: what is special about it, and whether ``auto`` may take it."""

    label: str = ""
    recommended: bool = True


@dataclass(frozen=True)
class QuantizeSummary:
    """What became of the variants that a run of ``quantize`` made.

    ``kept``, ``dropped`` (not worth keeping, and why) and ``missed`` (below budget, and where) are by the variants'
    names. ``removed``: variants of earlier runs that these take the place of; ``stays``: those that stay because
    nothing better was found. ``aside``: the folder with what misses its budget. ``auto``: what runs here if nobody
    chooses.
    """

    bundle: Path
    variants: tuple[QuantizedVariant, ...]
    placings: tuple[Placing, ...]
    kept: Mapping[str, Standing]
    dropped: Mapping[str, str]
    missed: Mapping[str, tuple[str, ...]]
    calibration: tuple[str, ...]
    aside: Path | None
    removed: tuple[str, ...] = ()
    stays: tuple[str, ...] = ()
    auto: str = ""


def raise_if_missed(summary: QuantizeSummary) -> None:
    """Raise an error, of exit code 5, where a stated budget is not met.

    Raises:
        BudgetError: names the variants, what they miss, and where they were kept.
    """
    if not summary.missed:
        return
    lines = [f"{variant}: {'; '.join(complaints)}" for variant, complaints in summary.missed.items()]
    searched = all(item.tried for item in summary.variants if item.complaints)
    mixed = "" if searched else ", let layers go back to float (--precision mixed)"
    raise BudgetError(
        "The budget is not met. The best that was found:\n  " + "\n  ".join(lines),
        remedy=f"It is kept in {summary.aside}, and not in the bundle. Lower the budget (--min-psnr, --min-ssim, "
        f"--max-latency){mixed}, or fine-tune the network (edge-i2i qat).",
    )


def settle(
    before: Sequence[str],
    output: Path,
    variants: Sequence[QuantizedVariant],
    placings: tuple[Placing, ...],
    calibration: tuple[str, ...],
    job: QuantizeJob,
) -> QuantizeSummary:
    """Decide by what was measured which of the new variants the bundle gets, and under what label.

    Args:
        before: the variants that the bundle has already.
        output: the bundle that will be written.
        variants: the new ones.
        placings: what was timed, old variants among them.
        calibration: what was calibrated over, in lines.
        job: what was asked for.
    """
    kept, dropped, missed = dict[str, Standing](), dict[str, str](), dict[str, tuple[str, ...]]()
    new = {variant.name: variant.graph.source.sha256 for variant in variants}
    ours = tuple(item for item in placings if new.get(item.entry.graph.variant) == item.entry.graph.sha256)
    ran = {item.entry.graph.variant for item in ours}
    for variant in variants:
        complaints = variant.complaints or _too_slow(variant.name, ours, job.max_latency_ms)
        loses = verdict_on(variant.name, placings)
        if complaints:
            missed[variant.name] = complaints
        elif loses and not job.keep_slower:
            dropped[variant.name] = loses
        elif loses:
            kept[variant.name] = Standing(loses, recommended=False)
        else:
            kept[variant.name] = Standing("" if variant.name in ran else NOT_TIMED)
    gone = {old for item in variants if item.name not in missed for old in names_for(item.target)}
    stays = {old for item in variants if item.name in missed for old in names_for(item.target)}
    return QuantizeSummary(
        output,
        tuple(variants),
        placings,
        kept,
        dropped,
        missed,
        calibration,
        aside=output.with_suffix(".below-budget") if missed else None,
        removed=tuple(name for name in before if name in gone),
        stays=tuple(name for name in before if name in stays),
    )


def _too_slow(variant: str, placings: Sequence[Placing], max_latency_ms: float | None) -> tuple[str, ...]:
    times = [item.timings.p50 * 1e3 for item in placings if item.entry.graph.variant == variant]
    if max_latency_ms is None or not times or min(times) <= max_latency_ms:
        return ()
    return (f"a frame takes {min(times):.1f} ms, more than {max_latency_ms:g} ms",)
