"""What is said once stays said once: one formula of the PSNR, one way to write a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_i2i"
ORACLES = {"tests/metrics/test_parity.py", "tests/learn/test_evaluate.py", "tests/live/figures/test_histogram.py"}
"""Tests that hold a figure against its definition, written out."""


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    """The path below the repository's root, and the text, of every Python file of these folders but this one."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if path != Path(__file__):
                yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def test_one_place_makes_decibels_of_errors() -> None:
    found = {name for name, text in sources("edge_i2i", "benchmarks", "training", "tests") if "log10" in text}
    assert found - ORACLES == {"edge_i2i/metrics/decibels.py"}


def test_one_place_makes_errors_of_decibels() -> None:
    found = {name for name, text in sources("edge_i2i", "benchmarks", "training") if "db / 10" in text}
    assert found == {"edge_i2i/metrics/decibels.py"}
