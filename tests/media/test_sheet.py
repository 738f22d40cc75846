"""Sheets hold every picture unchanged, in its place, under a caption that fits."""

from __future__ import annotations

import numpy as np
import pytest

from edge_i2i.errors import PictureError
from edge_i2i.media.sheet import side_by_side
from samples.pictures import flat


def span(sheet: np.ndarray, colour: tuple[int, int, int]) -> tuple[int, int, int, int]:
    rows, columns = np.where((sheet == colour).all(axis=2))
    return rows.min(), columns.min(), rows.max() + 1 - rows.min(), columns.max() + 1 - columns.min()


def test_pictures_stand_beside_each_other_on_white() -> None:
    sheet = side_by_side([flat(80, 120, (255, 0, 0)), flat(80, 40, (0, 0, 255))], ["left", "right"])
    top, left, height, width = span(sheet, (255, 0, 0))
    second_top, second_left, second_height, second_width = span(sheet, (0, 0, 255))
    assert (height, width, second_height, second_width) == (80, 120, 80, 40)
    assert top == second_top and second_left > left + width
    margin = second_left - left - width
    assert left == margin and sheet.shape[1] == second_left + second_width + margin
    assert sheet.shape[0] == top + 80 + margin
    assert (sheet[:, :margin] == 255).all() and (sheet[-margin:] == 255).all()


def test_pictures_are_scaled_to_one_height() -> None:
    sheet = side_by_side([flat(80, 120, (255, 0, 0)), flat(40, 40, (0, 0, 255))], ["a", "b"])
    assert span(sheet, (0, 0, 255))[2:] == (80, 80)
    sheet = side_by_side([flat(80, 120, (255, 0, 0)), flat(40, 40, (0, 0, 255))], ["a", "b"], height=20)
    assert span(sheet, (255, 0, 0))[2:] == (20, 30) and span(sheet, (0, 0, 255))[2:] == (20, 20)


@pytest.mark.parametrize(
    "caption", ["short", "a caption that is far too long for such a narrow picture", "Größe", "g" * 500]
)
@pytest.mark.parametrize("side", [24, 160])
def test_captions_stay_above_their_own_picture(caption: str, side: int) -> None:
    sheet = side_by_side([flat(side, side, (200, 0, 0))] * 2, [caption, ""])
    top, left, *_ = span(sheet, (200, 0, 0))
    ink = (sheet[:top] < 128).any(axis=(0, 2))
    assert ink.any()
    first_end = left + side
    assert not ink[first_end:].any() and not ink[:left].any()


def test_without_captions_there_is_no_strip() -> None:
    with_captions = side_by_side([flat(80, 80, (200, 0, 0))], ["a"])
    without = side_by_side([flat(80, 80, (200, 0, 0))], [""])
    assert without.shape[0] < with_captions.shape[0]


def test_what_cannot_be_shown_is_refused() -> None:
    with pytest.raises(PictureError, match="caption for each"):
        side_by_side([flat(8, 8, (0, 0, 0))], [])
    with pytest.raises(PictureError, match="caption for each"):
        side_by_side([], [])
    with pytest.raises(PictureError, match="uint8"):
        side_by_side([np.zeros((8, 8), np.uint8)], ["grey"])
