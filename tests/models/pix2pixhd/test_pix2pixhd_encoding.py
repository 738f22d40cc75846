"""One-hot labels, instance edges and instance pooling against plain loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from edge_i2i.models.pix2pixhd.networks import INSTANCE_SLOTS, halve, instance_edges, one_hot, pool_instances

Array = NDArray[Any]
shapes = st.tuples(st.integers(1, 7), st.integers(1, 7))


def _maps(values: st.SearchStrategy[int], dtype: Any = np.int32) -> st.SearchStrategy[Array]:
    return arrays.arrays(dtype, shapes, elements=values)


def _tensor(map_: Array) -> torch.Tensor:
    return torch.from_numpy(map_)[None, None]


@given(_maps(st.integers(0, 8)))
@settings(deadline=None)
def test_one_hot_equals_a_loop(label: Array) -> None:
    wanted = np.zeros((6, *label.shape), np.float32)
    for (y, x), value in np.ndenumerate(label):
        if value < 6:  # ids beyond the classes have no channel; whoever feeds the graph refuses them
            wanted[value, y, x] = 1.0
    np.testing.assert_array_equal(one_hot(_tensor(label), 6)[0].numpy(), wanted)


@given(_maps(st.integers(0, 255), np.uint8))
@settings(deadline=None)
def test_one_hot_takes_bytes(label: Array) -> None:
    assert torch.equal(one_hot(_tensor(label), 256), one_hot(_tensor(label.astype(np.int32)), 256))


@given(_maps(st.one_of(st.integers(0, 2), st.sampled_from([2**24, 2**24 + 1, 2**31 - 2, 2**31 - 1]))))
@settings(deadline=None)
def test_edges_equal_a_loop(instance: Array) -> None:
    """Ids beyond 2^24 included: as floats, neighbouring ones would be equal."""
    height, width = instance.shape
    wanted = np.zeros(instance.shape, np.float32)
    for y in range(height):
        for x in range(width):
            around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
            inside = [(a, b) for a, b in around if 0 <= a < height and 0 <= b < width]
            wanted[y, x] = float(any(instance[a, b] != instance[y, x] for a, b in inside))
    np.testing.assert_array_equal(instance_edges(_tensor(instance))[0, 0].numpy(), wanted)


@given(_maps(st.integers(0, INSTANCE_SLOTS - 1)), st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(deadline=None)
def test_pooling_equals_a_loop(slots: Array, channels: int, seed: int) -> None:
    features = np.random.default_rng(seed).uniform(-1, 1, (channels, *slots.shape)).astype(np.float32)
    wanted = features.copy()
    for slot in np.unique(slots):
        for channel in range(channels):
            wanted[channel][slots == slot] = features[channel][slots == slot].astype(np.float64).mean()
    got = pool_instances(torch.from_numpy(features)[None], _tensor(slots), INSTANCE_SLOTS)
    np.testing.assert_allclose(got[0].numpy(), wanted, atol=1e-6)


def test_pooling_of_a_large_area_keeps_its_accuracy() -> None:
    features = 0.7 + 0.2 * torch.rand(1, 1, 512, 512, generator=torch.Generator().manual_seed(0))
    pooled = pool_instances(features, torch.zeros(1, 1, 512, 512, dtype=torch.int32), INSTANCE_SLOTS)
    assert float((pooled - features.double().mean()).abs().max()) < 1e-5


@pytest.mark.parametrize("size", [(4, 6), (5, 7), (1, 1)])
def test_the_pyramid_step_does_not_count_the_border(size: tuple[int, int]) -> None:
    """A constant picture stays constant, which it would not if padding zeros were averaged in."""
    result = halve(torch.ones(1, 2, *size))
    assert result.shape[2:] == ((size[0] + 1) // 2, (size[1] + 1) // 2)
    assert torch.equal(result, torch.ones_like(result))
