"""Coded pictures: the number comes back through JPEG at quality 20, and damage never passes for a number."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.live.frame import Frame, Result
from edge_i2i.sources.coded import Code, read_code, stamp
from samples.live.coded_frames import CodedSink, coded_picture, coded_spec
from samples.live.virtual_clock import VirtualClock

numbers = st.integers(0, 2**32 - 1)
streams = st.integers(0, 255)
sizes = st.builds(Size, st.integers(112, 300), st.integers(64, 500))


def through_jpeg(image: Picture, quality: int = 20) -> Picture:
    encoded = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1])


@settings(max_examples=150, deadline=None)
@given(numbers, streams, sizes, st.integers(0, 2**32 - 1))
def test_a_code_survives_jpeg_on_any_picture_of_any_size(number: int, stream: int, size: Size, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (size.height, size.width, 3), np.uint8)
    stamp(image, number, stream)
    assert read_code(image) == Code(number, stream)
    assert read_code(through_jpeg(image)) == Code(number, stream)


@settings(max_examples=100, deadline=None)
@given(numbers, numbers, st.integers(1, 127))
def test_a_picture_of_two_frames_is_torn(first: int, second: int, row: int) -> None:
    above, below = coded_picture(first, size=Size(128, 160)), coded_picture(second, size=Size(128, 160))
    torn = np.concatenate([above[:row], below[row:]])
    read = read_code(torn)
    if first == second:
        assert read == Code(first, 0)
    else:  # a tear inside a code may leave too few of the other frame's pixels to matter
        assert read is None or 0 < min(row, 128 - row) < 24


@settings(max_examples=50, deadline=None)
@given(numbers, st.integers(0, 55), st.data())
def test_a_wrong_cell_is_damage(number: int, cell: int, data: st.DataObject) -> None:
    image = coded_picture(number)
    row, column = divmod(cell, 8)
    patch = image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
    patch[...] = data.draw(st.sampled_from([255 - int(patch[0, 0, 0]), 127]))
    assert read_code(image) is None


@pytest.mark.parametrize("level", [0, 127, 255])
def test_plain_pictures_have_no_code(level: int) -> None:
    assert read_code(np.full((128, 128, 3), level, np.uint8)) is None


def test_noise_has_no_code() -> None:
    noise = np.random.default_rng(3).choice(np.array([0, 255], np.uint8), (200, 16, 12))
    pictures = (cells.repeat(8, 0).repeat(8, 1)[..., None].repeat(3, 2) for cells in noise)
    assert all(read_code(picture) is None for picture in pictures)


def test_two_frames_blended_have_no_code() -> None:
    mean = coded_picture(1) // 2 + coded_picture(2) // 2
    assert read_code(mean) is None


def test_what_cannot_be_coded_is_refused() -> None:
    with pytest.raises(UsageError, match="no room"):
        stamp(np.zeros((48, 64, 3), np.uint8), 1)
    with pytest.raises(UsageError, match="cannot be coded"):
        stamp(np.zeros((64, 64, 3), np.uint8), 2**32)
    assert read_code(np.zeros((48, 5, 3), np.uint8)) is None
    with pytest.raises(UsageError, match="no room"):
        stamp(np.zeros((2000, 5, 3), np.uint8), 1)


def test_the_source_keeps_its_rate_and_goes_on_counting_when_it_is_opened_anew() -> None:
    with VirtualClock() as clock:
        spec = coded_spec(clock, fps=4, frames=5, stream=7)
        times = []
        for _ in range(2):
            source = spec.make()
            assert source.live and source.open().size == Size(64, 64)
            while (captured := source.read()) is not None:
                assert read_code(captured.image) == Code(len(times), 7) and captured.t_source == len(times) / 4
                times.append(clock.now())
                if len(times) == 2:
                    break
            source.close()
        assert times == [0.25, 0.5, 0.75, 1.0, 1.25]
        played = coded_spec(clock, frames=3, live=False).make()
        played.open()
        assert [played.read() is None for _ in range(4)] == [False, False, False, True] and clock.now() == 1.25


def test_the_sink_tells_every_fault() -> None:
    sink = CodedSink(fps=30)

    def write(image: Picture, t_source: float | None) -> None:
        frame = Frame(0, 0, 1.0, t_source, image)
        sink.write(image, Result(image, frame, 1.25))

    write(coded_picture(0), 0.0)
    write(coded_picture(3), 0.1)
    assert (sink.faults, sink.missing, sink.oldest_ms) == (0, 2, 250.0)
    write(coded_picture(3), 0.1)
    write(coded_picture(2), 2 / 30)
    write(coded_picture(4, stream=1), 4 / 30)
    write(np.zeros((64, 64, 3), np.uint8), 4 / 30)
    write(coded_picture(4), 5 / 30)
    assert (sink.duplicates, sink.reordered, sink.foreign, sink.torn, sink.mixed) == (1, 1, 1, 1, 1)
    assert (sink.faults, sink.missing, sink.received, sink.last) == (5, 2, 7, 4)
