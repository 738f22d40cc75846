"""Where figures are kept, and the circumstances that stand beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_i2i.machine import describe_machine, installed_versions

ROOT = Path(__file__).parents[1]
"""The repository's; commands run here."""
FOLDER = ROOT / "docs" / "figures"

Row = dict[str, Any]


def rows_of(path: Path) -> list[Row]:
    """The rows that were kept in a file; none where there is no such file."""
    if not path.exists():
        return []
    rows: list[Row] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    return rows


def kept_rows(path: Path, keep: Callable[[Row], bool]) -> list[Row]:
    """The rows of an earlier run that ``keep`` holds on to."""
    return [row for row in rows_of(path) if keep(row)]


def circumstances() -> dict[str, Any]:
    """The machine, the versions and the day of a measurement."""
    return {
        "machine": describe_machine(),
        "versions": installed_versions(),
        "date": datetime.now(UTC).date().isoformat(),
    }


def write_json(path: Path, figures: dict[str, Any], indent: int = 2) -> None:
    """One file of figures."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=indent, ensure_ascii=False) + "\n", encoding="utf-8")


def write_figures(path: Path, rows: list[Row], command: str, threads: int, **about: Any) -> None:
    """Keep what is measured so far, with the command and the circumstances beside it."""
    write_json(path, {**about, "rows": rows, "threads": threads, "command": command, **circumstances()})
