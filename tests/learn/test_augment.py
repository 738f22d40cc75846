from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.learn.augment import camera_noise, random_light, random_tint, random_view
from edge_i2i.learn.recipe import AugmentSection
from samples.pictures import noise

RANGES = AugmentSection()
STILL = AugmentSection(
    scale=(1.0, 1.0),
    rotation_degrees=0.0,
    flip=0.0,
    gamma=(1.0, 1.0),
    contrast=(1.0, 1.0),
    brightness=0.0,
    white_balance=0.0,
    saturation=(1.0, 1.0),
    hue_degrees=0.0,
    any_hue=0.0,
    defocus=0.0,
    noise=0.0,
)


@settings(max_examples=40, deadline=None)
@given(st.integers(16, 90), st.integers(16, 90), st.integers(8, 96), st.integers(0, 2**32 - 1))
def test_a_view_has_the_side_asked_for_whatever_the_photograph(height: int, width: int, side: int, seed: int) -> None:
    view = random_view(noise(height, width), side, RANGES, np.random.default_rng(seed))
    assert view.shape == (side, side, 3)
    assert view.dtype == np.uint8
    assert view.flags["C_CONTIGUOUS"]


def test_without_movement_a_view_is_a_crop() -> None:
    photograph = noise(64, 64)
    view = random_view(photograph, 64, STILL, np.random.default_rng(0))
    assert np.array_equal(view, photograph)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_light_is_a_function_of_the_seed_and_keeps_the_shape(seed: int) -> None:
    picture = noise(16, 20)
    first, second = (random_light(picture, RANGES, np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == picture.shape


def test_no_light_change_keeps_every_grey_level_within_one() -> None:
    picture = noise(32, 32)
    same = random_light(picture, STILL, np.random.default_rng(0))
    assert np.abs(same.astype(int) - picture).max() <= 1


def test_a_tint_gives_equal_greys_equal_colours() -> None:
    grey = np.repeat(noise(16, 16)[..., :1], 3, axis=2)
    tinted = random_tint(grey, np.random.default_rng(3))
    first, second = np.argwhere(grey[..., 0] == grey[0, 0, 0])[[0, -1]]
    assert np.array_equal(tinted[tuple(first)], tinted[tuple(second)])
    assert np.ptp(tinted.astype(int), axis=2).max() > 0


def test_noise_leaves_its_input_alone() -> None:
    picture = noise(16, 16)
    before = picture.copy()
    noisy = camera_noise(picture, RANGES.model_copy(update={"noise": 1.0}), np.random.default_rng(1))
    assert np.array_equal(picture, before)
    assert not np.array_equal(noisy, picture)
    assert camera_noise(picture, STILL, np.random.default_rng(1)) is picture
