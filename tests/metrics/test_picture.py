"""The figures agree with the reference implementations that papers use."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import edge_i2i.metrics.picture as measure
from edge_i2i.errors import PictureError
from edge_i2i.metrics.picture import equal_fraction, mean_absolute_difference, psnr, ssim


def pair(shape: tuple[int, ...], noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = np.cumsum(rng.normal(0, 9, shape), axis=1) % 256
    b = np.clip(a + rng.normal(0, noise, shape), 0, 255)
    return a.astype(np.uint8), b.astype(np.uint8)


@pytest.mark.parametrize("shape", [(11, 11), (40, 60), (33, 47, 3), (64, 30, 1)])
@pytest.mark.parametrize("noise", [1, 12, 80])
def test_ssim_agrees_with_scikit_image(shape: tuple[int, ...], noise: float) -> None:
    a, b = pair(shape, noise)
    reference = structural_similarity(
        a,
        b,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        channel_axis=2 if len(shape) == 3 else None,
    )
    assert ssim(a, b) == pytest.approx(reference, abs=1e-7)


@pytest.mark.parametrize("shape", [(40, 60), (33, 47, 3)])
def test_psnr_agrees_with_scikit_image(shape: tuple[int, ...]) -> None:
    a, b = pair(shape, 12)
    assert psnr(a, b) == pytest.approx(peak_signal_noise_ratio(a, b, data_range=255), abs=1e-9)


def test_the_range_of_floats() -> None:
    a, b = pair((40, 60, 3), 12)
    assert psnr(a / 255, b / 255, data_range=1) == pytest.approx(psnr(a, b), abs=1e-9)
    assert ssim(a / 255, b / 255, data_range=1) == pytest.approx(ssim(a, b), abs=1e-9)


def test_uint8_differences_do_not_wrap_around() -> None:
    dark, light = np.zeros((12, 12), np.uint8), np.full((12, 12), 255, np.uint8)
    assert mean_absolute_difference(dark, light) == mean_absolute_difference(light, dark) == 255
    assert psnr(dark, light) == 0


@given(st.integers(11, 24), st.integers(11, 24), st.integers(0, 2**32 - 1))
def test_equal_pictures_and_symmetry(height: int, width: int, seed: int) -> None:
    a, b = pair((height, width, 3), 20, seed)
    assert ssim(a, a) == pytest.approx(1) and psnr(a, a) == math.inf
    assert equal_fraction(a, a) == 1 and mean_absolute_difference(a, a) == 0
    assert ssim(a, b) == pytest.approx(ssim(b, a)) and psnr(a, b) == psnr(b, a)
    assert -1 <= ssim(a, b) <= 1 and 0 <= equal_fraction(a, b) <= 1


@pytest.mark.parametrize("figure", [psnr, ssim, mean_absolute_difference, equal_fraction])
def test_what_cannot_be_compared_is_refused(figure: object) -> None:
    a = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(PictureError, match="different shapes"):
        figure(a, a[:, :19])
    with pytest.raises(PictureError, match=r"\[H, W\]"):
        figure(a[:0], a[:0])


def test_ssim_needs_a_window() -> None:
    small = np.zeros((10, 40), np.uint8)
    with pytest.raises(PictureError, match="11x11"):
        ssim(small, small)


def test_the_examples_in_the_docstrings() -> None:
    assert doctest.testmod(measure).failed == 0
