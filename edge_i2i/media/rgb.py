"""Decoded frames as RGB, by the rules of ``media.video``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

_UNSPECIFIED = 2  # AVColorSpace
# swscale.h: SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT. Not PyAV's names, which PyAV 17 lacks.
_EXACT_TO_RGB = 0x2 | 0x40000 | 0x2000


def is_high_definition(height: int, width: int) -> bool:
    """Where players assume BT.709 for a film that does not say (the rule of mpv and of most televisions)."""
    return width >= 1280 or height > 576


class FrameToRgb:
    """Turns frames of any size and format to C-contiguous uint8 ``[H, W, 3]`` RGB; keep one, it keeps its tables."""

    def __init__(self) -> None:
        from av.video.reformatter import VideoReformatter

        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """A new picture; colours by the frame's marks, or without marks as players guess them."""
        from av.video.reformatter import Colorspace

        matrix = None
        if frame.colorspace == _UNSPECIFIED:
            matrix = Colorspace.ITU709 if is_high_definition(frame.height, frame.width) else Colorspace.ITU601
        rgb = self._reformatter.reformat(frame, format="rgb24", src_colorspace=matrix, interpolation=_EXACT_TO_RGB)
        return np.ascontiguousarray(rgb.to_ndarray(), np.uint8)  # PyAV's rows may be padded
