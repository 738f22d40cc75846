"""The layer that cannot bear INT8 comes out first, whatever the target; what was judged is not judged again."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_i2i.quantize.judging.judge import Judge
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport
from edge_i2i.quantize.search.sensitivity import (
    interaction_of,
    measure_sensitivity,
    predicted_psnr,
    suggest_float,
    worth_first,
)
from samples.sensitive import LAYERS, SENSITIVE, judge, painter, quantizer


class Steps:
    """A progress that remembers."""

    def __init__(self) -> None:
        self.total, self.done, self.notes, self.ended = 0, 0, list[str](), False

    def start(self, total: int | None, what: str) -> None:
        self.total = total or 0

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        self.notes.append(note)

    def finish(self) -> None:
        self.ended = True


@pytest.fixture(scope="module")
def report() -> SensitivityReport:
    return measure_sensitivity(quantizer(), judge(), "data", min_psnr_db=42)


def test_the_sensitive_layer_comes_first_and_is_suggested(report: SensitivityReport) -> None:
    first, second = report.most_sensitive_first[:2]
    assert first.name == SENSITIVE and first.psnr_db < second.psnr_db - 6
    assert report.keep_float == (SENSITIVE,) and report.predicted_psnr_db > 42


def test_every_layer_has_all_figures_and_its_share(report: SensitivityReport) -> None:
    assert tuple(layer.name for layer in report.layers) == LAYERS
    assert sum(layer.macs_share for layer in report.layers) == pytest.approx(1, abs=1e-5)
    for layer in report.layers:
        assert 15 < layer.picture_psnr_db < layer.psnr_db < 100
        assert 0.8 < layer.ssim < 1 and layer.texture_ratio and layer.grey_levels_ratio and layer.flicker_ratio


def test_layers_that_the_rule_leaves_out_are_measured_and_marked(report: SensitivityReport) -> None:
    painted = report.layers[-1]
    assert painted.left_out and painted.psnr_db and painted not in report.placed
    assert painted.name not in report.keep_float


def test_it_says_what_was_measured_and_on_what(report: SensitivityReport) -> None:
    assert (report.target, report.graph_sha256, report.data_sha256) == ("openvino", painter().sha256, "data")
    assert report.judged_by.startswith("openvino") and "fp32" in report.judged_by and not report.emulated
    worst = min(layer.picture_psnr_db for layer in report.placed)
    assert report.int8_picture_psnr_db < worst + 1, "all together lose about as much as the worst alone, or more"


def test_a_target_that_no_engine_computes_here_is_emulated_and_says_so() -> None:
    measured = measure_sensitivity(quantizer("tensorrt"), judge("tensorrt", clip=False), "data")
    assert measured.emulated and measured.judged_by.startswith("onnxruntime")
    assert "tensorrt emulated" in measured.judged_by
    assert measured.most_sensitive_first[0].name == SENSITIVE
    assert measured.keep_float == () and measured.layers[0].flicker_ratio is None


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[str] = []
    really = Judge._judge

    def counted(self: Judge, graph: object) -> QualityVerdict:
        if len(judged) == 3:
            raise KeyboardInterrupt
        judged.append(graph.sha256)
        return really(self, graph)

    monkeypatch.setattr(Judge, "_judge", counted)
    steps = Steps()
    with pytest.raises(KeyboardInterrupt):
        measure_sensitivity(quantizer(), judge(cache=tmp_path, clip=False), "data", progress=steps)
    assert steps.ended and steps.done == 3
    monkeypatch.setattr(Judge, "_judge", really)
    before = set(judged)
    again = Steps()
    monkeypatch.setattr(Judge, "_judge", lambda self, graph: judged.append(graph.sha256) or really(self, graph))
    measure_sensitivity(quantizer(), judge(cache=tmp_path, clip=False), "data", progress=again)
    assert len(judged) == len(LAYERS) + 1 and not before & set(judged[3:])
    assert again.done == again.total == len(LAYERS) + 1


# Suggesting ------------------------------------------------------------------------------------------------------


def layer(name: str, psnr_db: float | None, macs_share: float = 0.1, **more: str) -> LayerSensitivity:
    return LayerSensitivity(name=name, psnr_db=psnr_db, macs_share=macs_share, **more)


def test_worth_is_damage_for_cost_and_what_costs_nothing_leads() -> None:
    damage = {"a": 1.0, "b": 4.0, "c": 2.0, "free": 0.1}
    assert worth_first(damage, {"a": 0.1, "b": 1.0, "c": 0.1, "free": 0.0}) == ["free", "c", "a", "b"]


def test_as_few_layers_as_the_budget_needs_are_suggested() -> None:
    layers = [layer("a", 60), layer("b", 45), layer("c", 50), layer("rule", 30, left_out="it says so")]
    assert suggest_float(layers, 40) == ()
    assert suggest_float(layers, 47) == ("b",)
    assert suggest_float(layers, 53) == ("b", "c")
    assert predicted_psnr(layers, ("b",)) == pytest.approx(48.7, abs=0.2)


def test_a_cheap_layer_that_turns_out_not_to_be_needed_goes_back() -> None:
    layers = [layer("cheap", 52, 0.01), layer("large", 44, 0.9)]
    assert suggest_float(layers, 47) == ("large",)


def test_errors_that_do_more_together_than_alone_are_counted_so() -> None:
    layers = [layer("a", 50), layer("b", 50)]
    assert interaction_of(layers, 47) == pytest.approx(1, abs=0.01)
    assert interaction_of(layers, 44) == pytest.approx(2, abs=0.02)
    assert interaction_of(layers, None) == interaction_of([layer("a", 999)], 50) == 1
    assert suggest_float(layers, 44) == () and suggest_float(layers, 44, 2.0) != ()


@pytest.mark.parametrize("psnr_db", [40.0, 47.0, 52.0, 58.0, 65.0])
def test_what_rounding_to_grey_levels_adds_is_predicted(psnr_db: float) -> None:
    import numpy as np

    from edge_i2i.metrics.parity import psnr

    rng = np.random.default_rng(0)
    values = rng.uniform(20, 235, 200_000)
    found = psnr(np.round(values), np.round(values + rng.normal(0, 255 * 10 ** (-psnr_db / 20), values.shape)))
    assert predicted_psnr([layer("a", psnr_db)], ()) == pytest.approx(found, abs=0.5)
