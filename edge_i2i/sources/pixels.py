"""What drivers give, as RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.arrays import Picture
from edge_i2i.sources.source import SourceLostError


def to_rgb(samples: NDArray[Any]) -> Picture:
    """Samples of any size as a new, C-contiguous RGB picture: grey ``[H, W]`` or ``[H, W, 1]``, BGR or BGRA, all uint8.

    Raises:
        SourceLostError: they are of another kind; a device whose format was changed may give these again when reopened.
    """
    import cv2

    channels = samples.shape[2] if samples.ndim == 3 else 1
    codes = {1: cv2.COLOR_GRAY2RGB, 3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGB}
    if samples.dtype != np.uint8 or samples.ndim not in (2, 3) or channels not in codes or 0 in samples.shape:
        raise SourceLostError(
            f"The device gives {samples.dtype}{list(samples.shape)}, which is no grey, BGR or BGRA picture of 8 bits.",
            remedy="Set the device to an ordinary colour format (YUYV, MJPG, NV12, BGR).",
        )
    return np.asarray(cv2.cvtColor(samples, codes[channels]), np.uint8)
