"""Figures over a picture: the right ones, small, legible on any background, never on the original."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import Quantiles, StatsSnapshot
from edge_i2i.live.outlets.hud import MOST_COVERED, draw_hud, hud_lines
from samples.pictures import noise

SNAPSHOT = StatsSnapshot(
    frames=300,
    fps=29.96,
    age_ms=Quantiles(300, 41.4, 50.0, 73.6, 80.0),
    dropped={DropCause.NEWER_FRAME: 12, DropCause.TOO_OLD: 0},
    engine="openvino",
    effective_precision="int8+bf16",
    recoveries=1,
)


def test_the_lines_say_what_runs_and_how_fast() -> None:
    assert hud_lines(SNAPSHOT) == [
        "30.0 fps   age p50 41 p99 74 ms",
        "openvino   int8+bf16",
        "dropped: newer-frame 12",
        "recovered 1",
    ]


def test_what_happens_now_comes_before_the_average() -> None:
    now = StatsSnapshot(
        fps=30.0, current_fps=12.0, age_ms=Quantiles(9, 10, 10, 10), current_age_ms=Quantiles(4, 80, 90, 99)
    )
    assert hud_lines(now) == ["12.0 fps   age p50 80 p99 99 ms"]


def test_a_session_that_has_just_begun_has_lines_too() -> None:
    assert hud_lines(StatsSnapshot(), "signal lost for 3 s") == ["SIGNAL LOST FOR 3 S", "0.0 fps   age -"]


def test_it_is_drawn_on_a_copy() -> None:
    picture = noise(240, 320)
    before = picture.copy()
    drawn = draw_hud(picture, hud_lines(SNAPSHOT))
    assert np.array_equal(picture, before) and not np.array_equal(drawn, picture)


@pytest.mark.parametrize("value", [0, 127, 255])
def test_it_is_legible_on_any_background(value: int) -> None:
    """White letters, and black around them."""
    drawn = draw_hud(np.full((360, 640, 3), value, np.uint8), hud_lines(SNAPSHOT))
    corner = drawn[:120, :320]
    assert (corner > 220).all(axis=2).mean() > 0.005 and (corner < 35).all(axis=2).mean() > 0.005


@pytest.mark.parametrize("size", [(96, 128), (240, 320), (720, 1280), (2160, 3840)])
def test_it_is_small_and_in_its_corner_at_any_size(size: tuple[int, int]) -> None:
    plain = np.full((*size, 3), 100, np.uint8)
    drawn = draw_hud(plain, hud_lines(SNAPSHOT))
    changed = (drawn != plain).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert changed.any() and changed.mean() < 0.2
    assert rows.max() < size[0] * (MOST_COVERED + 0.1) and columns.max() < size[1] - 1


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 80), st.integers(1, 80), st.lists(st.text(max_size=60), max_size=6))
def test_any_text_on_any_picture(height: int, width: int, lines: list[str]) -> None:
    assert draw_hud(noise(height, width), lines).shape == (height, width, 3)
