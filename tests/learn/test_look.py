from __future__ import annotations

import numpy as np
import pytest

from edge_i2i.errors import PictureError
from edge_i2i.learn.look import BORDER, paint
from edge_i2i.media.photographs import load_photograph


def test_paint_is_deterministic_and_clearly_different_from_the_photograph() -> None:
    photograph = load_photograph("astronaut.png")[:256, :256]
    painting = paint(photograph)
    assert painting.dtype == np.uint8
    assert painting.shape == photograph.shape
    assert np.array_equal(painting, paint(photograph))
    assert np.abs(painting.astype(int) - photograph).mean() > 10


def test_shadows_are_never_black_and_paper_is_warm() -> None:
    picture = np.full((64, 64, 3), 235, np.uint8)
    picture[:, :32] = 20
    painting = paint(picture).astype(int)
    dark, light = painting[32, 8], painting[32, 56]
    assert 10 < dark.min() < dark.max() < 120
    assert light[0] > light[2]
    assert light.min() > 170


def test_exposure_and_colour_cast_hardly_matter() -> None:
    photograph = load_photograph("astronaut.png")[100:356, 100:356]
    cast = np.rint(photograph * np.array([0.8, 0.7, 0.75]) + np.array([20, 20, 40])).astype(np.uint8)
    assert np.abs(paint(photograph).astype(int) - paint(cast)).mean() < 9
    assert np.abs(photograph.astype(int) - cast).mean() > 20


def test_an_edge_gets_ink_on_its_dark_side() -> None:
    picture = np.full((64, 64, 3), 200, np.uint8)
    picture[:, :32] = 110
    row = paint(picture)[32].astype(int).sum(axis=1)
    assert row[29:32].min() < row[10] - 60


def test_the_border_is_cut_off_and_hides_what_lies_beyond() -> None:
    whole = load_photograph("astronaut.png")[:352, :352]
    wide = paint(whole, border=BORDER)
    narrow = paint(np.ascontiguousarray(whole[8:-8, 8:-8]), border=BORDER - 8)
    assert wide.shape == narrow.shape == (256, 256, 3)
    assert np.abs(wide.astype(int) - narrow).mean() < 1.0


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((32, 32), np.uint8),
        np.zeros((32, 32, 4), np.uint8),
        np.zeros((32, 32, 3), np.float32),
        np.zeros((4, 32, 3), np.uint8),
    ],
)
def test_other_arrays_are_refused(picture: np.ndarray) -> None:
    with pytest.raises(PictureError, match="uint8 pictures of shape") as caught:
        paint(picture)
    assert caught.value.exit_code == 4
