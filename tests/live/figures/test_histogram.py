"""The histogram agrees with numpy's quantiles to 1 % from 1 µs to 100 s, in memory that does not grow."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.errors import UsageError
from edge_i2i.live.figures.histogram import LARGEST, SMALLEST, Histogram

durations = st.floats(math.log10(SMALLEST), math.log10(LARGEST)).map(lambda power: 10.0**power)
samples = st.lists(durations, min_size=1, max_size=300)
SHARES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def of(values: list[float]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


@settings(max_examples=200, deadline=None)
@given(samples)
def test_quantiles_are_those_of_numpy_within_one_percent(values: list[float]) -> None:
    histogram = of(values)
    for share in SHARES:
        exact = float(np.quantile(values, share, method="inverted_cdf"))
        assert histogram.quantile(share) == pytest.approx(exact, rel=0.01)
    assert histogram.quantile(1.0) == histogram.max == max(values)
    assert (histogram.count, histogram.min) == (len(values), min(values))
    assert histogram.sum == pytest.approx(sum(values))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(-1, 1e6) | st.just(0.0) | st.floats(0, 2e-6), min_size=1, max_size=50))
def test_durations_out_of_its_range_are_counted_and_only_less_exact(values: list[float]) -> None:
    histogram = of(values)
    assert histogram.count == sum(bucket[2] for bucket in histogram.as_json()["buckets"]) == len(values)
    assert histogram.max == max(max(values), 0.0)
    quantiles = [histogram.quantile(share) for share in SHARES]
    assert quantiles == sorted(quantiles)
    for share, found in zip(SHARES, quantiles, strict=True):
        exact = max(float(np.quantile(values, share, method="inverted_cdf")), 0.0)
        if exact <= LARGEST:
            assert found == pytest.approx(exact, rel=0.01, abs=SMALLEST)
        else:
            assert found >= LARGEST * 0.99


@settings(max_examples=100, deadline=None)
@given(samples, samples)
def test_merging_is_counting_together(first: list[float], second: list[float]) -> None:
    merged, together = of(first), of(first + second)
    merged.merge(of(second))
    assert merged.as_json()["buckets"] == together.as_json()["buckets"]
    assert [merged.quantile(share) for share in SHARES] == [together.quantile(share) for share in SHARES]


@settings(max_examples=100, deadline=None)
@given(durations)
def test_a_duration_lies_in_its_bucket(value: float) -> None:
    ((low, high, count),) = of([value]).as_json()["buckets"]
    assert count == 1 and low * (1 - 1e-12) <= value <= high * (1 + 1e-12)


def test_its_memory_does_not_grow() -> None:
    histogram = Histogram()
    before = len(pickle.dumps(histogram._counts))
    for value in np.geomspace(1e-7, 1e3, 20_000):
        histogram.record(float(value))
    assert len(pickle.dumps(histogram._counts)) == before < 20_000


def test_an_empty_one_is_all_zeros_and_json() -> None:
    empty = Histogram()
    assert empty.quantile(0.5) == 0.0
    assert json.loads(json.dumps(empty.as_json(), allow_nan=False))["buckets"] == []
    filled = Histogram()
    filled.merge(empty)
    assert filled.count == 0


def test_what_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError):
        Histogram().record(math.nan)
    with pytest.raises(UsageError):
        Histogram().quantile(1.5)
