"""``edge-i2i export``: one file a target."""

from __future__ import annotations

import typer

from edge_i2i.cli.export.onnx import onnx
from edge_i2i.cli.export.trt import trt
from edge_i2i.cli.show.verbs import ExportTargets

app = typer.Typer(
    cls=ExportTargets,
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Export a network to a bundle and its engines.",
)
app.command("onnx")(onnx)
app.command("trt")(trt)
