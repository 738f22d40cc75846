"""A recipe survives its file, says what is wrong with it, and can be drawn."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import cv2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.errors import BadInputError, MissingRequirementError, OutputError
from edge_i2i.metrics.quality import PictureQuality
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.search.plot import check_plot, plot_sensitivity
from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport, figures_of, read_recipe


def report(layers: int = 3, **more: object) -> SensitivityReport:
    made = [
        LayerSensitivity(name=f"model.{index}", operator="Conv", macs_share=1 / layers, psnr_db=50.0 + index, ssim=0.99)
        for index in range(layers)
    ]
    made[-1] = LayerSensitivity(name="paint", macs_share=0.5, psnr_db=None, left_out="makes the picture", note="a note")
    return SensitivityReport(**{"target": "openvino", "min_psnr_db": 47.0, "layers": tuple(made), **more})


figures = st.none() | st.floats(-999, 999)
names = st.text(min_size=1, max_size=12)


@given(st.lists(st.tuples(names, figures, figures, st.floats(0, 1)), unique_by=lambda item: item[0]), st.data())
def test_the_file_holds_what_was_measured(rows: list[tuple[str, float, float, float]], data: st.DataObject) -> None:
    layers = tuple(LayerSensitivity(name=n, psnr_db=a, flicker_ratio=b, macs_share=c) for n, a, b, c in rows)
    kept = data.draw(st.sets(st.sampled_from([row[0] for row in rows]))) if rows else ()
    made = SensitivityReport(layers=layers, keep_float=tuple(kept))
    assert SensitivityReport.model_validate_json(made.to_json()) == made


def test_it_is_read_back_from_a_file_with_a_line_each_layer(tmp_path: Path) -> None:
    made = report(5, keep_float=("model.1",))
    made.write(tmp_path / "new" / "recipe.json")
    assert read_recipe(tmp_path / "new" / "recipe.json") == made
    lines = (tmp_path / "new" / "recipe.json").read_text().splitlines()
    assert '  "keep_float": ["model.1"],' in lines
    assert [line.strip()[:17] for line in lines if "model.3" in line] == ['{"name": "model.3']


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_short_one_by_hand_will_do(tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", '{"keep_float": ["model.1"]}')
    assert read_recipe(path).keep_float == ("model.1",)
    assert read_recipe(path, ["model.0", "model.1"]).keep_float == ("model.1",)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not JSON"),
        ("\ufeff\x00", "is not JSON"),
        ("[]", "is wrong"),
        ("{}", "has no keep_float"),
        ('{"keep_float": "model.1"}', "keep_float: Input should be a valid tuple"),
        ('{"keep_float": ["a", "a"]}', "keep_float has a twice"),
        ('{"keep_float": [], "layers": [{"name": "a"}, {"name": "a"}]}', "layers has a twice"),
        ('{"keep_flaot": []}', "keep_flaot: no such key"),
        ('{"keep_float": [], "schema_version": 2}', "schema_version"),
        ('{"keep_float": [], "layers": [{"name": "a", "psnr": 3}]}', "layers.0.psnr: no such key"),
        ('{"keep_float": [], "layers": [{"name": "a", "psnr_db": NaN}]}', "layers.0.psnr_db"),
        ('{"keep_float": ["model.9"], "layers": [{"name": "a"}]}', "does not have: model.9"),
    ],
)
def test_a_wrong_one_is_refused_in_words(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(BadInputError, match=complaint) as caught:
        read_recipe(write(tmp_path / "recipe.json", text))
    assert "recipe.json" in str(caught.value) and caught.value.exit_code == 4 and caught.value.remedy


def test_layers_of_another_graph_are_named(tmp_path: Path) -> None:
    report(keep_float=("model.0", "model.1")).write(tmp_path / "r.json")
    with pytest.raises(BadInputError, match=r"does not have: model\.1") as caught:
        read_recipe(tmp_path / "r.json", ["model.0", "dec.1"])
    assert "dec.1" in caught.value.remedy


def test_no_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(BadInputError, match="cannot be read"):
            read_recipe(path)
    with pytest.raises(OutputError, match="cannot be written"):
        report().write(tmp_path)


def test_equal_pictures_and_broken_ones_can_be_written_down() -> None:
    broken = PictureQuality(-math.inf, -math.inf, math.nan, math.nan, math.inf, None)
    found = figures_of(QualityVerdict(broken, math.inf, "a test"))
    assert found == {"psnr_db": 999, "picture_psnr_db": -999, "grey_levels_ratio": 999}
    assert json.loads(SensitivityReport(layers=(LayerSensitivity(name="a", **found),)).to_json())


# The plot --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layers", [2, 80])
def test_the_plot_is_a_picture_that_grows_with_the_layers(tmp_path: Path, layers: int) -> None:
    plot_sensitivity(report(layers, keep_float=("model.0",), judged_by="an engine"), tmp_path / "plot.png")
    drawn = cv2.imread(str(tmp_path / "plot.png"))
    assert drawn.shape[1] == 1200 and 250 < drawn.shape[0] < 2700
    assert drawn.std() > 20 and [path.name for path in tmp_path.iterdir()] == ["plot.png"]


def test_it_can_be_drawn_without_a_budget_and_of_equal_layers(tmp_path: Path) -> None:
    layers = tuple(LayerSensitivity(name=name, psnr_db=999) for name in "ab")
    plot_sensitivity(SensitivityReport(layers=layers), tmp_path / "plot.png")
    assert cv2.imread(str(tmp_path / "plot.png")) is not None


@pytest.mark.parametrize("name", ["missing/plot.png", "plot.nonsense"])
def test_a_place_or_a_format_that_cannot_be_written_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        plot_sensitivity(report(), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["plot.png", "plot", "plot.PDF", "plot.svg"])
def test_endings_that_can_be_drawn_are_known_before_the_work(tmp_path: Path, name: str) -> None:
    check_plot(tmp_path / name)
    plot_sensitivity(report(), tmp_path / name)
    assert (tmp_path / name).stat().st_size


@pytest.mark.parametrize("name", ["plot.nonsense", "plot.json", "plot.i2i"])
def test_endings_that_cannot_are_refused_before_it(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match="no plot is drawn") as caught:
        check_plot(tmp_path / name)
    assert "png" in caught.value.remedy


def test_without_a_measured_layer_there_is_nothing_to_draw(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no measured layer"):
        plot_sensitivity(SensitivityReport(), tmp_path / "plot.png")


def test_without_matplotlib_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingRequirementError, match="matplotlib") as caught:
        plot_sensitivity(report(), tmp_path / "plot.png")
    assert "edge-i2i[quantize]" in caught.value.remedy
