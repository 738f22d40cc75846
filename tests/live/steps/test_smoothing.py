"""Flicker on a still scene falls by half or more, what moves leaves no ghost, and nothing is carried over a break."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_i2i.arrays import Picture
from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.steps.smoothing import SmoothedProcess, SmoothingOptions
from samples.pictures import FunctionProcess, frame, scene

SIZE = (96, 160)


def noisy(picture: Picture, seed: int, deviation: float = 5.0) -> Picture:
    grain = np.random.default_rng(seed).normal(0, deviation, picture.shape)
    return np.clip(picture + grain, 0, 255).round().astype(np.uint8)


def flickering(image: Picture) -> Picture:
    """A network that answers noise with twice the noise: contrast around the local mean."""
    blurred = cv2.blur(image, (9, 9)).astype(float)
    return np.clip(blurred + 2 * (image - blurred), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("deviation", [3.0, 5.0, 8.0])
def test_flicker_on_a_still_scene_falls_by_half(deviation: float) -> None:
    frames = [frame(noisy(scene(*SIZE), seq, deviation), seq) for seq in range(40)]
    plain, smooth = FunctionProcess(flickering), SmoothedProcess(FunctionProcess(flickering))
    before = np.stack([plain(item).image for item in frames])[10:].std(axis=0).mean()
    after = np.stack([smooth(item).image for item in frames])[10:].std(axis=0).mean()
    assert after <= 0.5 * before


def test_the_mean_stays_where_it_is() -> None:
    frames = [frame(noisy(scene(*SIZE), seq), seq) for seq in range(40)]
    smooth = SmoothedProcess(FunctionProcess(lambda image: image))
    results = np.stack([smooth(item).image for item in frames])[10:].mean(axis=0)
    truth = np.stack([item.image for item in frames])[10:].mean(axis=0)
    assert np.abs(results - truth).mean() < 0.5


def with_square(left: int, *, seed: int) -> Picture:
    picture = scene(*SIZE)
    picture[30:54, left : left + 24] = (250, 250, 250)
    return noisy(picture, seed, 3.0)


@pytest.mark.parametrize("step", [2, 5, 16])
def test_what_moves_leaves_no_ghost(step: int) -> None:
    """Where the square was one frame ago and is no more, the result is the network's own, not a mixture."""
    smooth = SmoothedProcess(FunctionProcess())
    lefts = [20] * 10 + [20 + step * number for number in range(1, 6)]
    for seq, left in enumerate(lefts):
        given = frame(with_square(left, seed=seq), seq)
        result = smooth(given).image.astype(int)
        if seq > 10:
            left_behind = slice(lefts[seq - 1], left)
            ghost = np.abs(result - (255 - given.image.astype(int)))[32:52, left_behind]
            assert ghost.max() <= 1
            assert np.abs(result - (255 - given.image.astype(int)))[32:52, left : left + 24].max() <= 1


def test_a_slow_drift_does_not_lag_behind() -> None:
    """Steps too small to be seen from frame to frame add up, because frames are compared with what is remembered."""
    smooth = SmoothedProcess(FunctionProcess(lambda image: image))
    for seq in range(100):
        given = frame(np.full((*SIZE, 3), 50 + seq, np.uint8), seq)
        lag = np.abs(smooth(given).image.astype(int) - given.image.astype(int)).max()
        assert lag <= SmoothingOptions().moved


def still(value: int) -> Picture:
    return np.full((*SIZE, 3), value, np.uint8)


def outputs(values: list[int]) -> FunctionProcess:
    """A network that gives flat pictures of these grey levels, one after the other."""
    left = iter(values)
    return FunctionProcess(lambda image: np.full_like(image, next(left)))


def test_nothing_is_carried_over_a_new_epoch_another_size_a_look_or_a_cut() -> None:
    smooth = SmoothedProcess(outputs([100, 200, 100, 200, 100, 200, 100]))
    assert smooth(frame(still(80), 0)).image[0, 0, 0] == 100
    assert 100 < smooth(frame(still(80), 1)).image[0, 0, 0] < 150  # the same scene: blended
    assert smooth(frame(still(80), 2, epoch=1)).image[0, 0, 0] == 100
    assert smooth(frame(np.full((48, 80, 3), 80, np.uint8), 3, epoch=1)).image[0, 0, 0] == 200
    smooth.condition(style_seed=1)
    assert smooth(frame(np.full((48, 80, 3), 80, np.uint8), 4, epoch=1)).image[0, 0, 0] == 100
    assert smooth(frame(np.full((48, 80, 3), 160, np.uint8), 5, epoch=1)).image[0, 0, 0] == 200  # a cut
    assert 160 < smooth(frame(np.full((48, 80, 3), 160, np.uint8), 6, epoch=1)).image[0, 0, 0] < 200


def test_a_result_of_another_size_begins_anew() -> None:
    sizes = iter([1, 2, 2])
    smooth = SmoothedProcess(FunctionProcess(lambda image: image[:: next(sizes)]))
    assert [smooth(frame(still(80), seq)).image.shape[0] for seq in range(3)] == [96, 48, 48]


def test_results_that_were_given_out_are_not_written_to() -> None:
    smooth = SmoothedProcess(FunctionProcess())
    given = [smooth(frame(noisy(scene(*SIZE), seq), seq)).image for seq in range(3)]
    copies = [image.copy() for image in given]
    smooth(frame(noisy(scene(*SIZE), 9), 9))
    assert all(np.array_equal(image, copy) for image, copy in zip(given, copies, strict=True))


def test_an_error_of_the_network_passes_through_and_the_next_frame_is_translated() -> None:
    inner = FunctionProcess()
    smooth = SmoothedProcess(inner)
    smooth(frame(still(10), 0))
    inner.failing = EdgeI2IError("once")
    with pytest.raises(EdgeI2IError, match="once"):
        smooth(frame(still(10), 1))
    assert smooth(frame(still(10), 2)).image[0, 0, 0] == 245


@pytest.mark.parametrize("values", [{"share": 1.0}, {"share": 0.0}, {"moved": 0.0}, {"cut": 0.0}])
def test_options_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="out of range"):
        SmoothingOptions(**values)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (7, 7, 3)])
def test_pictures_of_a_cell_or_less_are_smoothed_too(shape: tuple[int, ...]) -> None:
    smooth = SmoothedProcess(FunctionProcess())
    for seq in range(3):
        assert smooth(frame(np.full(shape, 9, np.uint8), seq)).image.shape == shape
