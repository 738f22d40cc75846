"""How close a variant's pictures are to those of a reference variant: the figures that quantization is judged by."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Array
from edge_i2i.errors import PictureError
from edge_i2i.metrics.decibels import psnr_of_error, written_figure
from edge_i2i.metrics.flicker import PanningClip, flicker_ratio
from edge_i2i.metrics.picture import ssim
from edge_i2i.metrics.texture import check_pairs, grey_level_ratio_of_all, texture_ratio_of_all

GREY_RANGE = 255.0


@dataclass(frozen=True)
class PictureQuality:
    """A variant's pictures against the reference's.

    ``psnr_db``: of the mean squared error over all pictures, as if they were one. The mean of the pictures' own PSNRs
    would be higher and let a few easy pictures (infinite where equal) pay for a broken one. ``worst_psnr_db``: of the
    picture that lost most. ``ssim``: mean over the pictures. ``texture_ratio``, ``grey_levels_ratio``: of all pictures
    together, 1 = as the reference. ``flicker_ratio``: of a panning clip, 1 = as the reference; None: not measured.
    """

    psnr_db: float
    worst_psnr_db: float
    ssim: float
    texture_ratio: float
    grey_levels_ratio: float
    flicker_ratio: float | None

    def figures(self) -> dict[str, float]:
        """The measured figures by name, for the bundle's evidence.

        Infinite ones are cut to ±999. What is not a number (a broken variant) cannot be written down and is left out;
        its PSNR of -999 tells.
        """
        named = {
            "psnr_db": self.psnr_db,
            "worst_psnr_db": self.worst_psnr_db,
            "ssim": self.ssim,
            "texture_ratio": self.texture_ratio,
            "grey_levels_ratio": self.grey_levels_ratio,
            "flicker_ratio": self.flicker_ratio,
        }
        measured = {name: value for name, value in named.items() if value is not None and not math.isnan(value)}
        return {name: written_figure(value) for name, value in measured.items()}


@dataclass(frozen=True)
class QualityBudget:
    """The least quality that a variant must keep. A figure that was not measured is not held against it."""

    min_psnr_db: float
    min_ssim: float
    min_grey_levels_ratio: float = 0.9
    max_flicker_ratio: float = 1.05

    def complaints(self, quality: PictureQuality) -> tuple[str, ...]:
        """A sentence for each figure that misses the budget, none when all is well; NaN never passes.

        >>> QualityBudget(47, 0.996).complaints(PictureQuality(44.5, 43, 0.997, 1, 0.95, None))
        ('PSNR 44.5 dB is less than 47 dB',)
        """
        return (
            *_below("PSNR", quality.psnr_db, self.min_psnr_db, " dB"),
            *_below("SSIM", quality.ssim, self.min_ssim),
            *_below("share of grey levels", quality.grey_levels_ratio, self.min_grey_levels_ratio),
            *_above("flicker ratio", quality.flicker_ratio, self.max_flicker_ratio),
        )


def _below(name: str, value: float, limit: float, unit: str = "") -> tuple[str, ...]:
    return () if value >= limit else (f"{name} {value:.5g}{unit} is less than {limit:g}{unit}",)


def _above(name: str, value: float | None, limit: float) -> tuple[str, ...]:
    return () if value is None or value <= limit else (f"{name} {value:.5g} is more than {limit:g}",)


def quality_of(
    pictures: Sequence[Array],
    references: Sequence[Array],
    clip: PanningClip | None = None,
    reference_clip: PanningClip | None = None,
) -> PictureQuality:
    """Hold a variant's pictures against the reference's, one by one, and a panning clip against the reference's.

    Args:
        pictures: the variant's, ``[H, W]`` or ``[H, W, C]`` of at least 11x11, uint8 or floats in [-1, 1].
        references: what the reference makes of the same inputs; each of its picture's shape and kind of value.
        clip: a panning clip as the variant translates it.
        reference_clip: the same clip as the reference translates it.

    Raises:
        PictureError: pictures or clips that cannot be compared, or one clip without the other.
    """
    check_pairs(pictures, references)
    if (clip is None) != (reference_clip is None):
        raise PictureError("Flicker is relative: a clip needs the reference's clip beside it.")
    pairs = [(_grey(a), _grey(b)) for a, b in zip(pictures, references, strict=True)]
    errors = [float(np.mean(np.square(a - b))) for a, b in pairs]
    return PictureQuality(
        psnr_db=psnr_of_error(float(np.mean(errors)), GREY_RANGE),
        worst_psnr_db=min(psnr_of_error(error, GREY_RANGE) for error in errors),
        ssim=float(np.mean([ssim(a, b) for a, b in pairs])),
        texture_ratio=texture_ratio_of_all(pictures, references),
        grey_levels_ratio=grey_level_ratio_of_all(pictures, references),
        flicker_ratio=None if clip is None or reference_clip is None else flicker_ratio(clip, reference_clip),
    )


def _grey(picture: Array) -> NDArray[np.float64]:
    """The picture in grey levels 0..255, unrounded.

    SSIM is not the same for a picture around 0 as for one in the light.
    """
    if picture.dtype == np.uint8:
        return picture.astype(np.float64)
    if np.issubdtype(picture.dtype, np.floating):
        return (picture.astype(np.float64) + 1) * (GREY_RANGE / 2)
    raise PictureError(f"A picture is uint8, or floats in [-1, 1], not {picture.dtype}.")
