"""How alike two pictures are, and sheets that show pictures beside each other.

Every function is pure. Pictures are ``[H, W]`` or ``[H, W, C]`` arrays of equal shape, of any numeric dtype; the
arithmetic is done in double precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Array
from edge_i2i.errors import PictureError
from edge_i2i.metrics import parity

# Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
# Transactions on Image Processing 13(4), 2004: an 11x11 Gaussian window of deviation 1.5, K1 = 0.01, K2 = 0.03.
SSIM_WINDOW, SSIM_SIGMA, SSIM_K1, SSIM_K2 = 11, 1.5, 0.01, 0.03


def psnr(a: Array, b: Array, data_range: float = 255) -> float:
    """Peak signal-to-noise ratio in dB of two pictures; infinite where they are equal.

    Args:
        a: one picture.
        b: the other; which is the reference makes no difference.
        data_range: the largest value less the smallest that a picture can have: 255 for uint8.

    >>> black = np.zeros((4, 4, 3), np.uint8)
    >>> round(psnr(black, black + 1), 2)
    48.13
    >>> psnr(black, black)
    inf

    Raises:
        PictureError: the shapes differ, or the pictures are empty.
    """
    _check(a, b)
    return parity.psnr(a, b, data_range)


def ssim(a: Array, b: Array, data_range: float = 255) -> float:
    """Structural similarity of Wang et al. 2004: 1 where the pictures are equal, lower where they differ.

    The mean over all channels and over all places where the 11x11 window lies wholly inside the picture.

    Args:
        a: one picture.
        b: the other; which is the reference makes no difference.
        data_range: the largest value less the smallest that a picture can have: 255 for uint8.

    >>> ramp = np.tile(np.arange(0, 240, 8, dtype=np.uint8), (30, 1))
    >>> ssim(ramp, ramp)
    1.0
    >>> round(ssim(ramp, 240 - ramp), 2) < 0
    True

    Raises:
        PictureError: the shapes differ, or a side is shorter than 11 pixels.
    """
    _check(a, b)
    if min(a.shape[:2]) < SSIM_WINDOW:
        raise PictureError(f"SSIM needs pictures of at least {SSIM_WINDOW}x{SSIM_WINDOW}, not {list(a.shape)}.")
    x, y = a.astype(np.float64), b.astype(np.float64)
    mean_x, mean_y = _window(x), _window(y)
    variance_x, variance_y = _window(x * x) - mean_x**2, _window(y * y) - mean_y**2
    covariance = _window(x * y) - mean_x * mean_y
    c1, c2 = (SSIM_K1 * data_range) ** 2, (SSIM_K2 * data_range) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return float(np.mean(luminance * structure))


def mean_absolute_difference(a: Array, b: Array) -> float:
    """The mean of ``|a - b|`` over all values, in the pictures' own unit (grey levels for uint8).

    >>> mean_absolute_difference(np.uint8([[0, 255]]), np.uint8([[255, 255]]))
    127.5

    Raises:
        PictureError: the shapes differ, or the pictures are empty.
    """
    _check(a, b)
    return float(np.mean(np.abs(_difference(a, b))))


def equal_fraction(a: Array, b: Array) -> float:
    """The share of pixels, 0..1, that are equal in every channel.

    >>> equal_fraction(np.uint8([[[1, 2, 3], [4, 5, 6]]]), np.uint8([[[1, 2, 3], [4, 5, 7]]]))
    0.5

    Raises:
        PictureError: the shapes differ, or the pictures are empty.
    """
    _check(a, b)
    equal = a == b
    return float(np.mean(equal.all(axis=2) if equal.ndim == 3 else equal))


def _check(a: Array, b: Array) -> None:
    if a.shape != b.shape:
        raise PictureError(f"Pictures of different shapes cannot be compared: {list(a.shape)} and {list(b.shape)}.")
    if a.ndim not in (2, 3) or a.size == 0:
        raise PictureError(f"A picture is [H, W] or [H, W, C], not {list(a.shape)}.")


def _difference(a: Array, b: Array) -> NDArray[np.float64]:
    return a.astype(np.float64) - b.astype(np.float64)


def _window(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The Gaussian-weighted mean around every pixel whose window lies inside the picture."""
    import cv2

    blurred = cv2.GaussianBlur(values, (SSIM_WINDOW, SSIM_WINDOW), SSIM_SIGMA, borderType=cv2.BORDER_REFLECT)
    edge = SSIM_WINDOW // 2
    return np.asarray(blurred, np.float64)[edge:-edge, edge:-edge]
