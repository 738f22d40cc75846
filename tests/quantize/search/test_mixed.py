"""The search keeps the budget, is never slower than all in float, tries few combinations, and says when it fails."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.metrics.quality import PictureQuality, QualityBudget
from edge_i2i.quantize.judging.timing import EngineTimer
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.search.combinations import Combination, MixedResult
from edge_i2i.quantize.search.mixed import MixedBudgetError, search_mixed
from edge_i2i.quantize.search.report import LayerSensitivity, SensitivityReport
from edge_i2i.quantize.search.sensitivity import measure_sensitivity
from samples.sensitive import ONE_THREAD, SENSITIVE, judge, quantizer, scenes
from samples.toy_networks import Toy


@st.composite
def toys(draw: st.DrawFn, least_extra: float = -0.3) -> Toy:
    names = [f"layer{index}" for index in range(draw(st.integers(1, 24)))]
    psnr = {name: draw(st.floats(40, 80)) for name in names}
    extra = {name: draw(st.floats(least_extra, 2.0)) for name in names}
    return Toy(psnr, extra)


@settings(max_examples=150, deadline=None)
@given(toys(), st.floats(38, 70))
def test_the_result_keeps_the_budget_and_is_never_slower_than_all_in_float(toy: Toy, min_psnr: float) -> None:
    result = toy.search(min_psnr)
    every = len(toy.psnr)
    assert result.best.meets and result.best.verdict.quality.psnr_db >= min_psnr
    everything_float = toy.base + sum(toy.extra.values())
    assert toy.milliseconds(result.variant.source) <= everything_float + 1e-6
    assert set(result.variant.layers) == set(toy.psnr) - set(result.best.keep_float)
    assert len(toy.judged) == len(result.tried) <= 2 + 2 * math.ceil(math.log2(every + 1)) + every


@settings(max_examples=80, deadline=None)
@given(toys(least_extra=0.01), st.floats(38, 70))
def test_no_float_layer_can_go_back_for_free(toy: Toy, min_psnr: float) -> None:
    kept = toy.search(min_psnr).best.keep_float
    for name in kept:
        quantized = toy.quantize([n for n in toy.psnr if n not in kept or n == name], "x").source
        assert toy.judge(quantized).quality.psnr_db < min_psnr + 1e-9


def test_where_all_int8_keeps_the_budget_it_is_the_answer() -> None:
    toy = Toy({"a": 60, "b": 60}, {"a": 1, "b": 1})
    result = toy.search(47)
    assert result.best.keep_float == () and result.best.p50_ms is not None and len(result.tried) == 2


def test_the_sensitive_layer_alone_stays_in_float() -> None:
    names = [f"layer{index}" for index in range(16)]
    toy = Toy({name: 40 if name == "layer7" else 65 for name in names}, dict.fromkeys(names, 0.5))
    result = toy.search(47)
    assert result.best.keep_float == ("layer7",)
    int8 = next(item for item in result.tried if not item.keep_float)
    assert result.costs_ms["layer7"] == pytest.approx(int8.p50_ms * 0.5 / toy.base)


def test_of_two_ways_the_measured_cheaper_one_is_taken() -> None:
    toy = Toy({"dear": 48, "cheap": 48.5, "c": 70, "d": 70}, {"dear": 6, "cheap": 0.2, "c": 1, "d": 1})
    assert toy.search(47).best.keep_float == ("cheap",)


def test_layers_that_int8_makes_slower_stay_in_float() -> None:
    toy = Toy({"a": 60, "b": 60, "c": 60}, {"a": -5, "b": 1, "c": -2})
    assert toy.search(47).best.keep_float == ("a", "c")


def test_a_budget_that_not_even_float_keeps_is_an_error_with_the_best_found() -> None:
    toy = Toy({"a": 50, "b": 60}, {"a": 1, "b": 1}, floor=1e-4)
    with pytest.raises(MixedBudgetError, match="PSNR 40 dB is less than 47 dB") as caught:
        toy.search(47)
    result = caught.value.result
    assert caught.value.exit_code == 5 and caught.value.remedy
    assert set(result.best.keep_float) == {"a", "b"} and result.variant.layers == ()


def test_a_latency_that_cannot_be_met_is_an_error_with_the_fastest_that_keeps_the_quality() -> None:
    toy = Toy({"a": 40, "b": 60}, {"a": 5, "b": 5})
    assert toy.search(47, max_latency_ms=100).best.keep_float == ("a",)
    with pytest.raises(MixedBudgetError, match="and 12 ms were asked for") as caught:
        toy.search(47, max_latency_ms=12)
    assert caught.value.result.best.keep_float == ("a",) and caught.value.result.best.meets


def test_without_an_engine_the_cost_is_estimated_and_no_milliseconds_are_claimed() -> None:
    toy = Toy({"a": 40, "b": 60}, {"a": 5, "b": 5})
    budget = QualityBudget(47, 0.9)
    result = search_mixed(toy, toy, None, budget, toy.order)
    assert result.best.keep_float == ("a",) and result.costs_ms == {}
    assert all(item.p50_ms is None for item in result.tried) and result.best.relative_latency > 1
    with pytest.raises(UsageError, match="latency budget"):
        search_mixed(toy, toy, None, budget, toy.order, max_latency_ms=5)


@pytest.mark.parametrize("layers", [(), ("a",), ("a", "b", "c"), ("a", "paint")])
def test_a_report_of_other_layers_is_refused(layers: tuple[str, ...]) -> None:
    toy = Toy({"a": 40, "b": 50}, {"a": 1, "b": 1})
    order = SensitivityReport(layers=tuple(LayerSensitivity(name=name, psnr_db=50) for name in layers))
    with pytest.raises(BadInputError, match="not of the layers that this target quantizes"):
        search_mixed(toy, toy, toy.clock, QualityBudget(47, 0.9), order)


def test_a_graph_without_layers_is_refused() -> None:
    toy = Toy({}, {})
    with pytest.raises(BadInputError, match="no layer to choose from"):
        search_mixed(toy, toy, toy.clock, QualityBudget(47, 0.9), SensitivityReport())


def test_layers_that_the_rule_leaves_out_are_not_for_choice() -> None:
    toy = Toy({"a": 40, "b": 60}, {"a": 1, "b": 1})
    painted = LayerSensitivity(name="paint", psnr_db=30, left_out="makes the picture")
    order = SensitivityReport(layers=(*toy.order.layers, painted))
    result = search_mixed(toy, toy, toy.clock, QualityBudget(47, 0.9), order)
    assert all("paint" not in item.keep_float for item in result.tried)


def test_the_pareto_front_holds_what_nothing_beats() -> None:
    def tried(psnr: float, latency: float) -> Combination:
        verdict = QualityVerdict(PictureQuality(psnr, psnr, 1, 1, 1, 1), psnr, "a toy")
        return Combination((), verdict, (), latency, None)

    items = (tried(40, 1.0), tried(50, 2.0), tried(45, 2.5), tried(45, 1.5), tried(44, 1.5))
    made = Toy({"a": 40}, {"a": 1}).quantize(["a"], "x")
    result = MixedResult(items[0], made, items, {})
    assert [item.verdict.quality.psnr_db for item in result.pareto] == [40, 45, 50]


def test_on_a_real_network_the_sensitive_layer_stays_in_float() -> None:
    """The clock is a real one, and no test depends on what it says: INT8 may be slower on so small a network."""
    made, judging = quantizer(), judge(clip=False)
    order = measure_sensitivity(made, judging, "data")
    timer = EngineTimer(get_engine("openvino"), ONE_THREAD, scenes()[0], rounds=3, warm_up=1)
    result = search_mixed(made, judging, timer, QualityBudget(42, 0.99), order, variant="mixed-openvino")
    assert SENSITIVE in result.best.keep_float and result.best.verdict.quality.psnr_db >= 42
    assert result.variant.source.variant == "mixed-openvino" and SENSITIVE not in result.variant.layers
    assert all(item.p50_ms is not None and item.p50_ms > 0 for item in result.tried)
