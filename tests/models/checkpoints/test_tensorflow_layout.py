"""The TensorFlow-like layers against TensorFlow's own operators, on random tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edge_i2i.models.checkpoints.tensorflow_layout import (
    SLIM_INSTANCE_NORM_EPSILON,
    SameConv2d,
    SameConvTranspose2d,
    conv_kernel,
    dense_kernel,
    flatten_as_tensorflow,
    pointwise_transposed_conv_kernel,
    resize_nearest,
    same_padding,
    slim_instance_norm,
    transposed_conv_kernel,
    unflatten_as_tensorflow,
)

tf: Any = pytest.importorskip(
    "tensorflow", reason="TensorFlow is not installed: its operators are what these layers are compared with"
)

TOLERANCE = 1e-5
SIZES = [(8, 8), (7, 9), (8, 11), (5, 5)]


def _random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).uniform(-1, 1, shape).astype(np.float32))


def _nhwc(x: Tensor) -> Any:
    return tf.constant(x.permute(0, 2, 3, 1).contiguous().numpy())


def _close(got: Tensor, wanted: Any) -> None:
    expected = torch.from_numpy(wanted.numpy()).permute(0, 3, 1, 2)
    assert got.shape == expected.shape
    assert float((got - expected).abs().max()) <= TOLERANCE


def _fill(layer: nn.Conv2d | nn.ConvTranspose2d, kernel: Tensor, bias: Tensor) -> None:
    layer.load_state_dict({"weight": kernel, "bias": bias})
    layer.requires_grad_(False)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7])
def test_same_convolution_is_tensorflows(kernel: int, stride: int, size: tuple[int, int]) -> None:
    x, weights, bias = _random(2, 3, *size), _random(kernel, kernel, 3, 4, seed=1), _random(4, seed=2)
    layer = SameConv2d(3, 4, kernel, stride)
    _fill(layer, conv_kernel(weights), bias)
    wanted = tf.nn.conv2d(_nhwc(x), tf.constant(weights.numpy()), stride, "SAME") + bias.numpy()
    _close(layer(x), wanted)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_same_transposed_convolution_is_tensorflows(kernel: int, stride: int, size: tuple[int, int]) -> None:
    x, weights, bias = _random(2, 3, *size), _random(kernel, kernel, 4, 3, seed=1), _random(4, seed=2)
    layer = SameConvTranspose2d(3, 4, kernel, stride)
    _fill(layer, transposed_conv_kernel(weights), bias)
    shape = [2, size[0] * stride, size[1] * stride, 4]
    wanted = tf.nn.conv2d_transpose(_nhwc(x), tf.constant(weights.numpy()), shape, stride, "SAME") + bias.numpy()
    _close(layer(x), wanted)


def test_torchs_usual_transposed_convolution_is_not_tensorflows() -> None:
    """The trap that the crop is there for: torch's doubling transposed convolution is shifted by one pixel."""
    x, weights = _random(1, 3, 6, 6), _random(3, 3, 4, 3, seed=1)
    wanted = tf.nn.conv2d_transpose(_nhwc(x), tf.constant(weights.numpy()), [1, 12, 12, 4], 2, "SAME").numpy()
    usual = torch.nn.functional.conv_transpose2d(x, transposed_conv_kernel(weights), None, 2, 1, 1)
    assert float((usual - torch.from_numpy(wanted).permute(0, 3, 1, 2)).abs().max()) > 0.5


def test_a_pointwise_transposed_convolution_is_a_convolution() -> None:
    x, weights, bias = _random(1, 5, 4, 6), _random(1, 1, 3, 5, seed=1), _random(3, seed=2)
    layer = nn.Conv2d(5, 3, 1)
    _fill(layer, pointwise_transposed_conv_kernel(weights), bias)
    wanted = tf.nn.conv2d_transpose(_nhwc(x), tf.constant(weights.numpy()), [1, 4, 6, 3], 1, "SAME") + bias.numpy()
    _close(layer(x), wanted)
    with pytest.raises(ValueError, match="1x1"):
        pointwise_transposed_conv_kernel(_random(3, 3, 3, 5))


@pytest.mark.parametrize("affine", [True, False])
def test_instance_norm_is_slims(affine: bool) -> None:
    """slim's formula: moments over height and width, then batch_normalization with epsilon 1e-6."""
    x, gamma, beta = _random(2, 4, 5, 7) * 0.01, _random(4, seed=1), _random(4, seed=2)
    layer = slim_instance_norm(4, affine)
    if affine:
        layer.load_state_dict({"weight": gamma, "bias": beta})
    assert layer.state_dict().keys() == ({"weight", "bias"} if affine else set())
    mean, variance = tf.nn.moments(_nhwc(x), [1, 2], keepdims=True)
    parameters = (beta.numpy(), gamma.numpy()) if affine else (None, None)
    wanted = tf.nn.batch_normalization(_nhwc(x), mean, variance, *parameters, SLIM_INSTANCE_NORM_EPSILON)
    _close(layer(x).detach(), wanted)


@pytest.mark.parametrize("target", [(16, 16), (8, 8), (4, 2), (32, 8), (12, 20), (5, 3)])
def test_nearest_resize_is_tensorflow_1s(target: tuple[int, int]) -> None:
    x = _random(2, 3, 8, 8)
    wanted = tf.compat.v1.image.resize_nearest_neighbor(_nhwc(x), target)
    _close(resize_nearest(x, *target), wanted)


def test_dense_layers_read_and_write_pictures_in_tensorflows_order() -> None:
    x, weights, bias = _random(2, 3, 4, 5), _random(60, 24, seed=1), _random(24, seed=2)
    flat = flatten_as_tensorflow(x)
    got = torch.nn.functional.linear(flat, dense_kernel(weights), bias)
    wanted = tf.matmul(tf.reshape(_nhwc(x), [2, -1]), tf.constant(weights.numpy())) + bias.numpy()
    _close(unflatten_as_tensorflow(got, 2, 3), tf.reshape(wanted, [2, 2, 3, 4]))


def test_same_padding_puts_the_odd_zero_at_the_end() -> None:
    assert same_padding(8, 3, 2) == (0, 1)
    assert same_padding(7, 3, 2) == (1, 1)
    assert same_padding(8, 4, 1) == (1, 2)
    assert same_padding(8, 1, 2) == (0, 0)
