"""A sensitivity report as a table: drawn on a terminal, plain columns elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_i2i.cli.show.console import result, shown_on
from edge_i2i.texts import one_line

if TYPE_CHECKING:
    from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport

_HEAD = ("layer", "operator", "MACs %", "PSNR dB", "picture dB", "SSIM", "texture", "levels", "flicker", "precision")
_NAMES = ("layer", "operator", "precision")


def print_table(report: SensitivityReport) -> None:
    """A line a layer, the most sensitive first."""
    rows = [_row(layer, report) for layer in report.most_sensitive_first]
    if sys.stdout.isatty():
        _print_rich(rows)
    else:
        _print_plain(rows)


def _row(layer: LayerSensitivity, report: SensitivityReport) -> tuple[str, ...]:
    precision = f"float: {layer.note or layer.left_out}" if layer.left_out else "INT8"
    if layer.name in report.keep_float:
        precision = "float (suggested)"
    return (
        layer.name,
        layer.operator,
        f"{100 * layer.macs_share:.1f}",
        _cell(layer.psnr_db, 2),
        _cell(layer.picture_psnr_db, 2),
        _cell(layer.ssim, 5),
        _cell(layer.texture_ratio, 4),
        _cell(layer.grey_levels_ratio, 3),
        _cell(layer.flicker_ratio, 4),
        precision,
    )


def _cell(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _print_plain(rows: Sequence[tuple[str, ...]]) -> None:
    lines = [_HEAD, *rows]
    widths = [max(len(line[index]) for line in lines) for index in range(len(_HEAD))]
    for line in lines:
        cells = [
            cell.ljust(width) if heading in _NAMES else cell.rjust(width)
            for cell, width, heading in zip(line, widths, _HEAD, strict=True)
        ]
        result("  ".join(cells).rstrip())


def _print_rich(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD)
    for heading in _HEAD:
        names = heading in _NAMES
        table.add_column(heading, justify="left" if names else "right", overflow="fold", no_wrap=heading == "layer")
    for row in rows:
        table.add_row(
            *map(one_line, row), style="" if row[-1] == "INT8" else "bold" if "suggested" in row[-1] else "dim"
        )
    Console(file=shown_on(sys.stdout)).print(table, markup=False)
