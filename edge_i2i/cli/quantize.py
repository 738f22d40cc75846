"""``edge-i2i quantize``, and ``python calibration/quantize.py``: one function, one help text."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edge_i2i.cli.options.calibration_options import CalibrationDataOptions
from edge_i2i.cli.options.choices import TARGETS, completing, shown
from edge_i2i.cli.options.numbers import positive
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import Bar, StageLines, result, result_json
from edge_i2i.cli.show.quantize_text import as_json, lines

ALL = "all"


class Precision(StrEnum):
    """Whether layers may go back to float for the budget."""

    INT8 = "int8"
    MIXED = "mixed"


@with_groups
def quantize(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle; it needs a variant fp32.")],
    data: CalibrationDataOptions,
    output: Annotated[
        Path | None, typer.Option("--output", help="The bundle to write; default: BUNDLE itself.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar=shown((*TARGETS, ALL)),
            autocompletion=completing((*TARGETS, ALL)),
            help="The engine to quantize for; repeatable; default all.",
        ),
    ] = None,
    precision: Annotated[
        Precision,
        typer.Option("--precision", help="mixed: layers may go back to float where int8 misses the budget."),
    ] = Precision.MIXED,
    min_psnr: Annotated[
        float | None,
        typer.Option(
            "--min-psnr",
            parser=positive,
            metavar="DB",
            help="Least PSNR against FP32 of the same network, in dB; default 47, tensorrt 45.",
        ),
    ] = None,
    min_ssim: Annotated[
        float | None,
        typer.Option(
            "--min-ssim",
            parser=positive,
            metavar="SSIM",
            help="Least SSIM against FP32 of the same network; default 0.996, tensorrt 0.994.",
        ),
    ] = None,
    max_latency: Annotated[
        float | None,
        typer.Option(
            "--max-latency",
            parser=positive,
            metavar="MS",
            help="The longest median time a frame may take, in milliseconds.",
        ),
    ] = None,
    ranges: Annotated[
        str,
        typer.Option(
            "--ranges", help="How ranges are found: min-max, or percentile (99.99 % of each frame and channel)."
        ),
    ] = "min-max",
    keep_float: Annotated[
        list[str] | None, typer.Option("--keep-float", help="A layer that stays in float; repeatable.")
    ] = None,
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="Keep in float what this file of edge-i2i sensitivity says.")
    ] = None,
    keep_slower: Annotated[
        bool, typer.Option("--keep-slower", help="Also keep variants that are not faster than float, with a label.")
    ] = False,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Where statistics and results are kept between runs.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Add INT8 variants to a bundle: for each target one, if it keeps the picture and is faster than float.

    Ranges are taken from the pictures; some of them are held out, to judge the variant by. Where INT8 in every layer
    misses the budget, the layers that cost the picture most go back to float. Variants of an earlier run for the same
    targets are replaced. Where the budget cannot be met, the best that was found is kept aside, beside the bundle, and
    the exit code is 5.

    Example: edge-i2i quantize city.i2i --data photos --target openvino
    """
    from edge_i2i.requirements import require_extra

    require_extra("quantize", purpose="Quantizing")
    from edge_i2i.files.caches import cache_folder
    from edge_i2i.quantize.calibration.statistics import range_kind
    from edge_i2i.quantize.job import QuantizeJob
    from edge_i2i.quantize.outcome import raise_if_missed
    from edge_i2i.quantize.run import quantize_bundle

    job = QuantizeJob(
        targets=_targets(target),
        mixed=precision is Precision.MIXED,
        min_psnr_db=min_psnr,
        min_ssim=min_ssim,
        max_latency_ms=max_latency,
        kind=range_kind(ranges),
        keep_float=tuple(dict.fromkeys(keep_float or ())),
        recipe=recipe,
        keep_slower=keep_slower,
        threads=threads,
        cache=cache or cache_folder("quantize"),
        command=_command(),
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
        result_json(as_json(summary))
    else:
        for line in lines(summary):
            result(line)
    raise_if_missed(summary)


def _targets(asked: list[str] | None) -> tuple[str, ...]:
    from edge_i2i.graphs.qdq.targets import target_names

    return target_names() if not asked or ALL in asked else tuple(dict.fromkeys(asked))


def _command() -> str:
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
