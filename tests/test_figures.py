"""The docs' figures are made from JSON, and are not stale."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_page_of_figures_is_what_its_command_writes() -> None:
    path = ROOT / "benchmarks" / "make_figures.py"
    specification = importlib.util.spec_from_file_location("make_figures", path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert (ROOT / "docs" / "figures.md").read_text() == module.page(), "run: python benchmarks/make_figures.py"


def test_figures_name_their_machine_and_no_path() -> None:
    for path in [*(ROOT / "docs" / "figures").glob("*.json"), ROOT / "training/results/demo/heldout.json"]:
        text = path.read_text()
        assert '"processor"' in text, path
        assert str(Path.home()) not in text and str(ROOT) not in text, path
        json.loads(text)
