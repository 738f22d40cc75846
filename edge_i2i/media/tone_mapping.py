"""High dynamic range (PQ and HLG, BT.2100) as the BT.709 picture that networks were trained on.

In the light of the display, with 1 as the white of graphics and paper (203 cd/m², BT.2408): colours go from BT.2020's
primaries to BT.709's, what lies outside is cut off; then the brightest of the three decides for the pixel, so that hues
stay: up to 0.6 nothing changes, above it a smooth shoulder brings 1000 cd/m² to 1. White thus becomes about 0.81. The
result is written with the curve of BT.1886 (a power of 2.4), as the screens of ordinary films show it.
"""

from __future__ import annotations

from enum import StrEnum
from functools import cache

import numpy as np
from numpy.typing import NDArray


class Hdr(StrEnum):
    """What becomes of films of a high dynamic range."""

    TONE_MAP = "tone-map"
    REFUSE = "refuse"


PQ, HLG = 16, 18
"""AVColorTransferCharacteristic: SMPTE 2084 and ARIB STD-B67."""
TRANSFERS = frozenset({PQ, HLG})
BT2020 = 9
"""AVColorPrimaries."""

_WHITE, _PEAK = 203.0, 1000.0  # cd/m²
_KNEE = 0.6
_BITS = 12  # of what is looked up: no film has more
_BAND_ROWS = 64  # fits the processor's cache
_TO_BT709 = np.array(  # BT.2087
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_LUMINANCE = np.array([[0.2627, 0.6780, 0.0593]], np.float32)  # BT.2020
_HLG_GAMMA = 1.2  # of a display of 1000 cd/m²


def tone_mapped(rgb: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    """A picture of a high dynamic range as a BT.709 screen shows it, uint8 ``[H, W, 3]`` (see this module's docstring).

    Args:
        rgb: uint16 ``[H, W, 3]``, full-range R'G'B'.
        transfer: the curve that it was written with, ``PQ`` or ``HLG``.
        primaries: its primaries as FFmpeg numbers them; ``BT2020`` is converted, all others are taken for BT.709.
    """
    picture = np.empty(rgb.shape, np.uint8)
    for top in range(0, rgb.shape[0], _BAND_ROWS):
        rows = slice(top, top + _BAND_ROWS)
        picture[rows] = _band(rgb[rows], transfer, primaries)
    return picture


def _band(rgb: NDArray[np.uint16], transfer: int, primaries: int) -> NDArray[np.uint8]:
    import cv2

    light = np.take(_light(transfer), rgb >> (16 - _BITS))
    if transfer == HLG:
        light *= (_PEAK / _WHITE) * cv2.pow(cv2.transform(light, _LUMINANCE), _HLG_GAMMA - 1)[..., None]
    if primaries == BT2020:
        light = np.asarray(cv2.transform(light, _TO_BT709), np.float32)
    np.maximum(light, 0, out=light)  # colours outside of BT.709 have negative parts in it
    light *= _shoulder(light.max(axis=2))[..., None]
    return np.asarray(cv2.convertScaleAbs(cv2.pow(np.minimum(light, 1), 1 / 2.4), alpha=255), np.uint8)


def _shoulder(brightest: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a pixel is multiplied by. Above the knee: t (1 + t / p²) / (1 + t), which has slope 1 at 0, and 1 at p."""
    over = np.maximum(brightest - _KNEE, 0) / (1 - _KNEE)
    peak = (_PEAK / _WHITE - _KNEE) / (1 - _KNEE)
    wanted = np.minimum(brightest, _KNEE) + (1 - _KNEE) * over * (1 + over / peak**2) / (1 + over)
    return np.asarray(wanted / np.maximum(brightest, 1e-6), np.float32)


@cache
def _light(transfer: int) -> NDArray[np.float32]:
    """What each code value stands for: a display's light, 1 is white (PQ); or the scene's, 0..1 (HLG)."""
    code = np.arange(1 << _BITS) / ((1 << _BITS) - 1)
    if transfer == HLG:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        light = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    else:
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = code ** (1 / m2)
        light = 10000 / _WHITE * (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1)
    return light.astype(np.float32)
