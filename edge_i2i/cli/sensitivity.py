"""``edge-i2i sensitivity``, and ``python calibration/sensitivity.py``: one function, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.calibration_options import CalibrationDataOptions
from edge_i2i.cli.options.choices import TARGETS, completing, shown
from edge_i2i.cli.options.numbers import positive
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import Bar, result, result_json
from edge_i2i.cli.show.sensitivity_table import print_table
from edge_i2i.errors import OutputError
from edge_i2i.files.places import check_file, refuse_foreign

if TYPE_CHECKING:
    from edge_i2i.quantize.search.report import SensitivityReport


@with_groups
def sensitivity(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle; it needs a variant fp32.")],
    data: CalibrationDataOptions,
    target: Annotated[
        str,
        typer.Option(
            "--target", metavar=shown(TARGETS), autocompletion=completing(TARGETS), help="The engine to quantize for."
        ),
    ] = "openvino",
    output: Annotated[
        Path | None, typer.Option("--output", help="The recipe to write; default BUNDLE.sensitivity-TARGET.json.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Also draw the table as a plot into this PNG file.")
    ] = None,
    min_psnr: Annotated[
        float | None,
        typer.Option(
            "--min-psnr",
            parser=positive,
            metavar="DB",
            help="The budget in dB that layers are suggested for; default 47, or 45 for tensorrt.",
        ),
    ] = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None,
    cache: Annotated[
        Path | None, typer.Option("--cache", help="Where statistics and results are kept between runs.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Quantize one layer of the frame graph at a time and measure what that does to the picture.

    The recipe is JSON to be read and edited: edge-i2i quantize BUNDLE --recipe FILE keeps the layers of its line
    keep_float in float. Results are kept, so a run that was interrupted goes on where it stopped.

    Example: edge-i2i sensitivity city.i2i --data photos --plot sensitivity.png
    """
    from edge_i2i.requirements import require_extra

    require_extra("quantize", purpose="Measuring sensitivity")
    from edge_i2i.bundle.locking import only_run
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.files.caches import cache_folder
    from edge_i2i.quantize.search.run import bundle_sensitivity

    recipe = output or bundle.with_suffix(f".sensitivity-{target}.json")
    _check_places(recipe, plot)
    with only_run(recipe):
        report = bundle_sensitivity(
            open_bundle(bundle),
            data.source,
            target,
            cache or cache_folder("quantize"),
            data.options(threads),
            min_psnr_db=min_psnr,
            progress=Bar(json),
        )
        report.write(recipe)
    if json:
        result_json({"recipe": str(recipe), **report.model_dump(mode="json")})
    else:
        _tell(report, recipe)
    if plot is not None:
        from edge_i2i.quantize.search.plot import plot_sensitivity

        plot_sensitivity(report, plot)
        if not json:
            result(f"plot    {plot}")


def _check_places(recipe: Path, plot: Path | None) -> None:
    """Before minutes of work, not after them."""
    from edge_i2i.quantize.search.plot import check_plot
    from edge_i2i.quantize.search.report import is_recipe

    check_file(recipe)
    if plot is not None:
        check_file(plot)
        check_plot(plot)
        if plot.absolute() == recipe.absolute():
            raise OutputError(f"The recipe and the plot would be one file, '{plot}'.", remedy="Give another --plot.")
    refuse_foreign(recipe, is_recipe, "a recipe of 'edge-i2i sensitivity'")


def _tell(report: SensitivityReport, recipe: Path) -> None:
    print_table(report)
    result(f"judged by {report.judged_by}, one layer in INT8 at a time, the others in FP32")
    kept, every = report.keep_float, len(report.placed)
    if report.int8_picture_psnr_db is not None:
        result(f"all {every} layers of the rule in INT8: {report.int8_picture_psnr_db:.2f} dB")
    if kept:
        result(
            f"{len(kept)} of them in float: {report.predicted_psnr_db:.1f} dB predicted, for {report.min_psnr_db:g} dB"
        )
    result(f"recipe  {recipe}")
