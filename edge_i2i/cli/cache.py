"""``edge-i2i cache``: what is kept between runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edge_i2i.cli.show.console import result, result_json
from edge_i2i.cli.show.whole_help import WholeHelp

if TYPE_CHECKING:
    from edge_i2i.files.caches import Cache

app = typer.Typer(cls=WholeHelp, rich_markup_mode=None)


def _names(incomplete: str) -> list[str]:
    """Names that the shell offers."""
    from edge_i2i.files.caches import KINDS

    return [name for name in KINDS if name.startswith(incomplete)]


@app.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Show what is kept between runs, how much of it, and where; `clear NAME …` removes it.

    Everything here can be made again: without it the next run takes longer. TensorRT engines lie beside their bundles.

    Example: edge-i2i cache
    """
    from edge_i2i.files.caches import cache_root, list_caches

    if context.invoked_subcommand is not None:
        return
    found = list_caches()
    if json:
        result_json({"folder": str(cache_root()), "caches": _told(found)})
        return
    result(f"{cache_root()}: {_size(sum(cache.bytes for cache in found))}")
    for cache in found:
        result(f"  {_line(cache)}")


@app.command()
def clear(
    names: Annotated[
        list[str],
        typer.Argument(help="The caches to clear, by the names that `cache` shows.", autocompletion=_names),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Remove what is kept under these names.

    Example: edge-i2i cache clear quantize pairs
    """
    from edge_i2i.files.caches import clear_caches

    gone = clear_caches(names)
    if json:
        result_json({"cleared": _told(gone)})
        return
    for cache in gone:
        result(f"removed {_line(cache)}")
    if not gone:
        result("nothing was kept there")


def _told(caches: Sequence[Cache]) -> list[dict[str, Any]]:
    return [{**asdict(cache), "path": str(cache.path)} for cache in caches]


def _line(cache: Cache) -> str:
    purpose = f"  {cache.purpose}" if cache.purpose else ""
    return f"{cache.name:12s} {_size(cache.bytes):>10s}  {cache.files} files{purpose}  {cache.path}"


def _size(count: float) -> str:
    """With a unit that keeps it below a thousand."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
