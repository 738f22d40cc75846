"""The table of models is not stale, and what it counts is what the field publishes."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_i2i.cards.cost import cost_of
from edge_i2i.cards.page import page, read_table
from edge_i2i.cards.table import model_rows
from edge_i2i.contract import Size
from edge_i2i.models.registry import get_family

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
AGAIN = "run: python -m benchmarks.models.model_table"


def test_the_table_says_what_the_declarations_say() -> None:
    known = [{key: value for key, value in row.items() if key != "verified"} for row in read_table()["models"]]
    assert known == model_rows(), AGAIN


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text() == page(read_table()), "run: python -m benchmarks.models.model_table --page"


def test_everything_in_the_table_was_verified() -> None:
    for row in read_table()["models"]:
        done = row["verified"]
        name = f"{row['model']}: {row['architecture']}"
        assert done["rtx_built"], name
        assert set(done["engines"]) == {"onnxruntime", "openvino", "torch"}
        for figures in done["engines"].values():
            assert figures["float_error"] <= 1e-4 and figures["grey_levels"] <= 1, name


@pytest.mark.parametrize(
    ("model", "architecture", "parameters", "gmac"),
    [("cyclegan", "ResNet-9, instance norm", 11.38e6, 49.55), ("pix2pixhd", "G2, labels", 182.86e6, 23.37)],
)
def test_costs_are_those_of_the_published_networks(
    model: str, architecture: str, parameters: float, gmac: float
) -> None:
    family = get_family(model)
    (frame,) = cost_of(family, family.architectures()[architecture], Size(256, 256))
    assert frame.parameters == pytest.approx(parameters, rel=1e-3)
    assert frame.macs / 1e9 == pytest.approx(gmac, rel=1e-3)
