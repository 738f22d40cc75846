"""Farthest-point sampling and the reservoir, on points of all kinds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from edge_i2i.collect.diversity import EvenSample, Novelty, Reservoir, farthest_points, nearest_distances

# Few different coordinates, so that ties and repeated points are common.
clouds = st.integers(1, 30).flatmap(
    lambda size: arrays(np.float32, (size, 3), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, 7.0]))
)


def radius(points: np.ndarray, chosen: list[int]) -> float:
    return float(nearest_distances(points, points[chosen]).max())


@given(clouds, st.integers(1, 40))
def test_chosen_points_are_distinct_and_as_many_as_asked(points: np.ndarray, count: int) -> None:
    chosen = farthest_points(points, count)
    assert len(chosen) == len(set(chosen)) == min(count, len(points))
    if count >= len(points):
        assert sorted(chosen) == list(range(len(points)))


@given(clouds, st.integers(1, 10), st.randoms(use_true_random=False))
def test_the_order_of_the_points_does_not_matter(points: np.ndarray, count: int, random: np.random.Generator) -> None:
    order = list(range(len(points)))
    random.shuffle(order)
    shuffled = points[order]
    chosen, again = farthest_points(points, count), farthest_points(shuffled, count)
    assert radius(points, chosen) == radius(shuffled, again)
    np.testing.assert_array_equal(points[chosen], shuffled[again])


@given(clouds, st.integers(2, 10))
def test_every_beginning_of_the_list_is_what_a_smaller_count_gives(points: np.ndarray, count: int) -> None:
    assert farthest_points(points, count)[: count - 1] == farthest_points(points, count - 1)


@given(clouds, st.integers(1, 4))
def test_the_radius_is_at_most_twice_the_distance_between_the_chosen(points: np.ndarray, count: int) -> None:
    """Gonzalez's guarantee rests on this: what is not covered lies no further than the chosen lie apart."""
    chosen = farthest_points(points, count)
    if len(chosen) > 1:
        closest = min(
            np.linalg.norm(points[a].astype(float) - points[b].astype(float)) for a in chosen for b in chosen if a != b
        )
        assert radius(points, chosen) <= closest + 1e-9
        assert nearest_distances(points, points[chosen[:-1]])[chosen[-1]] == pytest.approx(closest)


def test_the_first_is_nearest_to_the_mean_and_the_second_farthest_from_it() -> None:
    points = np.array([[0, 0], [10, 0], [4, 1], [100, 0], [9, 0]], np.float32)
    assert farthest_points(points, 3) == [1, 3, 0]  # the mean is (24.6, 0.2)


def test_of_no_points_none_is_chosen() -> None:
    assert farthest_points(np.zeros((0, 3), np.float32), 5) == []


# The reservoir --------------------------------------------------------------------------------------------------


@given(st.integers(1, 12), st.integers(1, 150), st.integers(0, 1000), st.sampled_from([0.001, 0.1, 1.0]))
def test_a_reservoir_is_bounded_and_its_candidates_lie_apart(
    capacity: int, length: int, seed: int, duplicate_distance: float
) -> None:
    stream = np.random.default_rng(seed).normal(size=(length, 3)).astype(np.float32)
    reservoir: Reservoir[int] = Reservoir(capacity, 3, duplicate_distance)
    gone: list[int] = []
    for index, point in enumerate(stream):
        if reservoir.judge(point) is Novelty.NEW:
            given_way = reservoir.add(point, index)
            gone += [] if given_way is None else [given_way]
        assert 1 <= len(reservoir) <= capacity
    assert not set(gone) & set(reservoir.items) and len(gone) == len(set(gone))
    np.testing.assert_array_equal(reservoir.points, stream[list(reservoir.items)])
    for place in range(len(reservoir)):
        others = np.delete(reservoir.points, place, axis=0)
        assert nearest_distances(reservoir.points[place : place + 1], others)[0] >= reservoir.radius - 1e-4


def test_a_full_reservoir_stays_full_where_all_points_lie_about_equally_far_apart() -> None:
    stream = np.random.default_rng(0).normal(size=(500, 200)).astype(np.float32)
    reservoir: Reservoir[int] = Reservoir(20, 200, 0.1)
    for index, point in enumerate(stream):
        if reservoir.judge(point) is Novelty.NEW:
            reservoir.add(point, index)
    assert len(reservoir) == 20


def test_a_reservoir_tells_near_duplicates_from_similar_points() -> None:
    reservoir: Reservoir[str] = Reservoir(2, 1, 0.1)
    for name, at in (("a", 0.0), ("b", 1.0)):
        assert reservoir.judge(np.array([at], np.float32)) is Novelty.NEW
        assert reservoir.add(np.array([at], np.float32), name) is None
    assert reservoir.judge(np.array([0.05], np.float32)) is Novelty.NEAR_DUPLICATE
    assert reservoir.add(np.array([0.3], np.float32), "c") == "c"  # "a" is nearest, and stands for it
    assert reservoir.judge(np.array([0.25], np.float32)) is Novelty.SIMILAR


@given(st.integers(1, 20), st.integers(0, 300))
def test_an_even_sample_is_everything_while_it_fits_and_then_every_so_many(capacity: int, length: int) -> None:
    sample = EvenSample(capacity)
    for index in range(length):
        sample.add(np.array([index], np.float32))
    kept = sample.points.ravel().astype(int).tolist()
    assert len(kept) == length if length <= capacity else capacity / 2 <= len(kept) <= capacity
    assert kept == list(range(0, length, kept[1] if len(kept) > 1 else max(1, length)))
