"""Quality and latency of a bundle's variants side by side, as plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

KINDS = ("latency", "quality")

# Figure and heading, in the order of the columns; further figures are in ``edge-i2i inspect --json``.
_COLUMNS = (
    ("p50_ms", "p50 ms"),
    ("p10_ms", "p10 ms"),
    ("p90_ms", "p90 ms"),
    ("speed_to_fp32", "speed"),
    ("psnr_db", "PSNR dB"),
    ("ssim", "SSIM"),
    ("texture_ratio", "texture"),
    ("grey_levels_ratio", "levels"),
    ("flicker_ratio", "flicker"),
)

_Row = tuple[str, str, str]


def evidence_tables(evidence: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Lines to print: for each graph and machine a heading and a table, a line each variant, engine and arithmetic.

    ``evidence``: records of the ``KINDS``, as ``describe`` gives them. Of two figures of one name the later one counts.
    """
    tables: dict[tuple[str, str], dict[_Row, dict[str, Any]]] = {}
    for record in evidence:
        table = tables.setdefault((record["graph"] or "", _machine(record["machine"])), {})
        row = (record["variant"] or "", record["engine"] or "", record["precision"] or "")
        table.setdefault(row, {}).update(record["figures"])
    for (graph, machine), rows in tables.items():
        yield f"measured: {graph} on {machine}"
        yield from (f"  {line}" for line in _table(rows))


def _machine(machine: Mapping[str, Any]) -> str:
    return f"{machine.get('processor', 'an unknown machine')}, {machine.get('cores', '?')} cores"


def _table(rows: Mapping[_Row, Mapping[str, Any]]) -> Iterator[str]:
    columns = [column for column in _COLUMNS if any(column[0] in figures for figures in rows.values())]
    lines = [["variant", "engine", "float", *(heading for _, heading in columns)]]
    for row, figures in rows.items():
        lines.append([*row, *(_cell(figures.get(figure, "")) for figure, _ in columns)])
    widths = [max(len(line[index]) for line in lines) for index in range(len(lines[0]))]
    for line in lines:
        names = [cell.ljust(width) for cell, width in zip(line[:3], widths[:3], strict=True)]
        numbers = [cell.rjust(width) for cell, width in zip(line[3:], widths[3:], strict=True)]
        yield "  ".join(names + numbers).rstrip()


def _cell(value: float | str) -> str:
    """Infinity is a word already: see ``describe``."""
    return value if isinstance(value, str) else f"{value:.4g}"
