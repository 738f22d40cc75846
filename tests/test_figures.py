"""The docs' figures are made from JSON, and are not stale."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("command", "page"), [("make_figures", "figures"), ("quantization_page", "quantization")])
def test_pages_of_figures_are_what_their_commands_write(command: str, page: str) -> None:
    path = ROOT / "benchmarks" / f"{command}.py"
    specification = importlib.util.spec_from_file_location(command, path)
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    assert (ROOT / "docs" / f"{page}.md").read_text() == module.page(), f"run: python benchmarks/{command}.py"


def test_figures_name_their_machine_and_no_path() -> None:
    for path in [*(ROOT / "docs" / "figures").glob("*.json"), ROOT / "training/results/demo/heldout.json"]:
        text = path.read_text()
        assert '"processor"' in text, path
        assert str(Path.home()) not in text and str(ROOT) not in text and tempfile.gettempdir() not in text, path
        json.loads(text)
