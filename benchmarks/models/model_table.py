"""Count what every model costs, check it on every engine, and write the table and docs/models.md.

Takes some minutes: every graph of every architecture is traced, run on three engines and built with TensorRT-RTX.

Example: python -m benchmarks.models.model_table
         python -m benchmarks.models.model_table --only munit --only unit     (the others keep their figures)
         python -m benchmarks.models.model_table --page                       (the page alone, from the table)
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.figures import ROOT, circumstances, write_json
from edge_i2i.cards.check import check_model
from edge_i2i.cards.page import TABLE, page, read_table
from edge_i2i.cards.table import model_rows, verified
from edge_i2i.models.registry import family_names, get_family

PAGE = ROOT / "docs" / "models.md"
THREADS = 2


def main() -> None:
    """Measure what was asked for, keep the rest, and write both files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=family_names(), help="check this model only; repeatable")
    parser.add_argument("--page", action="store_true", help="write the page from the table; measure nothing")
    arguments = parser.parse_args()
    if not arguments.page:
        write_json(TABLE, measured(arguments.only), indent=1)
    PAGE.write_text(page(read_table()))


def measured(only: list[str] | None) -> dict[str, Any]:
    """The whole table; figures of models that are not asked for are taken from the table that is there."""
    known = {}
    if only and TABLE.exists():
        known = {(row["model"], row["architecture"]): row["verified"] for row in read_table()["models"]}
    rows = model_rows()
    checked: dict[Any, dict[str, Any]] = {}
    for row in rows:
        key = row["model"], row["architecture"]
        row["verified"] = known[key] if only and row["model"] not in only else check(*key, checked)
    return {"command": "python -m benchmarks.models.model_table", **circumstances(), "models": rows}


def check(model: str, architecture: str, checked: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """The figures of one architecture; those that shrink to the same tiny network are checked once."""
    family = get_family(model)
    tiny = family.tiny(family.architectures()[architecture])
    if (model, tiny) not in checked:
        sys.stderr.write(f"{model}: {architecture}\n")
        with tempfile.TemporaryDirectory() as folder:
            done = check_model(family, tiny, family.tiny_size, Path(folder), threads=THREADS)
            checked[model, tiny] = verified(done)
    return checked[model, tiny]


if __name__ == "__main__":
    main()
