"""Errors in decibels and back: the one place where a mean squared error becomes a PSNR.

How the squares are added up is the callers' business, since it differs: over one pair of pictures or several, in
double precision or as OpenCV does it fastest.
"""

from __future__ import annotations

import math

LARGEST_FIGURE = 999.0
"""An infinite figure (equal pictures have an infinite PSNR) is written down as this: JSON has no infinity."""


def psnr_of_error(mean_squared_error: float, data_range: float) -> float:
    """The peak signal-to-noise ratio in dB that a mean squared error stands for; infinite where there is no error.

    Where the error is NaN or infinite it is minus infinity, which is below every limit (NaN compares with none).

    >>> psnr_of_error(6.5025, 255)
    40.0
    >>> psnr_of_error(0, 255), psnr_of_error(math.nan, 255)
    (inf, -inf)

    Args:
        mean_squared_error: the mean of the squared differences, in the square of the values' unit.
        data_range: the distance from the lowest to the highest value that there can be: 255 for pictures.
    """
    if not math.isfinite(mean_squared_error):
        return -math.inf
    return math.inf if mean_squared_error <= 0 else 10.0 * math.log10(data_range**2 / mean_squared_error)


def decibels(power: float) -> float:
    """The PSNR in dB of a mean squared error relative to the squared peak, at most ``LARGEST_FIGURE``.

    >>> decibels(0.0001), decibels(0)
    (40.0, 999.0)
    """
    return min(psnr_of_error(power, 1.0), LARGEST_FIGURE)


def error_power(psnr_db: float) -> float:
    """The mean squared error that a PSNR stands for, relative to the squared peak; 0 from ``LARGEST_FIGURE`` on.

    >>> error_power(40.0), error_power(999)
    (0.0001, 0.0)
    """
    return 0.0 if psnr_db >= LARGEST_FIGURE else float(10 ** (-psnr_db / 10))


def written_figure(figure: float) -> float:
    """A figure as it is written down: infinite ones are cut to ±``LARGEST_FIGURE``; NaN stays NaN.

    >>> written_figure(math.inf), written_figure(-math.inf), written_figure(41.5)
    (999.0, -999.0, 41.5)
    """
    return max(min(figure, LARGEST_FIGURE), -LARGEST_FIGURE)
