"""A panned picture does not flicker by itself, whatever its size, way and step; what a network adds is measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.metrics.flicker import PanningClip, flicker_ratio, pan_clip, warp_error
from samples.pictures import noise

STEPS = st.tuples(st.integers(-5, 5), st.integers(-5, 5))
SIDES = st.integers(1, 60)


def normalised(frame: np.ndarray) -> np.ndarray:
    """A network that flickers: like instance norm, it depends on all that the crop shows."""
    return (frame - frame.mean()) / frame.std()


@given(SIDES, SIDES, st.integers(14, 24), st.integers(14, 24), STEPS, st.integers(2, 4), st.integers(0, 999))
def test_the_panned_picture_itself_does_not_flicker(
    height: int, width: int, rows: int, columns: int, step: tuple[int, int], count: int, seed: int
) -> None:
    clip = pan_clip(noise(height, width, seed=seed), Size(rows, columns), step, count)
    assert [frame.shape for frame in clip.frames] == [(rows, columns, 3)] * count
    assert all(frame.dtype == np.uint8 and frame.flags.c_contiguous for frame in clip.frames)
    assert warp_error(clip) == 0
    assert warp_error(clip.through(lambda frame: 255 - frame // 2)) == 0
    assert flicker_ratio(clip, clip) == 1


@given(SIDES, SIDES, STEPS, st.integers(0, 999))
def test_a_map_of_ids_pans_with_its_picture(height: int, width: int, step: tuple[int, int], seed: int) -> None:
    ids = np.random.default_rng(seed).integers(0, 40_000, (height, width), np.int32)
    picture = np.stack([ids % 256, ids // 256, ids % 7], axis=2).astype(np.uint8)
    of_ids, of_picture = pan_clip(ids, Size(16, 20), step), pan_clip(picture, Size(16, 20), step)
    for frame, shown in zip(of_ids.frames, of_picture.frames, strict=True):
        assert frame.dtype == np.int32 and set(frame.ravel()) <= set(ids.ravel())
        assert np.array_equal(np.stack([frame % 256, frame // 256, frame % 7], axis=2), shown)


def test_the_way_lies_in_the_middle_of_a_large_picture() -> None:
    picture = np.arange(40 * 50).reshape(40, 50)
    clip = pan_clip(picture, Size(10, 10), (5, -10), 3)
    corners = [divmod(int(frame[0, 0]), 50) for frame in clip.frames]
    assert corners == [(10, 30), (15, 20), (20, 10)]


def test_a_picture_of_the_networks_size_is_reflected_outwards() -> None:
    picture = np.tile(np.arange(20), (20, 1))
    clip = pan_clip(picture, Size(20, 20), (0, 2), 2)
    assert clip.frames[0][0].tolist() == [1, *range(19)]
    assert clip.frames[1][0].tolist() == [*range(1, 20), 18]


def test_a_pan_is_measured_where_both_frames_look() -> None:
    """The second frame shows the scene 3 further down and 2 to the left; elsewhere it differs, which must not count."""
    first, second = noise(30, 30), noise(30, 30, seed=1)
    second[:27, 2:] = first[3:, :28]
    clip = PanningClip((first, second), (3, -2))
    assert warp_error(clip) == 0
    assert warp_error(PanningClip((first, second), (2, -2))) > 0


def test_four_pixels_of_every_border_do_not_count() -> None:
    clip = pan_clip(noise(40, 40), Size(30, 30), (2, 1), 3)

    def with_bad_border(frame: np.ndarray) -> np.ndarray:
        bad = noise(*frame.shape[:2], seed=int(frame.sum()))
        bad[4:-4, 4:-4] = frame[4:-4, 4:-4]
        return bad

    assert warp_error(clip.through(with_bad_border)) == 0


def test_a_translation_that_depends_on_the_whole_crop_flickers() -> None:
    clip = pan_clip(noise(60, 60), Size(32, 32), (8, 8))
    plain = clip.through(normalised)
    rng = np.random.default_rng(4)
    noisy = plain.through(lambda frame: frame + rng.normal(0, 0.05, frame.shape))
    assert warp_error(plain, data_range=2) > 0
    assert flicker_ratio(noisy, plain) > 1.05


def test_the_error_is_of_pictures_scaled_to_one() -> None:
    grey = PanningClip((np.full((20, 20), 10, np.uint8), np.full((20, 20), 61, np.uint8)), (1, 1))
    floats = grey.through(lambda frame: frame.astype(np.float32) / 127.5 - 1)
    assert warp_error(grey) == pytest.approx(0.04)
    assert warp_error(floats, data_range=2) == pytest.approx(0.04)


def test_a_reference_that_does_not_flicker() -> None:
    still = PanningClip((np.zeros((20, 20)),) * 2, (0, 0))
    restless = PanningClip((np.zeros((20, 20)), np.ones((20, 20))), (0, 0))
    broken = PanningClip((np.zeros((20, 20)), np.full((20, 20), math.nan)), (0, 0))
    assert flicker_ratio(still, still) == 1
    assert flicker_ratio(restless, still) == math.inf
    assert math.isnan(flicker_ratio(broken, still)) and math.isnan(flicker_ratio(broken, restless))


def test_what_is_no_clip_is_refused() -> None:
    with pytest.raises(UsageError, match="1 frames"):
        pan_clip(noise(20, 20), Size(16, 16), (1, 1), 1)
    with pytest.raises(PictureError, match=r"\[H, W\]"):
        pan_clip(np.zeros((0, 4)), Size(16, 16))
    with pytest.raises(PictureError, match="two frames"):
        warp_error(PanningClip((np.zeros((20, 20)),), (1, 1)))
    with pytest.raises(PictureError, match="one size"):
        warp_error(PanningClip((np.zeros((20, 20)), np.zeros((20, 21))), (1, 1)))
    with pytest.raises(PictureError, match="19x9 at least"):
        warp_error(pan_clip(noise(40, 40), Size(18, 18), (10, 0)))


def test_clips_that_cannot_be_compared_are_refused() -> None:
    clip = pan_clip(noise(40, 40), Size(20, 20), (1, 1), 3)
    for other in (pan_clip(noise(40, 40), Size(20, 20), (1, 2), 3), pan_clip(noise(40, 40), Size(20, 20), (1, 1), 2)):
        with pytest.raises(PictureError, match="cannot be compared"):
            flicker_ratio(clip, other)
