"""The house stays as CONTRIBUTING says: the figures are those of benchmarks/house.py."""

from __future__ import annotations

import statistics

from benchmarks import house

LEAST_TOLD = 1.0
LONGEST_P95 = 21
LONGEST = 70


def test_parameters_are_told() -> None:
    every = house.functions()
    untold = [
        f"{item.file}: {item.name} ({', '.join(item.untold)})" for item in every if item.is_public and item.untold
    ]
    assert house.told_share(every) >= LEAST_TOLD, untold


def test_functions_are_short() -> None:
    every = house.functions()
    assert statistics.quantiles([item.lines for item in every], n=20)[-1] <= LONGEST_P95
    assert [item for item in every if item.lines > LONGEST] == []


def test_no_files_import_each_other_in_a_circle() -> None:
    assert house.circles() == []
