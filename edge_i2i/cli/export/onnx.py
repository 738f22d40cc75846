"""``edge-i2i export onnx``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.console import result_json
from edge_i2i.cli.export.common import (
    AsDirectory,
    Checkpoint,
    Json,
    Model,
    Output,
    Overrides,
    Passes,
    PictureSize,
    RandomWeights,
    Threads,
    load_network,
    tell_bundle,
    write_bundle,
)

if TYPE_CHECKING:
    from edge_i2i.export import ExportSummary


def onnx(
    model: Model = "pix2pixhd",
    checkpoint: Checkpoint = None,
    random_weights: RandomWeights = False,
    overrides: Overrides = None,
    size: PictureSize = None,
    precision: Annotated[
        list[str] | None, typer.Option("--precision", help="fp32 or fp16; repeatable; default both.")
    ] = None,
    output: Output = None,
    directory: AsDirectory = False,
    passes: Passes = None,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Export a network to a bundle of checked ONNX graphs.

    Example: edge-i2i export onnx --model pix2pixhd --checkpoint latest_net_G.pth --size 512x1024 --output city.i2i
    """
    loaded = load_network(model, checkpoint, random_weights, overrides)
    target = output or Path(f"{model}.i2i")
    precisions = tuple(dict.fromkeys(precision or ("fp32", "fp16")))
    summary = write_bundle(loaded, size, target, precisions, passes, directory, threads, json)
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
