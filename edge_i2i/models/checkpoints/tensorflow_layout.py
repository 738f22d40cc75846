"""TensorFlow 1.x networks in PyTorch: kernel layouts, and the layers whose arithmetic differs from torch's.

EGSC-IT and BridgeGAN were trained with TensorFlow 1.x. Kernels are converted once, when a checkpoint is read; the
layers below compute in NCHW what TensorFlow computes in NHWC, and trace to plain ONNX operators (Pad, Conv,
ConvTranspose, Slice, InstanceNormalization, Resize) at a static size. Each is tested against TensorFlow's own operator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

SLIM_INSTANCE_NORM_EPSILON = 1e-6
"""The default of ``tf.contrib.slim.instance_norm`` (torch's is 1e-5)."""


def conv_kernel(kernel: Tensor) -> Tensor:
    """Kernel of ``conv2d``: TensorFlow's [kh, kw, in, out] → torch's [out, in, kh, kw]."""
    return kernel.permute(3, 2, 0, 1).contiguous()


def transposed_conv_kernel(kernel: Tensor) -> Tensor:
    """Kernel of ``conv2d_transpose``: TensorFlow's [kh, kw, out, in] → torch's [in, out, kh, kw]."""
    return kernel.permute(3, 2, 0, 1).contiguous()


def pointwise_transposed_conv_kernel(kernel: Tensor) -> Tensor:
    """Kernel of a 1x1 ``conv2d_transpose`` of stride 1, [1, 1, out, in] → the equal convolution's, [out, in, 1, 1].

    Raises:
        ValueError: the kernel is not 1x1.
    """
    if tuple(kernel.shape[:2]) != (1, 1):
        raise ValueError(f"a 1x1 kernel is needed, not {tuple(kernel.shape)}")
    return kernel.permute(2, 3, 0, 1).contiguous()


def dense_kernel(kernel: Tensor) -> Tensor:
    """Kernel of a dense layer: TensorFlow's [in, out] → torch's [out, in].

    A dense layer that reads a flattened picture also reads it in another order (H, W, C instead of C, H, W): permute
    its inputs, or flatten the picture in TensorFlow's order.
    """
    return kernel.T.contiguous()


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """How many zeros TensorFlow's SAME puts before and after an axis; an odd one comes after.

    Args:
        size: how many positions the axis has.
        kernel: how many of them the kernel covers.
        stride: positions from one place of the kernel to the next.
    """
    reached = (-(-size // stride) - 1) * stride + kernel
    total = max(reached - size, 0)
    return total // 2, total - total // 2


class SameConv2d(nn.Conv2d):
    """``conv2d`` with TensorFlow's SAME padding: [N, in, H, W] → [N, out, ceil(H / stride), ceil(W / stride)].

    torch pads both sides alike; TensorFlow pads stride-2 convolutions of even sizes at the end alone.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: its height and width.
        stride: pixels from one position of the kernel to the next.
        bias: whether a value is added to each channel of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, bias: bool = True) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, bias=bias)

    def forward(self, input: Tensor) -> Tensor:
        """Pad to TensorFlow's SAME size, then convolve; symmetric padding is left to the convolution itself."""
        top, bottom = same_padding(input.shape[2], self.kernel_size[0], self.stride[0])
        left, right = same_padding(input.shape[3], self.kernel_size[1], self.stride[1])
        if top == bottom and left == right:
            return functional.conv2d(input, self.weight, self.bias, self.stride, (top, left))
        padded = functional.pad(input, (left, right, top, bottom))
        return functional.conv2d(padded, self.weight, self.bias, self.stride)


class SameConvTranspose2d(nn.ConvTranspose2d):
    """``conv2d_transpose`` with TensorFlow's SAME padding: [N, in, H, W] → [N, out, H x stride, W x stride].

    The adjoint of ``SameConv2d``: its whole output is cropped where that one pads. For a 3x3 kernel with stride 2 that
    is the last row and column, not ``padding=1, output_padding=1`` (which is shifted by one pixel).

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel: its height and width.
        stride: by how much the picture grows.
        bias: whether a value is added to each channel of the output.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, bias: bool = True) -> None:
        short = max(stride - kernel, 0)  # rows that no input reaches: TensorFlow fills them with the bias
        super().__init__(in_channels, out_channels, kernel, stride, output_padding=short, bias=bias)

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve without padding, then crop; ``output_size`` is fixed by SAME and ignored."""
        height, width = input.shape[2] * self.stride[0], input.shape[3] * self.stride[1]
        top = same_padding(height, self.kernel_size[0], self.stride[0])[0]
        left = same_padding(width, self.kernel_size[1], self.stride[1])[0]
        whole = super().forward(input)
        return whole[:, :, top : top + height, left : left + width]


def slim_instance_norm(channels: int, affine: bool = True) -> nn.InstanceNorm2d:
    """``tf.contrib.slim.instance_norm``: slim's ``gamma`` is ``weight``, its ``beta`` is ``bias``; epsilon 1e-6."""
    return nn.InstanceNorm2d(channels, SLIM_INSTANCE_NORM_EPSILON, affine=affine)


def resize_nearest(x: Tensor, height: int, width: int) -> Tensor:
    """``tf.image.resize_nearest_neighbor`` of TensorFlow 1: ``x`` [N, C, H, W] → [N, C, ``height``, ``width``].

    It takes the pixel at ``floor(position x H / height)`` (no half-pixel centres), and so does torch's ``nearest``.
    """
    if tuple(x.shape[2:]) == (height, width):
        return x
    return functional.interpolate(x, size=(height, width), mode="nearest")


def flatten_as_tensorflow(x: Tensor) -> Tensor:
    """[N, C, H, W] → [N, H x W x C], in the order in which a TensorFlow dense layer reads it."""
    return torch.flatten(x.permute(0, 2, 3, 1), 1)


def unflatten_as_tensorflow(x: Tensor, height: int, width: int) -> Tensor:
    """``x`` as a TensorFlow dense layer writes it, [N, H x W x C] → [N, C, H, W] of ``height`` H and ``width`` W."""
    return x.reshape(x.shape[0], height, width, -1).permute(0, 3, 1, 2)
