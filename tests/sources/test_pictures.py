"""What is made of picture files: folders and pans; and the test pattern."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.media.pictures import write_picture
from edge_i2i.sources import source_spec
from edge_i2i.sources.coded import read_code
from edge_i2i.sources.folder import natural_key
from edge_i2i.sources.pattern import BARS, Pattern
from samples.live.virtual_clock import VirtualClock
from samples.sources.made import PRIMARIES, primaries

SMALL = Size(10, 12)


def shade(level: int, size: Size = SMALL) -> np.ndarray:
    return np.full((size.height, size.width, 3), level, np.uint8)


# Folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_among_pictures_is_named_and_not_waited_for(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png", shade(9))
    os.mkfifo(tmp_path / "2.png")
    source = source_spec(str(tmp_path)).make()
    source.open()
    source.read()
    with pytest.raises(PictureError, match="pipe"):
        source.read()


def test_pictures_come_in_the_order_in_which_people_count(tmp_path: Path) -> None:
    names = ["1.png", "2.png", "10.png", "a1b2.png", "A1b10.png", "a2.png", "frame 9.webp", "frame 10.png"]
    for level, name in enumerate(names):
        write_picture(tmp_path / name, shade(20 * level))
    write_picture(tmp_path / ".hidden.png", shade(255))
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "sub.png").mkdir()
    source = source_spec(f"folder:{tmp_path}", fps=4.0).make()
    info = source.open()
    assert info.frames == len(names) and info.fps == 4.0
    for level in range(len(names)):
        captured = source.read()
        assert captured is not None and captured.t_source == level / 4
        assert abs(int(captured.image[0, 0, 0]) - 20 * level) <= 1
    assert source.read() is None


def test_names_sort_by_number_and_without_case() -> None:
    names = ["B", "a10", "a9", "a", "10", "9", "09b", "a9b"]
    assert sorted(names, key=natural_key) == ["9", "09b", "10", "a", "a9", "a9b", "a10", "B"]


def test_pictures_keep_their_sizes_and_need_no_times(tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png", shade(1, Size(5, 7)))
    write_picture(tmp_path / "2.png", shade(1, Size(9, 3)))
    source = source_spec(str(tmp_path)).make()
    assert source.open().size == Size(5, 7)
    first, second = source.read(), source.read()
    assert first is not None and second is not None
    assert (first.image.shape, second.image.shape) == ((5, 7, 3), (9, 3, 3))
    assert first.t_source is None


@pytest.mark.parametrize("damaged", ["1.png", "2.png"])
def test_a_damaged_picture_is_named(tmp_path: Path, damaged: str) -> None:
    for name in ("1.png", "2.png", "3.png"):
        write_picture(tmp_path / name, primaries())
    (tmp_path / damaged).write_bytes((tmp_path / damaged).read_bytes()[:60])
    source = source_spec(str(tmp_path)).make()
    with pytest.raises(PictureError, match=damaged):
        source.open()
        while source.read() is not None:
            pass


def test_an_empty_or_missing_folder_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(PictureError) as caught:
            source_spec(f"folder:{folder}").make().open()
        assert str(folder) in str(caught.value) and caught.value.remedy


# Pans ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [Size(30, 40), Size(1000, 600), Size(601, 33)])
def test_a_pan_moves_smoothly_and_stays_inside(tmp_path: Path, kept: Size) -> None:
    rows, columns = np.mgrid[: kept.height, : kept.width]
    picture = np.stack([rows * 255 // kept.height, columns * 255 // kept.width, rows * 0 + 77], axis=-1)
    write_picture(tmp_path / "a.png", picture.astype(np.uint8))
    with VirtualClock() as clock:
        source = source_spec(f"photo:{tmp_path}/a.png", size=Size(91, 121), clock=clock).make()
        assert source.open().fps == 30.0
        views = [captured.image for _ in range(240) if (captured := source.read()) is not None]
        source.close()
    assert len(views) == 240 and all(view.shape == (91, 121, 3) for view in views)
    assert all((view[..., 2] == 77).all() for view in views)  # no border from outside the picture
    steps = [np.abs(a.astype(int) - b).max() for a, b in pairwise(views)]
    assert max(steps) <= 16
    assert np.abs(views[0].astype(int) - views[-1]).max() > 20


def test_a_pan_keeps_colours(tmp_path: Path) -> None:
    for level, colour in enumerate(PRIMARIES[0] + PRIMARIES[1]):
        path = tmp_path / f"{level}.png"
        write_picture(path, np.full((50, 60, 3), colour, np.uint8))
        with VirtualClock() as clock:
            source = source_spec(f"photo:{path}", clock=clock).make()
            source.open()
            for _ in range(3):
                captured = source.read()
                assert captured is not None
                np.testing.assert_array_equal(captured.image, np.broadcast_to(np.uint8(colour), (480, 640, 3)))


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match=r"b\.png"):
        source_spec(f"photo:{tmp_path}/b.png").make().open()


# The pattern -----------------------------------------------------------------------------------------------------


def test_the_pattern_carries_its_number_and_moves() -> None:
    with VirtualClock() as clock:
        source = source_spec("pattern:98x131@25?frames=70", clock=clock).make()
        source.open()
        pictures = []
        while (captured := source.read()) is not None:
            code = read_code(captured.image)
            assert code is not None and code.number == len(pictures)
            assert captured.t_source == pytest.approx(len(pictures) / 25)
            pictures.append(captured.image)
    assert len(pictures) == 70
    inside = [picture[24:-24] for picture in pictures]
    assert all((a != b).any() for a, b in pairwise(inside))


@pytest.mark.parametrize("size", [Size(480, 640), Size(99, 131), Size(131, 99), Size(64, 1000)])
def test_the_bars_are_the_primaries_at_full_strength(size: Size) -> None:
    pattern = Pattern(size, 30.0)
    row = pattern.draw(0)[size.height // 2 - 1]
    for number, colour in enumerate(BARS):
        assert tuple(row[(2 * number + 1) * size.width // 16]) == colour
    for number in (1, 33, 1_000_000):
        moved = pattern.draw(number)[size.height // 2 - 1]
        np.testing.assert_array_equal(moved, np.roll(row, -2 * number, axis=0))


def test_the_pattern_is_the_same_every_time() -> None:
    first, second = Pattern(Size(120, 160), 30.0), Pattern(Size(120, 160), 30.0)
    np.testing.assert_array_equal(first.draw(12345), second.draw(12345))
    assert (first.draw(2**32) == first.draw(2**32)).all()  # counts on after the code has begun anew
