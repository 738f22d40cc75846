"""From the network's size to the camera's: what changed follows the camera's edges, and no size is left out."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.live.model.upsampling import Upsampling, guided, lifted
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.metrics.decibels import psnr_of_error
from samples.pictures import noise, scene

FULL, SMALL = Size(360, 640), Size(90, 160)


def laid(frame: np.ndarray, model: Size, fit: Fit) -> tuple[np.ndarray, object]:
    placement = place(Size(*frame.shape[:2]), model, fit)
    target = np.zeros((model.height, model.width, 3), np.uint8)
    place_into(frame, placement, target)
    return target, placement


def recoloured(picture: np.ndarray) -> np.ndarray:
    """A look whose change has the edges of the picture: other colours, more contrast."""
    mixed = picture.astype(float) @ np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.2], [0.1, 0.3, 0.9]]).T
    return np.clip(1.2 * mixed - 20, 0, 255).astype(np.uint8)


def psnr(first: np.ndarray, second: np.ndarray, where: np.ndarray | None = None) -> float:
    squares = np.square(first.astype(float) - second.astype(float))
    return psnr_of_error(float((squares if where is None else squares[where]).mean()), 255)


def near_edges(picture: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    return cv2.dilate(cv2.Canny(grey, 100, 200), np.ones((7, 7), np.uint8)) > 0


@pytest.mark.parametrize(("height", "gain"), [(360, 2.5), (720, 2.5)])
def test_guided_keeps_edges_that_cubic_blurs(height: int, gain: float) -> None:
    """The truth is known: a recolouring of the full picture; the network gives it at a quarter of the size or less."""
    full = scene(height, height * 16 // 9)
    truth = recoloured(full)
    source, placement = laid(full, SMALL, Fit.LETTERBOX)
    result, _ = laid(truth, SMALL, Fit.LETTERBOX)
    edges = near_edges(full)
    score = {how: lifted(result, source, full, placement, how) for how in Upsampling if how is not Upsampling.NONE}
    at_edges = {how: psnr(picture, truth, edges) for how, picture in score.items()}
    assert at_edges[Upsampling.GUIDED] > at_edges[Upsampling.CUBIC] + gain
    assert psnr(score[Upsampling.GUIDED], truth) > psnr(score[Upsampling.CUBIC], truth) + gain


def test_guided_is_exact_for_the_identity_and_for_a_constant_change() -> None:
    full = noise(120, 200)
    source = cv2.resize(full, (50, 30), interpolation=cv2.INTER_AREA)
    assert np.array_equal(guided(source, source, full), full)
    brighter = np.clip(source.astype(int) + 20, 0, 255).astype(np.uint8)
    lifted_up = guided(source, brighter, full).astype(int)
    assert np.abs(lifted_up - np.clip(full.astype(int) + 20, 0, 255)).max() <= 1


def test_guided_on_a_flat_guide_is_as_smooth_as_the_change_itself() -> None:
    """What the network draws where the camera shows nothing: enlarged, without ringing."""
    full = np.full((128, 128, 3), 100, np.uint8)
    source = np.full((32, 32, 3), 100, np.uint8)
    result = source.copy()
    result[8:24, 8:24] = 180
    picture = guided(source, result, full)
    assert picture[64, 64, 0] == 180 and picture[2, 2, 0] == 100
    assert picture.min() >= 100 and picture.max() <= 180


sides = st.integers(1, 60)


@settings(max_examples=60, deadline=None)
@given(
    source=st.builds(Size, sides, sides),
    model=st.builds(Size, sides, sides),
    fit=st.sampled_from(list(Fit)),
    how=st.sampled_from(list(Upsampling)),
)
def test_every_size_and_fit_comes_back_in_the_promised_size(
    source: Size, model: Size, fit: Fit, how: Upsampling
) -> None:
    full = noise(source.height, source.width)
    staged, placement = laid(full, model, fit)
    wanted = placement.result_size(keep_size=how is not Upsampling.NONE)
    result = lifted(255 - staged, staged, full, placement, how)
    assert result.shape == (wanted.height, wanted.width, 3) and result.dtype == np.uint8


@pytest.mark.parametrize("how", [Upsampling.LINEAR, Upsampling.CUBIC, Upsampling.GUIDED])
def test_nothing_is_shifted_or_darkened(how: Upsampling) -> None:
    """A ramp comes back as the same ramp, of an identity network."""
    columns = np.linspace(50, 200, 400)[None, :, None].repeat(300, axis=0).repeat(3, axis=2)
    full = columns.round().astype(np.uint8)
    source, placement = laid(full, Size(75, 100), Fit.STRETCH)
    back = lifted(source, source, full, placement, how)
    assert np.abs(back.astype(int) - full.astype(int))[:, 8:-8].max() <= 1


def test_a_camera_smaller_than_the_network_gets_averages(how: Upsampling = Upsampling.GUIDED) -> None:
    full = scene(45, 80)
    source, placement = laid(full, SMALL, Fit.LETTERBOX)
    checkers = np.indices((90, 160)).sum(axis=0) % 2 * 255
    result = checkers[..., None].repeat(3, axis=2).astype(np.uint8)
    assert np.abs(lifted(result, source, full, placement, how).astype(int) - 127).max() <= 1
