"""``edge-i2i collect``, and ``python calibration/collect.py``: one function, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.numbers import not_negative, positive
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.options.source_options import SourceOptions
from edge_i2i.cli.show.console import Bar, result, result_json, say

if TYPE_CHECKING:
    from edge_i2i.collect.folder import Collection


@with_groups
def collect(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A film, folder, quoted glob or picture; a camera's number; rtsp://…, screen:, … as in live --source.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", help="The folder for the frames; an earlier one is replaced.")],
    *,
    asked: SourceOptions,
    count: Annotated[int, typer.Option("--count", help="The most frames to keep.")] = 32,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            parser=positive,
            metavar="S",
            help="Of a video, camera or stream, how long; default all, or 30 s of what has no end.",
        ),
    ] = None,
    every: Annotated[
        float,
        typer.Option(
            "--every",
            parser=not_negative,
            metavar="S",
            help="Of a video, camera or stream, look at a frame every so many seconds; 0: at each one.",
        ),
    ] = 0.2,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Choose calibration frames that differ and together cover what a source shows.

    Frames of a single colour and repeated ones are left out. OUTPUT/.collection holds a record (collection.json) and a
    contact sheet to look over.

    Example: edge-i2i collect drive.mp4 --output frames --count 32
    """
    from edge_i2i.collect.frames import Sampling
    from edge_i2i.collect.opening import open_source
    from edge_i2i.collect.run import collect_frames
    from edge_i2i.files.places import check_folder

    check_folder(output)
    frames = open_source(source, output, Sampling(seconds, every), **asked.of_library())
    collection = collect_frames(frames, output, count=count, progress=Bar(json))
    if json:
        result_json({"output": str(output), **collection.model_dump()})
    else:
        _tell(collection, output)


def _tell(collection: Collection, output: Path) -> None:
    from edge_i2i.collect.folder import EXTRAS_FOLDER, SHEET_NAME

    out, coverage, chosen = collection.left_out, collection.coverage, len(collection.frames)
    result(f"{output}: {chosen} frames, {collection.bytes / 1e6:.1f} MB on disk")
    result(
        f"  {collection.seen} looked at: {out.near_duplicates} near-duplicates, {out.blank} blank, "
        f"{out.similar + out.not_needed} like a chosen one"
    )
    result(
        f"  the others are {coverage.mean_distance:.2f} from a chosen one on average, {coverage.largest_distance:.2f} "
        f"at most ({coverage.near_duplicate_distance} is a near-duplicate)"
    )
    result(f"  look them over: {output / EXTRAS_FOLDER / SHEET_NAME}")
    for one in out.unreadable:
        say(f"passed over {one.file}: {one.reason}")
    if chosen < collection.requested:
        more = (
            " A smaller --every looks at more."
            if collection.source.kind not in ("picture", "folder", "pattern")
            else ""
        )
        say(f"Only {chosen} different frames were found of the {collection.requested} asked for.{more}")
