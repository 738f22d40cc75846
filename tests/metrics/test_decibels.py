"""Errors in decibels and back, against the definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.metrics.decibels import LARGEST_FIGURE, decibels, error_power, psnr_of_error, written_figure


@given(st.floats(0.01, 300), st.sampled_from([1.0, 2.0, 255.0]))
def test_a_tenth_of_the_error_is_ten_decibels_more(error: float, data_range: float) -> None:
    worse, better = psnr_of_error(error, data_range), psnr_of_error(error / 10, data_range)
    assert better == pytest.approx(worse + 10)
    assert psnr_of_error(data_range**2, data_range) == 0


@pytest.mark.parametrize(
    ("error", "psnr"), [(0, math.inf), (math.nan, -math.inf), (math.inf, -math.inf), (1.0, 48.1308036086791)]
)
def test_errors_of_every_kind_have_a_psnr(error: float, psnr: float) -> None:
    assert psnr_of_error(error, 255) == pytest.approx(psnr)


@given(st.floats(-50, 300))
def test_decibels_and_power_undo_each_other(psnr_db: float) -> None:
    assert decibels(error_power(psnr_db)) == pytest.approx(psnr_db, abs=1e-9)


def test_what_is_infinite_is_cut() -> None:
    assert (error_power(math.inf), decibels(0), decibels(-1)) == (0, LARGEST_FIGURE, LARGEST_FIGURE)
    assert (written_figure(math.inf), written_figure(-math.inf), written_figure(40)) == (999, -999, 40)
    assert math.isnan(written_figure(math.nan))
