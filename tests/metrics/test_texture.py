"""Texture and grey levels tell a smoothed or banded picture from a faithful one, where mean errors barely do."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.errors import PictureError
from edge_i2i.metrics.texture import (
    grey_level_ratio,
    grey_level_ratio_of_all,
    grey_levels,
    texture_energy,
    texture_ratio,
    texture_ratio_of_all,
)


def network_output(seed: int = 0, side: int = 128) -> np.ndarray:
    """A smooth picture with texture on it, float32 in [-1, 1], as a tanh gives it."""
    rng = np.random.default_rng(seed)
    smooth = cv2.GaussianBlur(rng.normal(size=(side, side, 3)), (0, 0), 12) * 40
    return np.tanh(smooth + rng.normal(0, 0.05, smooth.shape)).astype(np.float32)


def as_uint8(output: np.ndarray) -> np.ndarray:
    return np.clip(np.round((output + 1) * 127.5), 0, 255).astype(np.uint8)


def quantized(output: np.ndarray, levels: int) -> np.ndarray:
    """What a Q/DQ pair of that many levels over [-1, 1] leaves of it."""
    step = 2 / (levels - 1)
    return (np.round(output / step) * step).astype(output.dtype)


# Texture --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(9, 14), (9, 14, 1), (9, 14, 3), (9, 14, 6)])
def test_texture_energy_is_the_mean_square_of_the_picture_less_its_5x5_mean(shape: tuple[int, ...]) -> None:
    picture = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    rest = [
        picture[y, x] - picture[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1))
        for y in range(2, 7)
        for x in range(2, 12)
    ]
    assert texture_energy(picture) == pytest.approx(np.mean(np.square(rest)))


def test_a_blurred_picture_has_less_texture_and_a_noisy_one_more() -> None:
    picture = as_uint8(network_output())
    noise = np.random.default_rng(2).normal(0, 20, picture.shape)
    assert texture_ratio(cv2.GaussianBlur(picture, (0, 0), 1), picture) < 0.5
    assert texture_ratio(np.clip(picture + noise, 0, 255).astype(np.uint8), picture) > 1.5
    assert texture_ratio(picture, picture) == 1


@given(st.floats(0.01, 100), st.floats(-100, 100))
def test_the_unit_of_the_values_does_not_matter(scale: float, shift: float) -> None:
    a, b = network_output(0, 24).astype(np.float64), network_output(1, 24).astype(np.float64)
    expected = texture_ratio(a, b)
    assert texture_ratio(a * scale + shift, b * scale + shift) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("flat", [np.full((8, 8, 3), 77, np.uint8), np.full((8, 8, 3), 0.1, np.float32)])
def test_a_reference_without_texture(flat: np.ndarray) -> None:
    textured = (np.indices((8, 8, 3)).sum(0) % 2).astype(flat.dtype)
    assert texture_ratio(flat, flat) == 1
    assert texture_ratio(textured, flat) == math.inf
    assert texture_ratio(flat, textured) == 0


def test_a_flat_picture_among_others_decides_nothing() -> None:
    flat, textured = np.zeros((16, 16, 3), np.uint8), as_uint8(network_output(side=16))
    speck = flat.copy()
    speck[8, 8] = 1
    assert texture_ratio_of_all([speck, textured], [flat, textured]) == pytest.approx(1, abs=1e-3)


# Grey levels ----------------------------------------------------------------------------------------------------


def test_a_float_output_of_203_levels_bands() -> None:
    """Some 203 levels where FP32 has thousands."""
    output = network_output()
    assert grey_levels(output[..., 0]) > 1500
    assert grey_levels(quantized(output, 203)[..., 0]) <= 203
    assert grey_level_ratio(quantized(output, 203), output) < 0.2
    assert grey_level_ratio(output, output) == 1


def test_the_uint8_picture_of_203_levels_bands_too() -> None:
    output = network_output()
    assert grey_level_ratio(as_uint8(quantized(output, 203)), as_uint8(output)) < 0.85
    assert grey_level_ratio(as_uint8(output), as_uint8(output)) == 1


def test_banding_in_one_channel_does_not_hide_behind_the_others() -> None:
    picture = as_uint8(network_output())
    banded = picture.copy()
    banded[..., 2] = banded[..., 2] // 4 * 4
    assert np.unique(banded).size == np.unique(picture).size
    assert grey_level_ratio(banded, picture) < 0.8


@pytest.mark.parametrize("convert", [lambda x: x, as_uint8])
def test_small_errors_and_fp16_are_no_banding(convert: object) -> None:
    output = network_output()
    noisy = np.clip(output + np.random.default_rng(3).normal(0, 0.004, output.shape), -1, 1).astype(np.float32)
    half = output.astype(np.float16).astype(np.float32)
    for variant in (noisy, half):
        assert grey_level_ratio(convert(variant), convert(output)) > 0.97


def test_pictures_are_counted_one_by_one() -> None:
    """Norms stretch the same few levels differently from picture to picture: pooled, they would look like many."""
    references = [np.arange(256, dtype=np.uint8).reshape(16, 16)] * 2
    banded = [references[0] // 2 * 2, references[0] // 2 * 2 + 1]
    assert grey_level_ratio_of_all(banded, references) == 0.5


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_levels_are_counted_whatever_the_order(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height, width), np.uint8)
    shuffled = rng.permutation(picture.ravel()).reshape(width, height)
    assert grey_levels(picture) == grey_levels(shuffled) == len(set(picture.ravel().tolist()))
    assert grey_levels(np.stack([picture, picture], axis=2)) == 2 * grey_levels(picture)


# What cannot be measured ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_broken_picture_gives_no_figure(bad: float) -> None:
    output = network_output(side=16)
    broken = output.copy()
    broken[0, 0, 0] = bad
    assert grey_levels(broken) > 0
    assert math.isnan(grey_level_ratio(broken, output)) and math.isnan(grey_level_ratio(output, broken))
    assert math.isnan(texture_ratio(broken, output)) and math.isnan(texture_ratio(output, broken))
    assert math.isnan(texture_ratio(broken, np.zeros_like(output)))


@pytest.mark.parametrize("figure", [texture_ratio, grey_level_ratio])
def test_what_cannot_be_compared_is_refused(figure: object) -> None:
    a = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(PictureError, match="different shapes"):
        figure(a, a[:, :19])
    with pytest.raises(PictureError, match="float32"):
        figure(a, a.astype(np.float32))
    with pytest.raises(PictureError, match=r"\[H, W\]"):
        figure(a[:0], a[:0])
    with pytest.raises(PictureError, match="0 pictures"):
        texture_ratio_of_all([], [])
    with pytest.raises(PictureError, match="2 pictures"):
        grey_level_ratio_of_all([a, a], [a])


def test_texture_needs_a_window() -> None:
    with pytest.raises(PictureError, match="5x5"):
        texture_energy(np.zeros((4, 40), np.uint8))
