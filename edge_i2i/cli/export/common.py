"""What the export verbs share: their options, loading the network, writing the bundle, and telling about it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.console import StageLines, result, say
from edge_i2i.errors import UsageError

if TYPE_CHECKING:
    from edge_i2i.export import ExportSummary
    from edge_i2i.models.loading import LoadedModel

Model = Annotated[str, typer.Option("--model", help="Which published model, for example pix2pixhd.")]
Checkpoint = Annotated[
    Path | None, typer.Option("--checkpoint", help="Its official checkpoint; without one: our demo weights.")
]
RandomWeights = Annotated[
    bool, typer.Option("--random-weights", help="The full-size network with random weights, for speed tests.")
]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", help="Override the inferred architecture: key=value; repeatable.")
]
PictureSize = Annotated[str | None, typer.Option("--size", help="HxW, for example 512x1024.")]
Output = Annotated[Path | None, typer.Option("--output", help="The bundle to write; default MODEL.i2i.")]
AsDirectory = Annotated[bool, typer.Option("--directory", help="Write the bundle as a folder, not as one file.")]
Passes = Annotated[
    str | None, typer.Option("--passes", help="Graph passes by name, comma-separated ('none' for none).")
]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads for the parity runs.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def load_network(
    name: str, checkpoint: Path | None, random_weights: bool, overrides: Sequence[str] | None
) -> LoadedModel:
    """The network that the options ask for: a checkpoint, random weights, or the demo weights."""
    from edge_i2i.models.loading import load_checkpoint, load_demo, load_random

    if checkpoint is not None and random_weights:
        raise UsageError("--checkpoint and --random-weights exclude each other.", remedy="Give one of them.")
    pairs = _pairs(overrides or ())
    if checkpoint is not None:
        return load_checkpoint(name, checkpoint, pairs)
    if random_weights:
        say(f"Random weights: the full-size {name}, right for speed, meaningless as a picture.")
        return load_random(name, pairs)
    if pairs:
        raise UsageError(
            "--set needs --checkpoint or --random-weights.", remedy="The demo weights fit one architecture."
        )
    say(f"No --checkpoint: using the small {name} that is shipped as a demo.")
    return load_demo(name)


def _pairs(overrides: Sequence[str]) -> dict[str, str]:
    broken = [text for text in overrides if "=" not in text]
    if broken:
        raise UsageError(f"--set {broken[0]}: write key=value.", remedy="For example --set label_nc=20.")
    return dict(text.split("=", 1) for text in overrides)


def write_bundle(
    loaded: LoadedModel,
    size: str | None,
    output: Path,
    precisions: tuple[str, ...],
    passes: str | None,
    directory: bool,
    threads: int | None,
    quiet: bool,
) -> ExportSummary:
    """Export every graph of a network into the bundle ``output``."""
    from edge_i2i.export import default_size, export_bundle
    from edge_i2i.graphs.export import ExportOptions
    from edge_i2i.graphs.passes import DEFAULT_PASSES
    from edge_i2i.models.contract import Size

    names = DEFAULT_PASSES if passes is None else tuple(name for name in passes.split(",") if name not in ("", "none"))
    return export_bundle(
        loaded,
        Size.parse(size) if size else default_size(loaded),
        output,
        ExportOptions(precisions=precisions, passes=names, threads=threads),
        layout="directory" if directory else "file",
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        on_stage=StageLines(quiet),
    )


def tell_bundle(summary: ExportSummary) -> None:
    """Where the bundle is, and how close each stage came to torch."""
    result(f"bundle  {summary.bundle}  ({summary.seconds:.1f} s)")
    for graph, stages in summary.parity.items():
        for stage, figures in stages.items():
            result(f"  {graph:8s} {stage:32s} {_figures(figures)}")
    result(f"what it takes: edge-i2i inspect {summary.bundle}; to use it: edge-i2i translate --help")


def _figures(figures: Mapping[str, float]) -> str:
    parts = []
    if "float_error" in figures:
        parts.append(f"largest error {figures['float_error']:.1e}")
    if "equal_share" in figures:
        parts.append(f"{figures['equal_share']:.3%} of values equal")
    parts.append(f"{figures['psnr_db']:.1f} dB")
    return ", ".join(parts)
