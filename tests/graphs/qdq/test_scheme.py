"""The arithmetic of INT8: what a quantizer may lose, and what it must not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edge_i2i.arrays import Array
from edge_i2i.errors import UsageError
from edge_i2i.graphs.qdq.scheme import Quantizer, Range, Scheme, quantize_weights, quantizer_for, weight_scales

LIMITS = {"uint8": (0, 255), "int8": (-127, 127)}
floats = st.floats(-1e4, 1e4, width=32)


@st.composite
def ranges(draw: st.DrawFn) -> Range:
    low, high = sorted((draw(floats), draw(floats)))
    assume(max(abs(low), abs(high)) > 1e-3)
    return Range(low, high)


def quantize_dequantize(values: Array, quantizer: Quantizer) -> Array:
    low, high = LIMITS[quantizer.dtype]
    steps = np.clip(np.rint(values / quantizer.scale) + quantizer.zero_point, low, high)
    made: Array = (steps - quantizer.zero_point) * quantizer.scale
    return made


@given(reached=ranges(), scheme=st.sampled_from(Scheme), share=st.floats(0, 1))
def test_inside_the_range_the_error_is_half_a_step_at_most(reached: Range, scheme: Scheme, share: float) -> None:
    quantizer = quantizer_for(reached, scheme)
    value = np.array(reached.low + share * (reached.high - reached.low))
    assert abs(quantize_dequantize(value, quantizer) - value) <= quantizer.scale * 0.5001


@given(reached=ranges(), scheme=st.sampled_from(Scheme))
def test_zero_is_a_value_of_its_own_because_convolutions_pad_with_it(reached: Range, scheme: Scheme) -> None:
    quantizer = quantizer_for(reached, scheme)
    low, high = LIMITS[quantizer.dtype]
    assert low <= quantizer.zero_point <= high
    assert quantize_dequantize(np.array(0.0), quantizer) == 0.0


@given(reached=ranges())
def test_the_asymmetric_step_is_never_wider_than_the_symmetric_one(reached: Range) -> None:
    fine, coarse = (quantizer_for(reached, scheme) for scheme in (Scheme.ASYMMETRIC, Scheme.SYMMETRIC))
    assert fine.scale <= coarse.scale * 1.0001
    assert (coarse.zero_point, coarse.dtype, fine.dtype) == (0, "int8", "uint8")


@given(reached=ranges(), scheme=st.sampled_from(Scheme))
def test_the_file_holds_the_very_scale(reached: Range, scheme: Scheme) -> None:
    scale = quantizer_for(reached, scheme).scale
    assert scale > 0 and np.float32(scale) == np.float32(str(scale))


@pytest.mark.parametrize("scheme", Scheme)
def test_a_tensor_that_is_zero_everywhere_has_a_quantizer(scheme: Scheme) -> None:
    quantizer = quantizer_for(Range(0.0, 0.0), scheme)
    assert quantizer.scale > 0
    assert quantize_dequantize(np.zeros(3), quantizer).tolist() == [0, 0, 0]


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (math.nan, 1.0), (0.0, math.inf), (-math.inf, 0.0)])
def test_what_is_no_range_is_refused(low: float, high: float) -> None:
    with pytest.raises(UsageError, match="is no range"):
        Range(low, high)


def weights(seed: int, shape: tuple[int, ...]) -> Array:
    rng = np.random.default_rng(seed)
    spread = np.exp(rng.normal(0, 2, (shape[0], 1, 1, 1)))
    made: Array = (rng.standard_t(3, shape) * spread).astype(np.float32)
    return made


def squared_error(weight: Array, scales: Array, axis: int) -> Array:
    shape = [1] * weight.ndim
    shape[axis] = -1
    restored = quantize_weights(weight, scales, axis) * scales.reshape(shape)
    others = tuple(index for index in range(weight.ndim) if index != axis)
    made: Array = np.square(restored - weight).sum(axis=others)
    return made


@given(seed=st.integers(0, 1000), axis=st.sampled_from([0, 1]))
def test_no_channels_weights_are_worse_than_with_a_scale_that_covers_the_largest(seed: int, axis: int) -> None:
    weight = weights(seed, (5, 4, 3, 3))
    largest = np.moveaxis(np.abs(weight), axis, 0).reshape(weight.shape[axis], -1).max(axis=1)
    plain = (largest / 127).astype(np.float32)
    scales = weight_scales(weight, axis)
    assert scales.dtype == np.float32 and scales.shape == (weight.shape[axis],)
    assert (scales <= plain * 1.0001).all()
    assert (squared_error(weight, scales, axis) <= squared_error(weight, plain, axis) * 1.001).all()


def test_weights_of_zero_stay_zero() -> None:
    weight = np.zeros((3, 2, 1, 1), np.float32)
    scales = weight_scales(weight, 0)
    assert (scales > 0).all()
    assert not quantize_weights(weight, scales, 0).any()


def test_weights_leave_the_lowest_step_unused() -> None:
    steps = quantize_weights(np.full((1, 1, 1, 2), -9.0, np.float32), np.ones(1, np.float32) * 0.01, 0)
    assert steps.dtype == np.int8 and steps.min() == -127


@given(reached=ranges())
def test_zero_based_quantizers_have_no_zero_point_and_waste_no_sign(reached: Range) -> None:
    quantizer = quantizer_for(reached, Scheme.ZERO_BASED)
    other = quantizer_for(reached, Scheme.SYMMETRIC if reached.low < 0 else Scheme.ASYMMETRIC)
    assert quantizer.zero_point == 0 and quantizer == other
