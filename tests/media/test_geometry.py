"""The way into a network's size and back: every size, no shift, no pixel left unwritten."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.media.geometry import Fit, place, place_into, take_back
from edge_i2i.media.photographs import load_photograph
from edge_i2i.metrics.picture import psnr

sides = st.integers(1, 70)
sizes = st.builds(Size, sides, sides)
fits = st.sampled_from(list(Fit))


def noise(size: Size, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (size.height, size.width, channels) if channels else (size.height, size.width)
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def ramp(size: Size) -> np.ndarray:
    """Rises 100 grey levels to the right (red) and downwards (green): shows any shift as a level."""
    rows = 50 + 100 * (np.arange(size.height) + 0.5) / size.height
    columns = 50 + 100 * (np.arange(size.width) + 0.5) / size.width
    red, green = np.meshgrid(columns, rows)
    return np.stack([red, green, np.full_like(red, 100)], axis=2).round().astype(np.uint8)


@given(sizes, sizes, fits)
def test_rectangles_lie_inside_and_are_centred(source: Size, model: Size, fit: Fit) -> None:
    placement = place(source, model, fit)
    for part, whole in ((placement.taken, source), (placement.held, model)):
        below = whole.height - part.top - part.size.height
        right = whole.width - part.left - part.size.width
        assert part.top >= 0 and part.left >= 0 and part.size.height >= 1 and part.size.width >= 1
        assert below - part.top in (0, 1) and right - part.left in (0, 1)


@given(sizes, sizes, fits)
def test_each_fit_keeps_its_promise(source: Size, model: Size, fit: Fit) -> None:
    placement = place(source, model, fit)
    taken, held = placement.taken.size, placement.held.size
    assert taken == source or fit is Fit.CROP
    assert held == model or fit is Fit.LETTERBOX
    if fit is Fit.LETTERBOX:
        assert held.height == model.height or held.width == model.width
    if fit is Fit.CROP:
        assert taken.height == source.height or taken.width == source.width
    shape, fitted = (source, held) if fit is Fit.LETTERBOX else (model, taken)
    if fit is not Fit.STRETCH:  # one side is exact, the other the nearest whole pixel (and at least one)
        height = max(1.0, shape.height * fitted.width / shape.width)
        width = max(1.0, shape.width * fitted.height / shape.height)
        assert abs(fitted.height - height) <= 0.5 or abs(fitted.width - width) <= 0.5


@settings(max_examples=60)
@given(sizes, sizes, fits, st.sampled_from([3, 0]))
def test_every_size_goes_in_and_comes_back(source: Size, model: Size, fit: Fit, channels: int) -> None:
    placement = place(source, model, fit)
    picture = noise(source, channels)
    shape = (model.height, model.width, *picture.shape[2:])
    first, second = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    place_into(picture, placement, first)
    place_into(picture, placement, second)
    np.testing.assert_array_equal(first, second)  # so no pixel kept what was there before
    for keep_size in (True, False):
        back = take_back(first, placement, keep_size=keep_size)
        wanted = placement.result_size(keep_size=keep_size)
        assert back.shape == (wanted.height, wanted.width, *picture.shape[2:])
        assert back.dtype == np.uint8


@settings(max_examples=60)
@given(sizes, sizes)
def test_letterbox_border_is_the_mirror_image(source: Size, model: Size) -> None:
    placement = place(source, model, Fit.LETTERBOX)
    target = np.zeros((model.height, model.width, 3), np.uint8)
    place_into(noise(source), placement, target)
    inside = placement.held.of(target).copy()
    top, left, size = placement.held.top, placement.held.left, placement.held.size
    pads = ((top, model.height - top - size.height), (left, model.width - left - size.width), (0, 0))
    np.testing.assert_array_equal(target, np.pad(inside, pads, mode="reflect"))


@settings(max_examples=40)
@given(st.builds(Size, st.integers(16, 70), st.integers(16, 70)), fits, st.integers(16, 70), st.integers(16, 70))
def test_a_ramp_comes_back_unshifted(source: Size, fit: Fit, height: int, width: int) -> None:
    placement = place(source, Size(height, width), fit)
    picture = ramp(source)
    target = np.empty((height, width, 3), np.uint8)
    place_into(picture, placement, target)
    back = take_back(target, placement).astype(int)
    wanted = placement.taken.of(picture).astype(int)
    inside = (slice(4, -4), slice(4, -4))  # away from the edges, where enlarging repeats the last pixel
    error = np.abs(back - wanted)[inside]
    # One source pixel is 100/side levels; a shift of half a pixel would be seen as a mean error of 50/side.
    if error.size:
        assert error.mean() < 25 / max(source.height, source.width, 16) + 0.75
        assert abs((back - wanted)[inside].mean()) < 0.6


@pytest.mark.parametrize("fit", list(Fit))
def test_equal_sizes_are_copied_exactly_and_come_back_as_a_view(fit: Fit) -> None:
    size = Size(24, 40)
    picture, target = noise(size), np.empty((24, 40, 3), np.uint8)
    place_into(picture, place(size, size, fit), target)
    np.testing.assert_array_equal(target, picture)
    back = take_back(target, place(size, size, fit))
    assert np.shares_memory(back, target)


def test_crop_takes_the_middle_and_returns_it_at_source_scale() -> None:
    placement = place(Size(10, 30), Size(10, 10), Fit.CROP)
    picture, target = noise(Size(10, 30)), np.empty((10, 10, 3), np.uint8)
    place_into(picture, placement, target)
    np.testing.assert_array_equal(target, picture[:, 10:20])
    assert take_back(target, placement).shape == (10, 10, 3)


def test_shrinking_averages_areas() -> None:
    board = np.indices((64, 64)).sum(axis=0) % 2 * 255
    picture = np.repeat(board[..., None], 3, axis=2).astype(np.uint8)
    target = np.empty((16, 16, 3), np.uint8)
    place_into(picture, place(Size(64, 64), Size(16, 16), Fit.STRETCH), target)
    assert set(np.unique(target)) <= {127, 128}


@pytest.mark.parametrize("factors", [(5, 5), (9, 9), (5, 8), (2, 3), (3, 3), (4, 4), (15, 15), (7, 2)])
def test_shrinking_stays_near_the_mean_of_each_area(factors: tuple[int, int]) -> None:
    """In however many steps: neither shifted, nor darker, nor with pixels left out."""
    down, right = factors
    size = Size(400 // down, 640 // right)
    photograph = np.ascontiguousarray(load_photograph("china.jpg")[: size.height * down, : size.width * right])
    target = np.empty((size.height, size.width, 3), np.uint8)
    place_into(photograph, place(Size(*photograph.shape[:2]), size, Fit.STRETCH), target)
    means = photograph.reshape(size.height, down, size.width, right, 3).mean(axis=(1, 3))
    assert np.abs(target.mean(axis=(0, 1)) - means.mean(axis=(0, 1))).max() < 0.5
    distances = [psnr(np.roll(target, by, axis=(0, 1)), means) for by in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0))]
    assert distances[0] > 32 and distances[0] > max(distances[1:]) + 8


@pytest.mark.parametrize("period", [2, 3, 4, 5])
def test_stripes_that_are_too_fine_become_grey(period: int) -> None:
    stripes = np.zeros((720, 1280, 3), np.uint8)
    stripes[:, np.arange(1280) % period < period / 2] = 255
    target = np.empty((144, 256, 3), np.uint8)
    place_into(stripes, place(Size(720, 1280), Size(144, 256), Fit.STRETCH), target)
    assert target[:, 2:-2].std() < 36  # exact means: 26; every fifth pixel: 127


def test_a_side_that_shrinks_is_averaged_even_when_the_other_grows() -> None:
    lines = np.zeros((64, 8, 3), np.uint8)
    lines[::2] = 255
    target = np.empty((16, 32, 3), np.uint8)
    place_into(lines, place(Size(64, 8), Size(16, 32), Fit.STRETCH), target)
    assert set(np.unique(target)) <= {127, 128}


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
@pytest.mark.parametrize("fit", list(Fit))
def test_maps_only_ever_hold_ids_that_were_there(dtype: type, fit: Fit) -> None:
    ids = np.random.default_rng(1).choice(np.array([0, 7, 33, 200]), (23, 31)).astype(dtype)
    if dtype is np.int32:
        ids *= 1000
    target = np.empty((40, 17), dtype)
    placement = place(Size(23, 31), Size(40, 17), fit)
    place_into(ids, placement, target)
    assert set(np.unique(target)) <= set(np.unique(ids))
    assert set(np.unique(take_back(target, placement))) <= set(np.unique(ids))


def test_a_flat_bar_would_change_the_statistics_and_the_mirror_does_not() -> None:
    picture = noise(Size(40, 80))
    target = np.empty((80, 80, 3), np.uint8)
    place_into(picture, place(Size(40, 80), Size(80, 80), Fit.LETTERBOX), target)
    assert abs(target.mean() - picture.mean()) < 3
    assert abs(target.std() - picture.std()) < 3


def test_arrays_that_do_not_fit_are_refused() -> None:
    placement = place(Size(8, 8), Size(4, 4), Fit.STRETCH)
    with pytest.raises(ValueError, match="8x8"):
        place_into(noise(Size(8, 9)), placement, np.empty((4, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="C-contiguous"):
        place_into(noise(Size(8, 8)), placement, np.empty((4, 8, 3), np.uint8)[:, ::2])
    with pytest.raises(ValueError, match="4x4"):
        take_back(noise(Size(8, 8)), placement)
