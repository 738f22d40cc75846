"""What a frame looks like, as a short vector: the distance of two vectors says how different two frames are.

Two parts, both of the frame squeezed to 64x64 by averaging areas (its proportions do not matter here):

- colour: the mean CIELAB colour of 8x8 cells, 192 numbers. Scaled so that the distance of two frames by this part is
  the root mean square over the cells of the colour difference ΔE*ab (CIE 1976), in hundredths: 0.023, the just
  noticeable difference of two patches (Mahy et al. 1994: ΔE 2.3), or 1.0, black against white;
- texture: for 4x4 cells, the mean strength of lightness gradients in 8 orientations, 128 numbers: an edge map coarse
  enough not to see noise, and not normalised by contrast, because contrast is what activations' ranges follow.

On 28 photographs of the scikit-image and scikit-learn wheels the two parts put two photographs 0.42 and 0.20 apart
(medians): colour leads, texture tells a wall from a bookshelf of the same colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture

Features = NDArray[np.float32]

_SIDE = 64  # pixels of the squeezed frame
_COLOUR_CELLS, _TEXTURE_CELLS, _ORIENTATIONS = 8, 4, 8
_TEXTURE_WEIGHT = 8.0  # gradients of lightness are small numbers beside lightness itself
FEATURE_COUNT = 3 * _COLOUR_CELLS**2 + _ORIENTATIONS * _TEXTURE_CELLS**2

# Frames closer than this are near-duplicates. Measured on the photographs above, median distance of a photograph to
# itself: 0.014 with noise of 8 levels, 0.014 as a JPEG of quality 50, 0.022 at quality 20, 0.014 at a 3 % longer
# exposure; to itself moved aside by 1 %: 0.045, by 2 %: 0.060. So the limit keeps what a compressor, a sensor or
# automatic exposure does to a picture that stands still, and lets through what moves by more than 1 % of the width.
NEAR_DUPLICATE_DISTANCE = 0.04

# Of 255 levels. A covered lens or a fade to black shows noise of up to about 8 levels a pixel, of which averaging to
# 64x64 leaves less than 2; texture finer than that averages away as well, but has more than 10 levels at its pixels.
_BLANK_AVERAGED_LEVELS, _BLANK_PIXEL_LEVELS = 2.0, 10.0


def frame_features(image: Picture) -> Features:
    """The feature vector, float32 ``[FEATURE_COUNT]``, of a frame: uint8 ``[H, W, 3]`` RGB of any size."""
    import cv2

    squeezed = _squeeze(image).astype(np.float32) / 255
    lab = np.asarray(cv2.cvtColor(squeezed, cv2.COLOR_RGB2LAB) / 100, np.float32)
    colour = _cell_means(lab, _COLOUR_CELLS).ravel() / _COLOUR_CELLS
    texture = _cell_means(_oriented_gradients(lab[..., 0]), _TEXTURE_CELLS).ravel() / _TEXTURE_CELLS
    return np.concatenate([colour, _TEXTURE_WEIGHT * texture]).astype(np.float32)


def is_blank(image: Picture) -> bool:
    """Whether a frame, uint8 ``[H, W, 3]`` RGB, is of a single colour but for noise."""
    return _spread(_squeeze(image)) < _BLANK_AVERAGED_LEVELS and _spread(image) < _BLANK_PIXEL_LEVELS


def _spread(image: Picture) -> float:
    """The standard deviation, in levels, of the channel that varies most."""
    import cv2

    return float(cv2.meanStdDev(image)[1].max())


def _squeeze(image: Picture) -> Picture:
    import cv2

    return np.asarray(cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def _oriented_gradients(lightness: NDArray[np.float32]) -> NDArray[np.float32]:
    """``[H, W]`` to ``[H, W, orientations]``: each pixel's gradient strength, at its orientation (0 to 180 degrees)."""
    down, right = np.gradient(lightness)
    turn = (np.arctan2(down, right) % np.pi) / np.pi
    orientation = np.minimum((turn * _ORIENTATIONS).astype(np.int64), _ORIENTATIONS - 1)
    strengths = np.hypot(down, right)[..., None] * (orientation[..., None] == np.arange(_ORIENTATIONS))
    return np.asarray(strengths, np.float32)


def _cell_means(planes: NDArray[np.float32], cells: int) -> NDArray[np.float32]:
    """The mean of each cell of a grid over planes: float32 ``[H, W, C]`` becomes ``[cells, cells, C]``."""
    height, width, channels = planes.shape
    split = planes.reshape(cells, height // cells, cells, width // cells, channels)
    return np.asarray(split.mean(axis=(1, 3)), np.float32)
