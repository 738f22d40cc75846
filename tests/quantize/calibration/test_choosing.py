"""Which pictures are taken, what is held out, views in a mirror, and what stays in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.quantize.calibration.choosing import split, spread_order
from edge_i2i.quantize.calibration.samples import LazySamples
from edge_i2i.quantize.calibration.scenes import HeldScene, MirroredScene


@given(count=st.integers(1, 400), held_out=st.integers(2, 20))
def test_the_split_never_overlaps_and_leaves_nothing_out(count: int, held_out: int) -> None:
    ranges, judged = split(count, held_out)
    assert sorted(ranges + judged) == list(range(count))
    assert len(judged) == (0 if count < 4 else len(set(judged)))
    assert count < 4 or 2 <= len(judged) <= max(2, count // 4)
    assert len(ranges) >= min(count, 2)


@given(count=st.integers(1, 400), want=st.integers(1, 100))
def test_the_order_is_even_first_and_takes_everything_once(count: int, want: int) -> None:
    order = spread_order(count, want)
    assert sorted(order) == list(range(count))
    first = sorted(order[: min(want, count)])
    gaps = np.diff(first)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_a_mirrored_scenes_boxes_go_with_its_picture() -> None:
    frame = np.zeros((32, 48, 3), np.uint8)
    frame[8:16, 6:30] = 255
    boxes = np.array([[6, 8, 30, 16], [0, 0, 4, 3], [0, 0, 0, 0]], np.float32)
    scene = HeldScene("scene", {"frame": frame, "boxes": boxes})
    for zoomed, expected in ((False, [[18, 8, 42, 16], [44, 0, 48, 3]]), (True, [[12, 4, 36, 12], [0, 0, 0, 0]])):
        seen = MirroredScene(scene, zoomed).read()
        assert seen["boxes"].tolist() == [*expected, [0, 0, 0, 0]]
        left, top, right, bottom = expected[0]
        assert (seen["frame"][top:bottom, left:right] == 255).all()
        assert seen["frame"].sum() == frame.sum()


def test_only_what_fits_is_kept_in_memory() -> None:
    made: list[Any] = []

    def compute(number: Any) -> dict[str, np.ndarray]:
        made.append(number)
        return {"x": np.full(100, number, np.uint8)}

    samples = LazySamples([0, 1, 2, 3], compute, kept_bytes=250)
    for _ in range(3):
        assert [int(sample["x"][0]) for sample in samples] == [0, 1, 2, 3]
    assert made == [0, 1, 2, 3, 2, 3, 2, 3]
    assert int(samples[-1]["x"][0]) == 3 and [int(sample["x"][0]) for sample in samples[1:3]] == [1, 2]
    with pytest.raises(IndexError):
        samples[4]
