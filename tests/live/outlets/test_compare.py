"""Frame and translation in one picture, of any sizes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.errors import UsageError
from edge_i2i.live.outlets.compare import LINE, blend, side_by_side, split
from samples.pictures import flat, noise

RED, BLUE = (255, 0, 0), (0, 0, 255)


def test_side_by_side_keeps_both_whole_and_in_proportion() -> None:
    pair = side_by_side(flat(720, 1280, RED), flat(256, 256, BLUE))
    assert pair.shape == (256, 455 + LINE + 256, 3)
    assert (pair[:, :455] == RED).all() and (pair[:, -256:] == BLUE).all()
    assert (pair[:, 455 : 455 + LINE] == 255).all()


def test_split_shows_the_frame_left_of_the_line() -> None:
    view = split(flat(50, 50, RED), flat(100, 200, BLUE), 0.25)
    assert view.shape == (100, 200, 3)
    assert (view[:, :49] == RED).all() and (view[:, 51:] == BLUE).all() and (view[:, 49:51] == 255).all()


def test_split_at_the_ends_shows_one_of_them_without_a_line() -> None:
    before, after = noise(60, 80), noise(60, 80, seed=1)
    assert np.array_equal(split(before, after, 0), after)
    assert np.array_equal(split(before, after, 1), before)


def test_blend_goes_from_the_frame_to_the_translation() -> None:
    before, after = noise(60, 80), noise(60, 80, seed=1)
    assert np.array_equal(blend(before, after, 0), before)
    assert np.array_equal(blend(before, after, 1), after)
    middle = (before.astype(float) + after) / 2
    assert np.abs(blend(before, after, 0.5) - middle).max() <= 0.5


sides = st.integers(1, 50)


@settings(max_examples=60, deadline=None)
@given(sides, sides, sides, sides, st.floats(0, 1))
def test_any_sizes_and_places_give_a_picture_and_touch_neither(h: int, w: int, hh: int, ww: int, place: float) -> None:
    before, after = noise(h, w), noise(hh, ww, seed=1)
    kept = before.copy(), after.copy()
    views = side_by_side(before, after), split(before, after, place), blend(before, after, place)
    for view in views:
        assert view.dtype == np.uint8 and view.shape[0] == hh
        assert not np.shares_memory(view, after) and not np.shares_memory(view, before)
    assert views[1].shape == views[2].shape == after.shape
    assert np.array_equal(before, kept[0]) and np.array_equal(after, kept[1])


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_places_out_of_range_are_refused(value: float) -> None:
    with pytest.raises(UsageError, match="position"):
        split(noise(4, 4), noise(4, 4), value)
    with pytest.raises(UsageError, match="share"):
        blend(noise(4, 4), noise(4, 4), value)
