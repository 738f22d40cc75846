"""Of a target's delicate layers as few as possible stay in float, and nothing is promised where that is not enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.metrics.quality import QualityBudget
from edge_i2i.quantize.search.combinations import Estimated, Measured, MixedResult
from edge_i2i.quantize.search.delicate import spare_delicate
from samples.toy_networks import Toy


def _spare(toy: Toy, min_psnr: float) -> MixedResult | None:
    whole = toy.quantize(tuple(toy.psnr), "int8").source
    missed = toy.judge(whole)
    toy.judged.clear()
    return spare_delicate(toy, toy, toy, Measured(toy.clock, whole), QualityBudget(min_psnr, 0.9), missed)


def test_delicate_layers_that_the_budget_bears_return_to_int8_and_the_price_is_told() -> None:
    toy = Toy(
        {"body": 60, "up1": 42, "up2": 60, "up3": 60},
        {"body": 3, "up1": 1, "up2": 2, "up3": 0.5},
        delicate=("up2", "up1", "up3"),
    )
    result = _spare(toy, 50)
    assert result is not None and result.best.keep_float == ("up1",) and result.best.meets
    assert result.variant.layers == ("body", "up2", "up3")
    integers, best = result.tried
    assert not integers.meets and best == result.best
    assert best.p50_ms is not None and integers.p50_ms is not None
    assert best.relative_latency == pytest.approx(1.1) and best.p50_ms > integers.p50_ms


@given(
    st.lists(st.floats(40, 80), min_size=2, max_size=8),
    st.integers(0, 8),
    st.floats(38, 70),
)
def test_what_is_found_keeps_the_budget_with_no_other_layer_in_float(
    psnr: list[float], delicate: int, min_psnr: float
) -> None:
    names = [f"layer{index}" for index in range(len(psnr))]
    toy = Toy(dict(zip(names, psnr, strict=True)), dict.fromkeys(names, 1.0), delicate=tuple(names[:delicate]))
    result = _spare(toy, min_psnr)
    assert len(toy.judged) <= 2 * (1 + len(toy.delicate))
    if result is None:
        sturdy = toy.judge(toy.quantize(names[delicate:], "sturdy").source)
        assert not toy.delicate or sturdy.quality.psnr_db < min_psnr
    else:
        assert result.best.verdict.quality.psnr_db >= min_psnr
        assert result.best.keep_float and set(result.best.keep_float) <= set(toy.delicate)
        assert set(result.variant.layers) == set(names) - set(result.best.keep_float)


def test_where_nothing_can_be_timed_the_price_is_estimated() -> None:
    toy = Toy({"body": 60, "up": 42}, {"body": 1, "up": 1}, delicate=("up",))
    missed = toy.judge(toy.quantize(("body", "up"), "int8").source)
    result = spare_delicate(toy, toy, toy, Estimated({"body": 0.75, "up": 0.25}), QualityBudget(50, 0.9), missed)
    assert result is not None and result.best.p50_ms is None and result.best.relative_latency == 1.25


def test_what_a_few_pictures_promise_is_verified_on_all() -> None:
    toy = Toy({"body": 60, "up1": 55, "up2": 42}, {"body": 1, "up1": 2, "up2": 1}, delicate=("up1", "up2"))
    rosy = Toy({"body": 60, "up1": 90, "up2": 90}, {}, delicate=toy.delicate)
    whole = toy.quantize(tuple(toy.psnr), "int8").source
    result = spare_delicate(toy, toy, rosy, Measured(toy.clock, whole), QualityBudget(50, 0.9), toy.judge(whole))
    assert result is not None and result.best.keep_float == ("up2",) and result.best.meets
    strict = spare_delicate(toy, toy, rosy, Measured(toy.clock, whole), QualityBudget(58, 0.9), toy.judge(whole))
    assert strict is not None and strict.best.keep_float == ("up1", "up2")
    assert spare_delicate(toy, toy, rosy, Measured(toy.clock, whole), QualityBudget(70, 0.9), toy.judge(whole)) is None
