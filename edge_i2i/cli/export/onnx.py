"""``edge-i2i export onnx``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.export.common import Exporting, Json, check_writing, tell_bundle, write_bundle
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.show.console import result_json

if TYPE_CHECKING:
    from edge_i2i.export.onnx import ExportSummary


@with_groups
def onnx(
    asked: Exporting,
    precision: Annotated[
        list[str] | None,
        typer.Option("--precision", help="A variant to write: fp32 or fp16; repeatable; default both."),
    ] = None,
    json: Json = False,
) -> None:
    """Export a network to a bundle of checked ONNX graphs.

    Example: edge-i2i export onnx --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024 --output city.i2i
    """
    check_writing(asked.writing)
    summary = write_bundle(asked, tuple(dict.fromkeys(precision or ("fp32", "fp16"))), json)
    if json:
        result_json(_bundle_json(summary))
    else:
        tell_bundle(summary)


def _bundle_json(summary: ExportSummary) -> dict[str, Any]:
    return {
        "bundle": str(summary.bundle),
        "parity": summary.parity,
        "rewrites": summary.rewrites,
        "seconds": summary.seconds,
    }
