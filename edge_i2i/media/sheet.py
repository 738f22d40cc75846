"""Sheets for people to look at: pictures beside each other, each under its caption."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.errors import PictureError

_PAPER, _INK = 255, (40, 40, 40)


def side_by_side(pictures: Sequence[Picture], captions: Sequence[str], *, height: int | None = None) -> Picture:
    """A row of pictures on white, left to right, each with its caption above it.

    Args:
        pictures: uint8 ``[H, W, 3]`` RGB of any sizes.
        captions: one a picture, ASCII; any other letter is drawn as ``?``. One that is too long for its picture is
            drawn smaller, and cut with ``...`` where that is not enough.
        height: to which every picture is scaled, in pixels, with its proportions kept; None: the tallest one's.

    Returns:
        uint8 ``[H, W, 3]`` RGB.

    Raises:
        PictureError: there is no picture, there are not as many captions as pictures, or one is not uint8
            ``[H, W, 3]``.
    """
    _check(pictures, captions)
    height = height or max(picture.shape[0] for picture in pictures)
    margin = max(4, height // 40)
    scaled = [_scaled(picture, height) for picture in pictures]
    strip = _strip_height(height) if any(captions) else 0
    width = sum(picture.shape[1] for picture in scaled) + margin * (len(scaled) + 1)
    sheet = np.full((height + strip + 2 * margin, width, 3), _PAPER, np.uint8)
    left = margin
    for picture, caption in zip(scaled, captions, strict=True):
        span = slice(left, left + picture.shape[1])
        sheet[margin + strip : margin + strip + height, span] = picture
        if caption:
            sheet[margin : margin + strip, span] = _caption(caption, strip, picture.shape[1])
        left = span.stop + margin
    return sheet


def _check(pictures: Sequence[Picture], captions: Sequence[str]) -> None:
    if not pictures or len(pictures) != len(captions):
        raise PictureError(f"A sheet needs a caption for each picture: {len(captions)} for {len(pictures)}.")
    for picture in pictures:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise PictureError(f"A picture is uint8 [H, W, 3], not {picture.dtype}{list(picture.shape)}.")


def _scaled(picture: Picture, height: int) -> Picture:
    import cv2

    if picture.shape[0] == height:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    method = cv2.INTER_AREA if height < picture.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=method), np.uint8)


def _strip_height(height: int) -> int:
    """Room for a line of text that is in proportion to the pictures and never too small to read."""
    return max(20, height // 14)


def _caption(text: str, height: int, width: int) -> Picture:
    """The text in a white strip: as large as the strip allows, smaller if the width demands it, then cut."""
    import cv2

    font, text = cv2.FONT_HERSHEY_SIMPLEX, text.encode("ascii", "replace").decode()
    scale, smallest = _font_scale(0.6 * height), _font_scale(0.35 * height)
    weight = max(1, round(height / 22))

    def breadth(candidate: str, at: float) -> int:
        return int(cv2.getTextSize(candidate, font, at, weight)[0][0])

    scale = max(smallest, min(scale, scale * width / max(1, breadth(text, scale))))
    shown = text
    while shown and breadth(shown, scale) > width:
        text = text[:-1].rstrip()
        shown = f"{text}..." if text else ""
    strip = np.full((height, width, 3), _PAPER, np.uint8)
    baseline = round(height * 0.72)
    cv2.putText(strip, shown, (0, baseline), font, scale, _INK, weight, cv2.LINE_AA)
    return strip


def _font_scale(pixels: float) -> float:
    """The scale at which a capital of this font is ``pixels`` high (21 at scale 1; the font is drawn from a table)."""
    return pixels / 21
