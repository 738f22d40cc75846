"""``edge-i2i quantize``, and ``python calibration/quantize.py``: one function, one help text."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.calibration_options import CalibrationDataOptions
from edge_i2i.cli.console import Bar, StageLines, result, result_json
from edge_i2i.cli.option_groups import with_groups

if TYPE_CHECKING:
    from edge_i2i.quantize.contest import Placing
    from edge_i2i.quantize.road import QuantizeSummary
    from edge_i2i.quantize.variants import QuantizedVariant

ALL = "all"


class Precision(StrEnum):
    """Whether layers may go back to float for the budget."""

    INT8 = "int8"
    MIXED = "mixed"


@with_groups
def quantize(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle; it has the variant fp32.")],
    data: CalibrationDataOptions,
    output: Annotated[
        Path | None, typer.Option("--output", help="The bundle to write; default: BUNDLE itself.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option("--target", help="onnxruntime, openvino, tensorrt or all; repeatable; default all."),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="mixed: back to float, layer by layer, where int8 misses the budget."),
    ] = Precision.MIXED,
    min_psnr: Annotated[
        float | None, typer.Option("--min-psnr", help="In dB, to FP32 of the same network; default 47, tensorrt 45.")
    ] = None,
    min_ssim: Annotated[
        float | None, typer.Option("--min-ssim", help="To FP32 of the same network; default 0.996, tensorrt 0.994.")
    ] = None,
    max_latency: Annotated[
        float | None, typer.Option("--max-latency", help="The longest median frame, in milliseconds.")
    ] = None,
    ranges: Annotated[
        str, typer.Option("--ranges", help="min-max, or percentile (99.99 % of each frame and channel).")
    ] = "min-max",
    keep_float: Annotated[
        list[str] | None, typer.Option("--keep-float", help="A layer that stays in float; repeatable.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Keep in float what this file of edge-i2i sensitivity says.")
    ] = None,
    keep_slower: Annotated[
        bool, typer.Option("--keep-slower", help="Keep variants that are slower than float, labelled.")
    ] = False,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Where statistics and results are kept between runs.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Add INT8 variants to a bundle that keep the picture, and keep those that are faster.

    Ends with exit code 5 where the budget cannot be met; the best variant that was found is kept aside then.

    Example: edge-i2i quantize city.i2i --data photos --target openvino
    """
    from edge_i2i.quantize.cache import default_cache
    from edge_i2i.quantize.road import QuantizeJob, quantize_bundle, raise_if_missed
    from edge_i2i.quantize.sensitivity_report import read_recipe
    from edge_i2i.quantize.statistics import range_kind

    kept = (*(keep_float or ()), *(read_recipe(recipe).keep_float if recipe else ()))
    job = QuantizeJob(
        targets=_targets(target),
        mixed=precision is Precision.MIXED,
        min_psnr_db=min_psnr,
        min_ssim=min_ssim,
        max_latency_ms=max_latency,
        kind=range_kind(ranges),
        keep_float=tuple(dict.fromkeys(kept)),
        keep_slower=keep_slower,
        threads=threads,
        cache=cache or default_cache(),
        command=shlex.join(["edge-i2i", *sys.argv[1:]]),
    )
    summary = quantize_bundle(
        bundle,
        output or bundle,
        data.source,
        job,
        data.options(threads),
        progress=Bar(json),
        on_stage=StageLines(json),
    )
    if json:
        result_json(_as_json(summary))
    else:
        _tell(summary)
    raise_if_missed(summary)


def _targets(asked: list[str] | None) -> tuple[str, ...]:
    from edge_i2i.graphs.qdq.targets import target_names

    return target_names() if not asked or ALL in asked else tuple(dict.fromkeys(asked))


def _tell(summary: QuantizeSummary) -> None:
    for line in summary.calibration:
        result(line)
    for variant in summary.variants:
        result(_line(variant, summary))
        for combination in variant.tried:
            time = "" if combination.p50_ms is None else f", {combination.p50_ms:.1f} ms"
            kept = f"{len(combination.keep_float)} in float"
            result(f"    tried {kept}: {combination.verdict.quality.psnr_db:.2f} dB{time}")
    for placing in summary.placings:
        result(f"  {_speed_line(placing)}")
    result(f"bundle  {summary.bundle}")


def _line(variant: QuantizedVariant, summary: QuantizeSummary) -> str:
    quality = variant.verdict.quality
    flicker = "" if quality.flicker_ratio is None else f", flicker {quality.flicker_ratio - 1:+.1%}"
    what = f"{len(variant.graph.layers)} layers in INT8, {len(variant.kept_float)} in float"
    if variant.name in summary.missed:
        fate = "BELOW BUDGET: " + "; ".join(summary.missed[variant.name])
    elif variant.name in summary.dropped:
        fate = f"dropped: {summary.dropped[variant.name]} (--keep-slower keeps it)"
    else:
        fate = f"kept: {summary.kept[variant.name]}" if summary.kept[variant.name] else "kept"
    return (
        f"{variant.name}: {quality.psnr_db:.2f} dB, SSIM {quality.ssim:.4f}, "
        f"{quality.grey_levels_ratio:.0%} of the grey levels{flicker}; {what}; {fate}"
    )


def _speed_line(placing: Placing) -> str:
    timings, speed = placing.timings, "" if placing.speed is None else f", {placing.speed:.2f} × FP32"
    return (
        f"{placing.entry.name:34s} {timings.p50 * 1e3:9.2f} ms (p10 {timings.p10 * 1e3:.2f}, "
        f"p90 {timings.p90 * 1e3:.2f}){speed}, computed in {placing.effective_precision}"
    )


def _as_json(summary: QuantizeSummary) -> dict[str, Any]:
    return {
        "bundle": str(summary.bundle),
        "calibration": list(summary.calibration),
        "variants": [_variant_json(variant) for variant in summary.variants],
        "latency": [_placing_json(placing) for placing in summary.placings],
        "kept": dict(summary.kept),
        "dropped": dict(summary.dropped),
        "missed": {name: list(complaints) for name, complaints in summary.missed.items()},
        "kept_aside": None if summary.aside is None else str(summary.aside),
    }


def _variant_json(variant: QuantizedVariant) -> dict[str, Any]:
    return {
        "variant": variant.name,
        "target": variant.target,
        "judged_by": variant.verdict.judged_by,
        "quality": variant.verdict.quality.figures(),
        "int8_layers": len(variant.graph.layers),
        "float_layers": dict(variant.kept_float),
        "passes": dict(variant.graph.passes),
        "tried": [
            {
                "float_layers": list(item.keep_float),
                "psnr_db": item.verdict.quality.psnr_db,
                "p50_ms": item.p50_ms,
                "meets": item.meets,
            }
            for item in variant.tried
        ],
    }


def _placing_json(placing: Placing) -> dict[str, Any]:
    return {
        "variant": placing.entry.graph.variant,
        "engine": placing.entry.engine.name,
        "precision": placing.entry.precision,
        "effective_precision": placing.effective_precision,
        **placing.timings.figures(),
        "speed_to_fp32": placing.speed,
    }
