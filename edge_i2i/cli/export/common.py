"""What the export verbs share: how the bundle is written, and telling about it."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.network import Architecture, Network, load_network
from edge_i2i.cli.show.console import StageLines, result

if TYPE_CHECKING:
    from edge_i2i.export.onnx import ExportSummary

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


@dataclass(frozen=True)
class Writing:
    """How a bundle is made."""

    size: Annotated[str | None, typer.Option("--size", help="The picture size to export at, HxW: 512x1024.")] = None
    output: Annotated[Path | None, typer.Option("--output", help="The bundle to write; default MODEL.i2i.")] = None
    directory: Annotated[bool, typer.Option("--directory", help="Write the bundle as a folder, not as one file.")] = (
        False
    )
    rewrites: Annotated[
        str | None,
        typer.Option("--rewrites", help="Rewrites of the network by name, comma-separated ('none' for none)."),
    ] = None
    passes: Annotated[
        str | None, typer.Option("--passes", help="Passes over the graph by name, comma-separated ('none' for none).")
    ] = None
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads for the parity runs.")] = None


@dataclass(frozen=True)
class Exporting:
    """The options that every export verb has: which network, and how its bundle is made."""

    network: Network
    architecture: Architecture
    writing: Writing


def check_writing(writing: Writing) -> None:
    """Check that a bundle can be written, before the network is read.

    Raises:
        OutputError: nothing can be written there.
    """
    from edge_i2i.bundle.writer import check_bundle_place
    from edge_i2i.files.places import check_folder

    if writing.output is None:
        check_folder(Path())
    else:
        check_bundle_place(writing.output)


def write_bundle(asked: Exporting, precisions: tuple[str, ...], quiet: bool) -> ExportSummary:
    """Export every graph of a network into a bundle; the weights are free again when it is written.

    Args:
        asked: which network, and how the bundle is made.
        precisions: the variants to write, ``fp32`` and ``fp16``.
        quiet: say nothing of the stages.
    """
    from edge_i2i.contract import Size
    from edge_i2i.export.onnx import default_size, export_bundle
    from edge_i2i.graphs.export import ExportOptions
    from edge_i2i.graphs.passes import DEFAULT_PASSES

    loaded, writing = load_network(asked.network, asked.architecture), asked.writing
    passes, rewrites = _names(writing.passes), _names(writing.rewrites)
    return export_bundle(
        loaded,
        Size.parse(writing.size) if writing.size else default_size(loaded),
        writing.output or Path(f"{loaded.family.name}.i2i"),
        ExportOptions(
            precisions=precisions,
            passes=DEFAULT_PASSES if passes is None else passes,
            rewrites=rewrites,
            threads=writing.threads,
        ),
        layout="directory" if writing.directory else "file",
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        on_stage=StageLines(quiet),
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name for name in text.split(",") if name not in ("", "none"))


def tell_bundle(summary: ExportSummary) -> None:
    """Where the bundle is, and how close each stage came to torch."""
    result(f"bundle  {summary.bundle}  ({summary.seconds:.1f} s)")
    width = max((len(graph) for graph in summary.parity), default=0)
    for graph, stages in summary.parity.items():
        for stage, figures in stages.items():
            result(f"  {graph:{width}s} {stage:32s} {_figures(figures)}")
    result(f"what it takes, and how to use it: edge-i2i translate {summary.bundle} --help")


def _figures(figures: Mapping[str, float]) -> str:
    parts = []
    if "float_error" in figures:
        parts.append(f"largest error {figures['float_error']:.1e}")
    if "equal_share" in figures:
        parts.append(f"{figures['equal_share']:.3%} of values equal")
    parts.append(f"{figures['psnr_db']:.1f} dB")
    return ", ".join(parts)
