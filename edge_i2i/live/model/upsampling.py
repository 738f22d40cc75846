"""How a result of the network's size becomes one of the camera's size.

``guided`` does not enlarge the result but what the network changed (result less input): a fast guided filter (He and
Sun, "Fast Guided Filter", 2015, arXiv:1505.00996) fits, around every pixel of the small picture, the change as a linear
function of the input, and evaluates the functions on the camera's own pixels. The change follows the camera's edges,
and its texture stays sharp; what the network draws where the camera shows nothing (new objects) is no sharper than by
``linear``.

All of it is outside of the graph: ONNX Runtime on a CPU resizes far more slowly than OpenCV.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture
from edge_i2i.media.geometry import Enlarging, Placement, take_back

RADIUS = 2
"""Pixels of the network's picture around each, in which one linear function is fitted: a window of 5x5. Larger ones
bleed over more edges, smaller ones follow noise."""

EPSILON = (0.02 * 255) ** 2
"""Variance, in squared grey levels, below which the input counts as flat and the change as constant: textures weaker
than 2 % of the range are noise. The paper's ε, which it takes from 0.1² to 0.4² for stronger smoothing."""

_ONE = 2048
"""A slope of 1 in int16, which is half as large as float32 and OpenCV multiplies twice as fast; steepest is 16."""

Map = NDArray[np.float32]


class Upsampling(StrEnum):
    """``none``: the network's size; the others give the camera's. ``cubic`` is sharper than ``linear``."""

    NONE = "none"
    LINEAR = "linear"
    CUBIC = "cubic"
    GUIDED = "guided"


def lifted(image: Picture, translated: Picture, frame: Picture, placement: Placement, how: Upsampling) -> Picture:
    """Take a network's picture back to the frame.

    Args:
        image: what the network gave, RGB uint8 of size ``placement.model``.
        translated: what the network was given, of the same size.
        frame: the frame, RGB uint8 of size ``placement.source``.
        placement: how the frame was laid into the network's picture.
        how: a camera smaller than the network gets its picture by averaging areas in any case.

    Returns:
        The part of the frame that was translated (all of it, but for ``crop``).
    """
    if how is Upsampling.GUIDED and _grows(placement):
        return guided(placement.held.of(translated), placement.held.of(image), placement.taken.of(frame))
    enlarging = Enlarging.CUBIC if how is Upsampling.CUBIC else Enlarging.LINEAR
    return take_back(image, placement, keep_size=how is not Upsampling.NONE, enlarging=enlarging)


def _grows(placement: Placement) -> bool:
    small, large = placement.held.size, placement.taken.size
    return small != large and small.height <= large.height and small.width <= large.width


def guided(source: Picture, result: Picture, full: Picture, radius: int = RADIUS, epsilon: float = EPSILON) -> Picture:
    """Lift what changed from ``source`` to ``result`` onto ``full``.

    Args:
        source: what the network was shown, RGB uint8 ``[h, w, 3]``.
        result: what it gave, RGB uint8 of the same size.
        full: what ``source`` was reduced from, RGB uint8 ``[H, W, 3]`` and not smaller.
        radius: pixels of ``source`` around each, in which one linear function is fitted.
        epsilon: variance in squared grey levels below which ``source`` counts as flat; larger values smooth more.

    Returns:
        RGB uint8 of the size of ``full``, freshly allocated. The channels are independent.
    """
    import cv2

    size = full.shape[1], full.shape[0]
    slope, offset = (
        cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
        for part in _linear_functions(source, result, radius, epsilon)
    )
    product = cv2.multiply(full.astype(np.int16), slope, dst=slope, scale=1 / _ONE)
    return np.asarray(cv2.add(product, offset, dtype=cv2.CV_8U), np.uint8)


def _linear_functions(source: Picture, result: Picture, radius: int, epsilon: float) -> list[NDArray[np.int16]]:
    """Slope (in units of 1 / ``_ONE``) and offset of result = slope × source + offset around each pixel."""
    import cv2

    window = (2 * radius + 1, 2 * radius + 1)

    def mean(picture: Map) -> Map:
        return np.asarray(cv2.boxFilter(picture, cv2.CV_32F, window, borderType=cv2.BORDER_REFLECT), np.float32)

    guide = source.astype(np.float32)
    change = result.astype(np.float32) - guide
    mean_guide, mean_change = mean(guide), mean(change)
    variance = mean(guide * guide) - mean_guide * mean_guide
    covariance = mean(guide * change) - mean_guide * mean_change
    slope: Map = np.divide(covariance, variance + epsilon, dtype=np.float32)
    offset = mean_change - slope * mean_guide
    parts = (mean(slope) + 1) * _ONE, mean(offset)  # 1: the change is added to the source
    return [np.rint(np.clip(part, -32768, 32767)).astype(np.int16) for part in parts]
