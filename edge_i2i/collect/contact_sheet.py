"""A sheet with a small picture of every chosen frame, in rows, for a person to look over."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.media.sheet import side_by_side

_THUMBNAIL_HEIGHT, _THUMBNAIL_WIDTH = 128, 192  # pixels; 3:2, between a webcam's 4:3 and a film's 16:9
_COLUMNS = 6
_MOUNT = 235  # grey behind pictures of other proportions


def thumbnail(picture: Picture) -> Picture:
    """A picture, uint8 ``[H, W, 3]`` RGB, whole and centred in uint8 ``[128, 192, 3]``."""
    import cv2

    height, width = picture.shape[:2]
    scale = min(_THUMBNAIL_HEIGHT / height, _THUMBNAIL_WIDTH / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    small = np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)
    mounted = np.full((_THUMBNAIL_HEIGHT, _THUMBNAIL_WIDTH, 3), _MOUNT, np.uint8)
    top, left = (_THUMBNAIL_HEIGHT - size[1]) // 2, (_THUMBNAIL_WIDTH - size[0]) // 2
    mounted[top : top + size[1], left : left + size[0]] = small
    return mounted


def contact_sheet(thumbnails: Sequence[Picture], captions: Sequence[str]) -> Picture:
    """Thumbnails of one size, in rows from left to right, each under its caption; uint8 ``[H, W, 3]`` RGB.

    Raises:
        PictureError: there is no thumbnail, or not one caption for each.
    """
    starts = range(0, max(1, len(thumbnails)), _COLUMNS)
    rows = [side_by_side(thumbnails[at : at + _COLUMNS], captions[at : at + _COLUMNS]) for at in starts]
    width = max(row.shape[1] for row in rows)
    paper = 255
    return np.concatenate(
        [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0)), constant_values=paper) for row in rows]
    )
