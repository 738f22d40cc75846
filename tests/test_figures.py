"""The docs' figures are made from JSON, and are not stale."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks.docs import live_tables, make_figures, pages, quantization_page

ROOT = Path(__file__).parents[1]
PAGES = {make_figures: "figures", quantization_page: "quantization", live_tables: "live"}


@pytest.mark.parametrize(("program", "page"), PAGES.items(), ids=PAGES.values())
def test_pages_of_figures_are_what_their_commands_write(program: ModuleType, page: str) -> None:
    written = (ROOT / "docs" / f"{page}.md").read_text()
    assert written == program.page(), f"run: python -m {program.__name__}"


def test_a_table_without_figures_is_left_out_with_its_sentence(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- table: a b -->\nThat is how fast:\n\n| 1 |\n<!-- end -->\nafter\n")
    made = live_tables.measured(
        "docs/figures/nothing.json", lambda row: True, "That is how fast:", ("",), lambda row: ("",)
    )
    assert pages.filled(page, {"a b": lambda: made}) == "before\n<!-- table: a b -->\n<!-- end -->\nafter\n"


def test_a_table_that_has_no_place_or_no_maker_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- table: one -->\n<!-- end -->\n")
    with pytest.raises(KeyError, match="one, two"):
        pages.filled(page, {"two": str})


def test_figures_name_their_machine_and_no_path() -> None:
    for path in [*(ROOT / "docs" / "figures").glob("*.json"), ROOT / "training/results/demo/heldout.json"]:
        text = path.read_text()
        assert '"processor"' in text, path
        assert str(Path.home()) not in text and str(ROOT) not in text and tempfile.gettempdir() not in text, path
        json.loads(text)
