"""``edge-i2i models``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from edge_i2i.cli.show.console import result, result_json
from edge_i2i.errors import UsageError


def models(
    name: Annotated[
        str | None, typer.Argument(help="Show only this model, with everything that is known of it.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """List the models: what each costs, what it takes, and how it was verified.

    GMAC are true multiply-accumulates of one frame; the same table with its sources is docs/models.md.

    Example: edge-i2i models munit
    """
    from edge_i2i.cards.page import SIZES, read_table

    table = read_table()
    rows = [row for row in table["models"] if name is None or row["model"] == name]
    if not rows:
        known = ", ".join(dict.fromkeys(row["model"] for row in table["models"]))
        raise UsageError(f"There is no model '{name}'.", remedy=f"Known models: {known}.")
    if json:
        result_json({**table, "models": rows})
    elif name is None:
        _tell_all(rows, [str(size) for size in SIZES])
    else:
        for row in rows:
            _tell(row)


def _tell_all(rows: Sequence[Mapping[str, Any]], sizes: Sequence[str]) -> None:
    head = ["model", "architecture", "M params", *(f"GMAC {size}" for size in sizes), "every frame", "once"]
    lines = [head, *(_cells(row, sizes) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        result("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _cells(row: Mapping[str, Any], sizes: Sequence[str]) -> list[str]:
    gmac = [row["frame_gmac"].get(size) for size in sizes]
    return [
        row["model"],
        row["architecture"],
        f"{row['frame_parameters'] / 1e6:.2f}",
        *("–" if value is None else f"{value:.1f}" for value in gmac),
        ", ".join(row["inputs"]["frame"]),
        "; ".join(graph for graph in row["inputs"] if graph != "frame") or "–",
    ]


def _tell(row: Mapping[str, Any]) -> None:
    result(f"{row['title']}, {row['architecture']}")
    result(f"  source      {row['source']}")
    result(f"  licence     {row['reference_licence']}")
    result(f"  weights     {row['released_weights']}")
    result(f"  frame       {row['frame_parameters'] / 1e6:.2f} M parameters, {_gmac(row['frame_gmac'])}")
    for graph, gmac in row["condition_gmac"].items():
        result(f"  once        {graph}: {gmac:g} GMAC at {row['own_size']}")
    for graph, given in row["inputs"].items():
        result(f"  takes       {graph} ← {', '.join(given)}")
    done = row["verified"]
    result(f"  reference   {row['fidelity']}")
    for engine, figures in done["engines"].items():
        result(f"  {engine:11s} float error {figures['float_error']:.1e}, grey levels {figures['grey_levels']}")
    result(f"  rtx         {'every graph builds' if done['rtx_built'] else 'does not build'}")


def _gmac(values: Mapping[str, float]) -> str:
    return ", ".join(f"{value:g} GMAC at {size}" for size, value in values.items())
