"""A part of the frame: outside stays to the bit, inside is the network's, and no edge is seen between."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.live.steps.region import Region, RegionProcess, pasted
from edge_i2i.media.geometry import Rectangle
from samples.pictures import FunctionProcess, frame, noise


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("320,0,640,720", Region(320, 0, 640, 720)),
        ("0.25,0,0.5,1", Region(0.25, 0, 0.5, 1, relative=True)),
        (" .25 , 0.1,.5,0.9 ", Region(0.25, 0.1, 0.5, 0.9, relative=True)),
        ("0,0,1,1", Region(0, 0, 1, 1, relative=True)),
    ],
)
def test_pixels_and_fractions_are_told_apart(text: str, region: Region) -> None:
    assert Region.parse(text) == region


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "-1,0,5,5", "0.5,0,320,240", "0,0,0,5", "1e3,0,1,1"]
)
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Region.parse(text)
    assert "x,y,w,h" in caught.value.remedy


@given(st.text(max_size=30))
def test_any_text_is_a_region_or_refused(text: str) -> None:
    try:
        region = Region.parse(text)
    except UsageError:
        return
    assert region.width > 0 and region.height > 0


numbers = st.floats(0, 200, allow_nan=False)


@given(
    numbers, numbers, st.floats(0.01, 300), st.floats(0.01, 300), st.booleans(), st.integers(1, 90), st.integers(1, 90)
)
def test_regions_are_clipped_to_the_frame(
    left: float, top: float, width: float, height: float, relative: bool, rows: int, columns: int
) -> None:
    region, size = Region(left, top, width, height, relative), Size(rows, columns)
    try:
        place = region.within(size)
    except PictureError:
        return
    assert 0 <= place.left < place.left + place.size.width <= columns
    assert 0 <= place.top < place.top + place.size.height <= rows


def test_a_region_outside_of_the_frame_is_an_error_that_says_so() -> None:
    process = RegionProcess(FunctionProcess(), Region(500, 0, 10, 10))
    with pytest.raises(PictureError, match="lies in a frame of 60x80"):
        process(frame(noise(60, 80)))


@settings(max_examples=60, deadline=None)
@given(
    left=st.integers(0, 50),
    top=st.integers(0, 50),
    width=st.integers(1, 80),
    height=st.integers(1, 80),
    feather=st.floats(0, 0.5),
)
def test_outside_is_the_frame_and_between_lies_between(
    left: int, top: int, width: int, height: int, feather: float
) -> None:
    picture = noise(60, 80)
    before = picture.copy()
    place = Region(left, top, width, height).within(Size(60, 80))
    patch = 255 - np.ascontiguousarray(place.of(picture))
    result = pasted(patch, picture, place, feather)
    assert np.array_equal(picture, before) and not np.shares_memory(result, picture)
    outside = np.ones((60, 80), bool)
    outside[place.top : place.top + place.size.height, place.left : place.left + place.size.width] = False
    assert np.array_equal(result[outside], picture[outside])
    inside, was = place.of(result).astype(int), place.of(picture).astype(int)
    low, high = np.minimum(was, patch), np.maximum(was, patch)
    assert (inside >= low - 1).all() and (inside <= high + 1).all()


def test_the_edge_is_a_raised_cosine_and_the_middle_is_the_networks() -> None:
    black, white = np.zeros((100, 100, 3), np.uint8), np.full((60, 60, 3), 255, np.uint8)
    result = pasted(white, black, Rectangle(20, 20, Size(60, 60)), 0.25)  # 15 pixels
    profile = result[50, 20:80, 0].astype(float) / 255
    expected = 0.5 - 0.5 * np.cos(np.pi * (np.arange(15) + 0.5) / 15)
    assert np.abs(profile[:15] - expected).max() <= 1 / 255
    assert (profile[15:45] == 1).all() and np.allclose(profile, profile[::-1])


def test_a_side_at_the_frames_border_stays_hard() -> None:
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 20, 3), 255, np.uint8)
    result = pasted(white, black, Rectangle(0, 0, Size(40, 20)), 0.25)
    assert (result[:, :15] == 255).all() and result[20, 19, 0] < 40
    whole = pasted(noise(40, 40), black, Rectangle(0, 0, Size(40, 40)), 0.25)
    assert np.array_equal(whole, noise(40, 40))


def test_the_network_sees_the_region_only_and_the_rest_is_passed_on() -> None:
    inner = FunctionProcess()
    process = RegionProcess(inner, Region(10, 5, 20, 30), feather=0)
    given_frame = frame(noise(60, 80), seq=7, epoch=3)
    done = process(given_frame)
    seen = inner.seen[0]
    assert seen.image.shape == (30, 20, 3) and (seen.seq, seen.epoch) == (7, 3)
    assert np.array_equal(done.image[5:35, 10:30], 255 - given_frame.image[5:35, 10:30])
    assert done.seconds["model"] == 2.0 and done.seconds["finish"] >= 3.0
    process.condition(style_seed=1)
    process.close()
    assert inner.looks == [{"style_seed": 1}] and inner.closed == 1
    assert (process.engine, process.effective_precision) == ("fake", "fp32")


def test_a_result_of_another_size_is_refused() -> None:
    process = RegionProcess(FunctionProcess(lambda image: image[::2, ::2]), Region(0, 0, 20, 20))
    with pytest.raises(UsageError, match="10x10 cannot be pasted back into a region of 20x20"):
        process(frame(noise(60, 80)))
