"""What decoders give, as the RGB that a viewer shows: depth, channels, transparency, orientation.

Large pictures are worked on a band of rows at a time, so that they cost little more than their two arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size

_BAND = 1 << 22  # numbers at a time


def decoded(data: bytes, flags: int | None = None) -> NDArray[Any] | None:
    """The samples of a picture file in OpenCV's order (grey, BGR or BGRA), by default as stored; None: damaged."""
    import cv2

    try:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED if flags is None else flags)
    except cv2.error:
        return None


def to_rgb(samples: NDArray[Any]) -> Picture:
    """OpenCV's grey ``[H, W]``, BGR or BGRA samples, uint8 or uint16, as uint8 RGB; 8-bit BGR is changed in place."""
    import cv2

    if samples.dtype == np.uint8 and samples.ndim == 3 and samples.shape[2] == 3:
        return np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGR2RGB, dst=samples), np.uint8)
    rgb = np.empty((*samples.shape[:2], 3), np.uint8)
    for rows in row_bands(samples):
        rgb[rows] = _band_to_rgb(samples[rows])
    return rgb


def to_rgba(samples: NDArray[Any], clear_shade: int | None = None) -> Picture:
    """OpenCV's samples as ``to_rgb`` takes them, as uint8 RGBA with straight alpha; a shade of grey may be clear."""
    import cv2

    clear = None if clear_shade is None or samples.ndim != 2 else samples == clear_shade
    if samples.dtype == np.uint16:
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)  # 65535 is 255 x 257; to the nearest
    if samples.ndim == 2:
        rgba = cv2.cvtColor(samples, cv2.COLOR_GRAY2RGBA)
    else:
        rgba = cv2.cvtColor(samples, cv2.COLOR_BGRA2RGBA if samples.shape[2] == 4 else cv2.COLOR_BGR2RGBA)
    if clear is not None:
        rgba[clear] = 0
    return np.asarray(rgba, np.uint8)


def over_white(rgba: Picture) -> Picture:
    """RGBA ``[H, W, 4]`` with straight alpha over white: ``round((c * a + 255 * (255 - a)) / 255)``."""
    rgb = np.empty((*rgba.shape[:2], 3), np.uint8)
    for rows in row_bands(rgba):
        rgb[rows] = _band_over_white(rgba[rows])
    return rgb


def whiten(samples: NDArray[Any], shade: int) -> NDArray[Any]:
    """Grey samples with one shade, which is transparent, made white; in place."""
    samples[samples == shade] = np.iinfo(samples.dtype).max
    return samples


def orient(picture: Picture, orientation: int) -> Picture:
    """Apply an Exif orientation. 5..8 are 1..4 of the transposed picture, up to the order of the flips."""
    if orientation >= 5:
        picture = picture.transpose(1, 0, 2)
    upside_down = orientation in (3, 4, 7, 8)
    mirrored = orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(picture[:: -1 if upside_down else 1, :: -1 if mirrored else 1])


def oriented(size: Size, orientation: int) -> Size:
    """The size that an Exif orientation makes of one."""
    return Size(size.width, size.height) if orientation >= 5 else size


def row_bands(samples: NDArray[Any]) -> list[slice]:
    """The rows of a picture as slices from the top, each small enough for its intermediate arrays to stay small."""
    rows = max(1, _BAND // max(1, samples[0].size))
    return [slice(top, top + rows) for top in range(0, samples.shape[0], rows)]


def _band_to_rgb(samples: NDArray[Any]) -> Picture:
    import cv2

    if samples.dtype == np.uint16:
        samples = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if samples.ndim == 2:
        return np.asarray(cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB), np.uint8)
    if samples.shape[2] == 4:
        return _band_over_white(np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGRA2RGBA), np.uint8))
    return np.asarray(cv2.cvtColor(samples, cv2.COLOR_BGR2RGB), np.uint8)


def _band_over_white(rgba: Picture) -> Picture:
    alpha = rgba[..., 3:].astype(np.uint32)
    blended = rgba[..., :3] * alpha + 255 * (255 - alpha)
    return ((blended + 127) // 255).astype(np.uint8)
