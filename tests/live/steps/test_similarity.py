"""Frames that show the same are not translated again; anything that could change the result is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.arrays import Picture
from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.frame import Origin
from edge_i2i.live.steps.similarity import SimilarityOptions, SimilarityProcess
from samples.pictures import FunctionProcess, frame, scene

SIZE = (180, 320)


def noisy(seed: int, picture: Picture | None = None) -> Picture:
    picture = scene(*SIZE) if picture is None else picture
    grain = np.random.default_rng(seed).normal(0, 5, picture.shape)
    return np.clip(picture + grain, 0, 255).round().astype(np.uint8)


def origins(process: SimilarityProcess, frames: list) -> list[Origin]:
    return [process(item).origin for item in frames]


def test_a_still_scene_is_translated_every_quarter_of_a_second_only() -> None:
    inner = FunctionProcess()
    process = SimilarityProcess(inner)
    given_origins = origins(process, [frame(noisy(seq), seq) for seq in range(48)])
    assert len(inner.seen) <= 0.5 * 48
    translated = [seq for seq, origin in enumerate(given_origins) if origin is Origin.TRANSLATED]
    assert translated == list(range(0, 48, 8))  # 8 frames at 30 fps: the first after 250 ms
    assert max(np.diff([item.t_capture for item in inner.seen])) <= 0.25 + 1 / 30


@given(st.lists(st.floats(0.001, 0.6), min_size=1, max_size=40), st.floats(10, 500))
def test_no_result_is_reused_beyond_its_age(intervals: list[float], max_age_ms: float) -> None:
    inner = FunctionProcess()
    process = SimilarityProcess(inner, SimilarityOptions(max_age_ms=max_age_ms))
    still = np.full((36, 64, 3), 70, np.uint8)
    now = 0.0
    for number, interval in enumerate([0.0, *intervals]):
        now += interval
        process(frame(still, number, fps=number / now if number and now else 1.0))
        assert now - inner.seen[-1].t_capture <= max_age_ms / 1e3 + 1e-9


def test_a_reused_result_is_the_same_picture_and_costs_no_model() -> None:
    process = SimilarityProcess(FunctionProcess())
    first, second = process(frame(noisy(0), 0)), process(frame(noisy(1), 1))
    assert second.image is first.image and second.origin is Origin.REUSED
    assert first.seconds["model"] == 2.0 and set(second.seconds) == {"prepare"}


def test_something_that_moves_is_translated() -> None:
    pictures = []
    for seq in range(8):
        picture = scene(*SIZE)
        picture[60:100, 40 + 40 * seq : 70 + 40 * seq] = 250  # a sixtieth of the picture
        pictures.append(frame(noisy(seq, picture), seq))
    assert set(origins(SimilarityProcess(FunctionProcess()), pictures)) == {Origin.TRANSLATED}


def test_what_changes_slowly_adds_up() -> None:
    """Frames are compared with the one that was translated, not with the one before."""
    inner = FunctionProcess()
    process = SimilarityProcess(inner, SimilarityOptions(max_age_ms=1e6))
    for seq in range(60):
        process(frame(np.full((*SIZE, 3), 60 + seq, np.uint8), seq))
        assert abs(60 + seq - int(inner.seen[-1].image[0, 0, 0])) <= 2  # 42 dB


def test_never_after_a_look_a_new_epoch_another_size_or_a_jump_back() -> None:
    still = np.full((*SIZE, 3), 70, np.uint8)
    process = SimilarityProcess(FunctionProcess())
    process(frame(still, 0))
    process.condition(style_seed=3)
    assert process(frame(still, 1)).origin is Origin.TRANSLATED
    assert process(frame(still, 2)).origin is Origin.REUSED
    assert process(frame(still, 3, epoch=1)).origin is Origin.TRANSLATED
    assert process(frame(still[::2], 4, epoch=1)).origin is Origin.TRANSLATED
    assert process(frame(still[::2], 1, epoch=1)).origin is Origin.TRANSLATED


def test_a_failure_is_not_reused() -> None:
    inner = FunctionProcess()
    process = SimilarityProcess(inner, SimilarityOptions(max_age_ms=10))
    still = np.full((*SIZE, 3), 70, np.uint8)
    process(frame(still, 0))
    inner.failing = EdgeI2IError("once")
    with pytest.raises(EdgeI2IError, match="once"):
        process(frame(still, 1))
    assert process(frame(still, 2)).origin is Origin.TRANSLATED


@pytest.mark.parametrize("values", [{"psnr_db": 0}, {"psnr_db": float("nan")}, {"max_age_ms": -1}])
def test_options_out_of_range_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        SimilarityOptions(**values)
