"""The demo's look: a photograph as an ink-and-wash poster, computed with OpenCV's photo module.

This is the *target* that the demo generator learns to reproduce. It is deterministic, so a pair is exact whatever
augmentation the photograph went through before.

Brightness and colour are standardised over the picture before the palette is applied. A network whose every layer
ends in instance norm cannot see the exposure or the colour cast of a picture (the first norm takes the mean and the
scale of every filter away), so a look that depended on them could not be learned: the network would answer with grey.
On a camera the same property means that the painting keeps its palette when the light changes.

The constants were chosen by eye on the photographs that the scikit-image and scikit-learn wheels carry.
"""

from __future__ import annotations

from types import ModuleType
from typing import cast

import numpy as np

from edge_i2i.arrays import FloatPicture, Picture
from edge_i2i.errors import PictureError
from edge_i2i.requirements import require

# OpenCV's edge-preserving filter (Gastal and Oliveira 2011): reach in pixels, tolerance to colour differences in 0..1.
WASH_REACH, WASH_TOLERANCE = 40.0, 0.42
LINES_REACH, LINES_TOLERANCE = 14.0, 0.25

# What is as flat as this (standard deviation, 1.0 = full range) is not amplified to full contrast.
FLAT_BRIGHTNESS, FLAT_COLOUR = 0.04, 0.02

DARKEST, LIGHTEST = 0.12, 0.99  # pigment on paper is never black
TONE_STEEPNESS, TONE_LIFT = 1.55, 0.25  # the sigmoid from standardised brightness to tone
COLOURFULNESS, COLOUR_KNEE = 0.18, 1.6  # reach of Cr and Cb around the palette's mean, and where they saturate
WARM_CR, WARM_CB = 0.065, -0.07  # the palette's mean lies this far from grey
HIGHLIGHT_FADE = 0.4  # how much of its colour the lightest paper loses
INDIGO_CR, INDIGO_CB = -0.03, 0.13  # what shadows turn to

LINE_SIGMA = 1.4  # pixels; radius of the inner Gaussian of the difference of Gaussians
LINE_SIGMA_RATIO = 1.6  # the classical approximation of a Laplacian of Gaussian (Marr and Hildreth 1980)
LINE_THRESHOLD, LINE_SOFTNESS, LINE_STRENGTH = 0.03, 0.16, 0.92
INK_RGB = (0.10, 0.08, 0.22)

BORDER = 48  # pixels to paint beyond a crop, so that its edge looks as in the whole picture


def paint(rgb: Picture, *, border: int = 0) -> Picture:
    """Paint a photograph: flat washes in a warm palette with indigo shadows, dark ink along the edges.

    Args:
        rgb: uint8 (H, W, 3), RGB, both sides at least ``8 + 2 * border``.
        border: pixels on each side that only serve the filters: they are cut off from the result, and the palette is
            fitted to what remains.

    Returns:
        uint8 (H - 2 border, W - 2 border, 3), RGB; the same input gives the same output.

    Raises:
        PictureError: the array has another type or shape.
    """
    smallest = 8 + 2 * border
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or min(rgb.shape[:2]) < smallest:
        raise PictureError(
            f"The look is made from uint8 pictures of shape (H, W, 3), {smallest}x{smallest} or larger; this one is "
            f"{rgb.dtype} {tuple(rgb.shape)}.",
            remedy="Convert the picture to 8-bit RGB of that size first.",
        )
    inner = (slice(border, rgb.shape[0] - border), slice(border, rgb.shape[1] - border))
    ink = _ink_amount(rgb, inner)[..., np.newaxis]
    painted = _wash(rgb, inner) * (1.0 - ink) + np.asarray(INK_RGB, np.float32) * ink
    return cast(Picture, np.rint(np.clip(painted, 0.0, 1.0) * 255.0).astype(np.uint8))


def _wash(rgb: Picture, inner: tuple[slice, slice]) -> FloatPicture:
    """The colour layer of the inner part: float32 (h, w, 3), about [0, 1]."""
    cv2 = _opencv()
    flat = _smooth(rgb, WASH_REACH, WASH_TOLERANCE)[inner]
    brightness, cr, cb = cv2.split(cv2.cvtColor(flat.astype(np.float32) / 255.0, cv2.COLOR_RGB2YCrCb))
    sigmoid = 1.0 / (1.0 + np.exp(-TONE_STEEPNESS * _standardised(brightness, FLAT_BRIGHTNESS) - TONE_LIFT))
    tone = DARKEST + (LIGHTEST - DARKEST) * sigmoid
    fade, shadow = 1.0 - HIGHLIGHT_FADE * tone**4, (1.0 - tone) ** 2
    cr = 0.5 + fade * (WARM_CR + _compressed(cr)) + INDIGO_CR * shadow
    cb = 0.5 + fade * (WARM_CB + _compressed(cb)) + INDIGO_CB * shadow
    return cast(FloatPicture, cv2.cvtColor(cv2.merge([tone, cr, cb]).astype(np.float32), cv2.COLOR_YCrCb2RGB))


def _ink_amount(rgb: Picture, inner: tuple[slice, slice]) -> FloatPicture:
    """How much ink covers each pixel of the inner part: float32 (h, w) in [0, LINE_STRENGTH]."""
    cv2 = _opencv()
    grey = cv2.cvtColor(_smooth(rgb, LINES_REACH, LINES_TOLERANCE), cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    narrow = cv2.GaussianBlur(grey, (0, 0), LINE_SIGMA)
    wide = cv2.GaussianBlur(grey, (0, 0), LINE_SIGMA * LINE_SIGMA_RATIO)
    contrast = np.sqrt(grey[inner].var() + FLAT_BRIGHTNESS**2)
    darker_than_around = (wide - narrow)[inner] / contrast
    covered = np.clip((darker_than_around - LINE_THRESHOLD) / LINE_SOFTNESS, 0.0, 1.0)
    return cast(FloatPicture, (LINE_STRENGTH * covered).astype(np.float32))


def _smooth(rgb: Picture, reach: float, tolerance: float) -> Picture:
    cv2 = _opencv()
    smooth = cv2.edgePreservingFilter(rgb, flags=cv2.RECURS_FILTER, sigma_s=reach, sigma_r=tolerance)
    return cast(Picture, smooth)


def _standardised(channel: FloatPicture, flat: float) -> FloatPicture:
    """Zero mean, and unit variance unless the channel is flat: the arithmetic of instance norm."""
    return cast(FloatPicture, (channel - channel.mean()) / np.sqrt(channel.var() + flat**2))


def _compressed(channel: FloatPicture) -> FloatPicture:
    return cast(FloatPicture, COLOURFULNESS * np.tanh(_standardised(channel, FLAT_COLOUR) / COLOUR_KNEE))


def _opencv() -> ModuleType:
    return require("cv2", extra="train", purpose="Painting the demo's look")
