"""The docs' figures are made from JSON, and are not stale."""

from __future__ import annotations

import importlib.util
import json
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


PAGES = {"make_figures": "figures", "quantization_page": "quantization", "live_tables": "live"}


def command_of(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("command", "page"), PAGES.items())
def test_pages_of_figures_are_what_their_commands_write(command: str, page: str) -> None:
    written = (ROOT / "docs" / f"{page}.md").read_text()
    assert written == command_of(command).page(), f"run: python benchmarks/{command}.py"


def test_a_table_without_figures_is_left_out_with_its_sentence(tmp_path: Path) -> None:
    pages, tables = command_of("pages"), command_of("live_tables")
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: a b -->\nThat is how fast:\n\n| 1 |\n<!-- end -->\nafter\n")
    made = tables.measured("docs/figures/nothing.json", lambda row: True, "That is how fast:", ("",), lambda row: ("",))
    assert pages.filled(page, {"a b": lambda: made}) == "before\n<!-- table: a b -->\n<!-- end -->\nafter\n"


def test_a_table_that_has_no_place_or_no_maker_is_an_error(tmp_path: Path) -> None:
    pages, page = command_of("pages"), tmp_path / "page.md"
    page.write_text("<!-- table: one -->\n<!-- end -->\n")
    with pytest.raises(KeyError, match="one, two"):
        pages.filled(page, {"two": str})


def test_figures_name_their_machine_and_no_path() -> None:
    for path in [*(ROOT / "docs" / "figures").glob("*.json"), ROOT / "training/results/demo/heldout.json"]:
        text = path.read_text()
        assert '"processor"' in text, path
        assert str(Path.home()) not in text and str(ROOT) not in text and tempfile.gettempdir() not in text, path
        json.loads(text)
