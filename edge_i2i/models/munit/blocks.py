"""The building blocks of MUNIT's networks (Huang et al. 2018, arXiv 1804.04732; official repository NVlabs/MUNIT).

UNIT's second code base and INIT are built from the same blocks. Every module keeps the official layout, so that
state-dict keys are the official ones (``enc_content.model.3.model.0.model.1.conv.weight``). Tensors inside are NCHW;
pictures are RGB in [-1, 1]. The official AdaIN layers carry running statistics that nothing reads; ours have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.errors import UsageError
from edge_i2i.models.layers import mean_in_two_steps

EPSILON = 1e-5
"""Of instance norm, AdaIN and layer norm alike (official default)."""

Modulation = tuple[Tensor, ...]
"""One AdaIN layer's shift and scale: [N, C, 1, 1], or [N, C, H, W] where they differ from pixel to pixel.

Empty for a layer with another norm.
"""

_UNMODULATED: Modulation = ()


class Norm(StrEnum):
    """What stands between a convolution and its activation (official names)."""

    NONE = "none"
    INSTANCE = "in"
    LAYER = "ln"
    ADAIN = "adain"


class Activation(StrEnum):
    """The non-linearity of a block (official names); leaky ReLU has slope 0.2."""

    NONE = "none"
    RELU = "relu"
    LRELU = "lrelu"
    PRELU = "prelu"
    SELU = "selu"
    TANH = "tanh"


def refuse_linear(activ: Activation) -> None:
    """Accept an activation for a whole network.

    Raises:
        UsageError: ``activ`` is ``Activation.NONE``, with which the networks would be linear.
    """
    if activ is Activation.NONE:
        legal = ", ".join(kind for kind in Activation if kind is not Activation.NONE)
        raise UsageError("activ=none would make the networks linear.", remedy=f"Legal values: {legal}.")


class Padding(StrEnum):
    """How convolutions continue the picture beyond its border (official names)."""

    REFLECT = "reflect"
    REPLICATE = "replicate"
    ZERO = "zero"


_PADDINGS: Mapping[Padding, Callable[[int], nn.Module]] = MappingProxyType(
    {Padding.REFLECT: nn.ReflectionPad2d, Padding.REPLICATE: nn.ReplicationPad2d, Padding.ZERO: nn.ZeroPad2d}
)

_ACTIVATIONS: Mapping[Activation, Callable[[], nn.Module]] = MappingProxyType(
    {
        Activation.NONE: nn.Identity,
        Activation.RELU: nn.ReLU,
        Activation.LRELU: lambda: nn.LeakyReLU(0.2),
        Activation.PRELU: nn.PReLU,
        Activation.SELU: nn.SELU,
        Activation.TANH: nn.Tanh,
    }
)


class AdaptiveInstanceNorm(nn.Module):
    """Instance norm with scale and shift from outside: x̂ · scale + shift (the scale as it is, not 1 + scale).

    The official layer computes the same through a batch norm in training mode, which ONNX exporters silently turn into
    one with stored statistics.
    """

    def forward(self, x: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
        """Normalise ``x`` [N, C, H, W], times ``scale``, plus ``shift``: both [N, C, 1, 1] or [N, C, H, W]."""
        return functional.instance_norm(x, eps=EPSILON) * scale + shift


class LayerNorm(nn.Module):
    """(x - mean) / (std + 1e-5) over C, H and W of each sample, then ``gamma`` and ``beta`` per channel.

    The standard deviation is the unbiased one. The official division by std + eps is kept: group norm's by
    sqrt(var + eps) differs where the variance is small.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels))
        self.beta = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        count = x.shape[1] * x.shape[2] * x.shape[3]
        centred = x - mean_in_two_steps(x)
        variance = mean_in_two_steps(centred * centred) * (count / (count - 1))
        normed = centred / (variance.sqrt() + EPSILON)
        return normed * self.gamma.view(1, -1, 1, 1) + self.beta.view(1, -1, 1, 1)


def _norm(kind: Norm, channels: int) -> nn.Module:
    if kind is Norm.INSTANCE:
        return nn.InstanceNorm2d(channels)
    if kind is Norm.LAYER:
        return LayerNorm(channels)
    return AdaptiveInstanceNorm() if kind is Norm.ADAIN else nn.Identity()


class Conv2dBlock(nn.Module):
    """Pad, convolution with bias, norm, activation.

    Args:
        input_dim: channels of the input.
        output_dim: channels of the output.
        kernel_size: height and width of the kernel.
        stride: pixels from one position of the kernel to the next.
        padding: how many pixels are added at each border.
        norm: what normalises the ``output_dim`` channels.
        activation: the non-linearity behind the norm.
        pad_type: what the added pixels hold.
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        norm: Norm = Norm.NONE,
        activation: Activation = Activation.RELU,
        pad_type: Padding = Padding.ZERO,
    ) -> None:
        super().__init__()
        self.pad = _PADDINGS[pad_type](padding)
        self.conv = nn.Conv2d(input_dim, output_dim, kernel_size, stride)
        self.norm = _norm(norm, output_dim)
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, x: Tensor, *modulation: Tensor) -> Tensor:
        """[N, input_dim, H, W] → [N, output_dim, H', W']; ``modulation``: AdaIN's shift and scale, if it has one."""
        block: Tensor = self.activation(self.norm(self.conv(self.pad(x)), *modulation))
        return block


class ResBlock(nn.Module):
    """x + norm(conv(activation(norm(conv(x))))); nothing after the sum.

    Args:
        dim: channels of input and output.
        norm: the norm behind both convolutions.
        activation: the non-linearity behind the first norm.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self, dim: int, norm: Norm, activation: Activation = Activation.RELU, pad_type: Padding = Padding.ZERO
    ) -> None:
        super().__init__()
        self.model = nn.Sequential(
            Conv2dBlock(dim, dim, 3, 1, 1, norm, activation, pad_type),
            Conv2dBlock(dim, dim, 3, 1, 1, norm, Activation.NONE, pad_type),
        )

    def forward(self, x: Tensor, first: Modulation = _UNMODULATED, second: Modulation = _UNMODULATED) -> Tensor:
        """``x`` [N, dim, H, W] → the same shape; ``first`` and ``second``: shift and scale of its two AdaIN layers."""
        refined: Tensor = self.model[1](self.model[0](x, *first), *second)
        return x + refined


class ResBlocks(nn.Module):
    """Residual blocks in a row.

    Args:
        num_blocks: how many.
        dim: channels of input and output.
        norm: the norm behind every convolution.
        activation: the non-linearity inside every block.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self,
        num_blocks: int,
        dim: int,
        norm: Norm = Norm.INSTANCE,
        activation: Activation = Activation.RELU,
        pad_type: Padding = Padding.ZERO,
    ) -> None:
        super().__init__()
        self.model = nn.Sequential(*[ResBlock(dim, norm, activation, pad_type) for _ in range(num_blocks)])

    def forward(self, x: Tensor, modulations: Sequence[Modulation] = ()) -> Tensor:
        """[N, dim, H, W] → the same shape; ``modulations``: two a block, none where the norm is not AdaIN."""
        for i, block in enumerate(self.model):
            x = block(x, *modulations[2 * i : 2 * i + 2])
        return x


class LinearBlock(nn.Module):
    """A fully connected layer with bias, then an activation.

    Args:
        input_dim: length of the input vector.
        output_dim: length of the output vector.
        activation: the non-linearity behind the layer.
    """

    def __init__(self, input_dim: int, output_dim: int, activation: Activation) -> None:
        super().__init__()
        self.fc = nn.Linear(input_dim, output_dim)
        self.activation = _ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """[N, input_dim] → [N, output_dim]."""
        result: Tensor = self.activation(self.fc(x))
        return result
