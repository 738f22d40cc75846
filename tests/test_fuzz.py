"""What is thrown at everything that reads a stranger's files: a few seeds of each target here, more on request.

For long: python -m benchmarks.fuzz.run --seconds 600
"""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from benchmarks.figures import FOLDER, ROOT
from benchmarks.fuzz.targets import TARGETS
from edge_i2i.errors import EdgeI2IError

SEEDS = {"bundle": 150, "manifest": 40, "graph": 150, "checkpoint": 40, "picture": 400, "wire": 1500}
NOT_ITS_FAULT = 4  # the exit code for bad input; 2 and 5 come from bundles that hold together and do not go together


def test_every_target_is_tried() -> None:
    assert set(TARGETS) == set(SEEDS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SEEDS)
def test_damage_is_refused_in_plain_words_or_changes_nothing(name: str, tmp_path: Path) -> None:
    target, outcomes = TARGETS[name](tmp_path), set[str]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(SEEDS[name]):
            try:
                outcomes.add(target(seed))
            except EdgeI2IError as error:
                assert error.exit_code in (2, NOT_ITS_FAULT, 5), f"seed {seed}: {error}"
                outcomes.add("refused")
    assert "refused" in outcomes and len(outcomes) > 1, "seeds that are all refused, or none, test little"


def test_the_command_writes_its_figures_and_tries_a_seed_again(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz.run", "--only", "wire", "--first", "7", "--count", "20"]
    subprocess.run([*command, "--output", str(tmp_path / "fuzz.json")], check=True, capture_output=True, cwd=ROOT)
    figures = json.loads((tmp_path / "fuzz.json").read_text())
    (row,) = figures["rows"]
    assert (row["target"], row["inputs"], row["findings"]) == ("wire", 20, [])
    assert figures["command"] == "python -m benchmarks.fuzz.run" and figures["machine"]
    again = [*command[:-1], "1", "--output", "-"]
    said = subprocess.run(again, check=True, capture_output=True, text=True, cwd=ROOT).stdout
    assert json.loads(said)[0]["inputs"] == 1


def test_what_was_tried_last_found_nothing() -> None:
    figures = json.loads((FOLDER / "fuzz.json").read_text())
    assert {row["target"] for row in figures["rows"]} == set(SEEDS)
    assert not [row["findings"] for row in figures["rows"] if row["findings"]], (
        "mend it, then: python -m benchmarks.fuzz.run"
    )
