"""What is nearly the same frame, and what is a blank one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_i2i.collect.features import FEATURE_COUNT, NEAR_DUPLICATE_DISTANCE, frame_features, is_blank
from samples.pictures import soft_shapes


def distance(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(frame_features(one) - frame_features(other)))


def noisy(picture: np.ndarray, levels: float) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, levels, picture.shape)
    return np.clip(picture + noise, 0, 255).round().astype(np.uint8)


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize(
    "alter",
    [
        lambda picture: picture,
        lambda picture: as_jpeg(picture, 50),
        lambda picture: noisy(picture, 4),
        lambda picture: np.clip(picture * 1.03, 0, 255).astype(np.uint8),
        lambda picture: cv2.resize(picture, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR),
    ],
    ids=["same", "compressed", "noise", "exposure", "size"],
)
def test_the_same_view_again_is_a_near_duplicate(alter) -> None:
    for seed in range(5):
        assert distance(soft_shapes(seed, 90, 160), alter(soft_shapes(seed, 90, 160))) <= NEAR_DUPLICATE_DISTANCE


@pytest.mark.parametrize(
    "alter",
    [
        lambda picture: np.roll(picture, 16, axis=1),
        lambda picture: picture[:, ::-1],
        lambda picture: (picture * 0.6).astype(np.uint8),
        lambda picture: picture[..., ::-1],
    ],
    ids=["panned", "mirrored", "darker", "other colours"],
)
def test_another_view_is_not(alter) -> None:
    for seed in range(5):
        view = soft_shapes(seed, 90, 160)
        assert distance(view, np.ascontiguousarray(alter(view))) > 2 * NEAR_DUPLICATE_DISTANCE


def test_texture_counts_where_the_colours_agree() -> None:
    upright = np.zeros((128, 128, 3), np.uint8)
    upright[:, ::4] = upright[:, 1::4] = 255
    lying = np.ascontiguousarray(upright.transpose(1, 0, 2))
    assert distance(upright, lying) > 5 * NEAR_DUPLICATE_DISTANCE


def test_black_is_one_from_white() -> None:
    black, white = np.zeros((40, 40, 3), np.uint8), np.full((40, 40, 3), 255, np.uint8)
    assert distance(black, white) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (64, 64), (17, 9)])
def test_a_frame_of_any_size_has_features(size: tuple[int, int]) -> None:
    features = frame_features(soft_shapes(1, *size))
    assert features.shape == (FEATURE_COUNT,) and features.dtype == np.float32 and np.isfinite(features).all()


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (30, 200, 90)])
@pytest.mark.parametrize("levels", [0, 5])
def test_a_single_colour_is_blank_with_and_without_noise(colour: tuple[int, int, int], levels: int) -> None:
    assert is_blank(noisy(np.full((240, 320, 3), colour, np.uint8), levels))


def test_faint_and_fine_pictures_are_not_blank() -> None:
    checks = np.indices((256, 256)).sum(axis=0) % 2 * 255
    assert not is_blank(np.repeat(checks[..., None], 3, axis=2).astype(np.uint8))
    fog = 200 + soft_shapes(3, 90, 160).astype(np.int64) // 20
    assert not is_blank(fog.astype(np.uint8))
    assert not is_blank(soft_shapes(2, 90, 160))
