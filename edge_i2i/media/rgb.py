"""Decoded frames as RGB, by the rules of ``media.films``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edge_i2i.errors import PictureError
from edge_i2i.media.samples import over_white
from edge_i2i.media.tone_mapping import TRANSFERS, Hdr, tone_mapped

if TYPE_CHECKING:
    import av

LARGEST_FRAME = 1 << 26  # pixels; twice the area of 8K. A decoder holds a dozen frames.

_UNSPECIFIED = 2  # AVColorSpace
# swscale.h: SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT. Not PyAV's names, which PyAV 17 lacks.
_EXACT_TO_RGB = 0x2 | 0x40000 | 0x2000
_PALETTE = "pal8"  # its entries have transparency, which the format's own description does not tell


def is_high_definition(height: int, width: int) -> bool:
    """Where players assume BT.709 for a film that does not say (the rule of mpv and of most televisions)."""
    return width >= 1280 or height > 576


class FrameToRgb:
    """Turns frames of any size and format to C-contiguous uint8 ``[H, W, 3]`` RGB; keep one, it keeps its tables.

    What is transparent comes over white, as in pictures; high dynamic range is tone-mapped (``media.tone_mapping``), or
    refused. ``name``: what messages call their film, as the beginning of a sentence.
    """

    def __init__(self, name: str, hdr: Hdr = Hdr.TONE_MAP) -> None:
        from av.video.reformatter import VideoReformatter

        self._name, self._hdr = name, hdr
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> NDArray[np.uint8]:
        """A new picture; colours by the frame's marks, or without marks as players guess them.

        Raises:
            PictureError: it has a high dynamic range, and that is to be refused.
        """
        if frame.color_trc in TRANSFERS:
            if self._hdr is Hdr.REFUSE:
                raise PictureError(
                    f"{self._name} has a high dynamic range, which is to be refused.",
                    remedy="Convert it with a video tool, or let it be tone-mapped: --hdr tone-map.",
                )
            # Planar: into packed 16 bits (rgb48le) swscale overflows with full chroma, and saturated colours turn.
            deep = np.ascontiguousarray(self._converted(frame, "gbrp16le"), np.uint16)
            return tone_mapped(deep, int(frame.color_trc), int(frame.color_primaries))
        if _is_transparent(frame):
            return over_white(np.ascontiguousarray(self._converted(frame, "rgba"), np.uint8))
        return np.ascontiguousarray(self._converted(frame, "rgb24"), np.uint8)  # PyAV's rows may be padded

    def _converted(self, frame: av.VideoFrame, form: str) -> NDArray[np.generic]:
        from av.video.reformatter import Colorspace

        matrix = None
        if frame.colorspace == _UNSPECIFIED:
            matrix = Colorspace.ITU709 if is_high_definition(frame.height, frame.width) else Colorspace.ITU601
        converted = self._reformatter.reformat(frame, format=form, src_colorspace=matrix, interpolation=_EXACT_TO_RGB)
        return converted.to_ndarray()


def _is_transparent(frame: av.VideoFrame) -> bool:
    form = frame.format
    return form.name == _PALETTE or any(component.is_alpha for component in form.components)
