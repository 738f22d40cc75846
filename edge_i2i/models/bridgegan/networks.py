"""BridgeGAN's building blocks: residual blocks, SPADE, the convolution that reads attributes, and their rewrites.

Tensors are NCHW. The authors' layers are those of ``tf.contrib.slim`` 1.15: stride-1 convolutions with SAME padding and
a bias, instance norm with epsilon 1e-6, nearest resizing without half-pixel centres.
"""

from __future__ import annotations

import copy
from enum import StrEnum
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.models.checkpoints.tensorflow_layout import resize_nearest, slim_instance_norm

LEAK = 0.2  # the default of tf.nn.leaky_relu, which the discriminator uses


class StyleMaps(NamedTuple):
    """What SPADE reads: a style map [1, C, h, w]; for a blend a second one, and ``mix`` [1, 1, 1, 1], 0 to 1."""

    first: Tensor
    second: Tensor | None = None
    mix: Tensor | None = None


class Resampling(StrEnum):
    """What a residual block does to the size of its picture."""

    NONE = "none"
    UP = "nearest, twice the size"
    DOWN = "average of 2x2"


def pointwise(channels: int, out: int) -> nn.Conv2d:
    """A 1x1 convolution with a bias."""
    return nn.Conv2d(channels, out, 1)


def same3x3(channels: int, out: int) -> nn.Conv2d:
    """A 3x3 convolution with a bias and one ring of zeros: TensorFlow's SAME at stride 1."""
    return nn.Conv2d(channels, out, 3, padding=1)


class SpadeNorm(nn.Module):
    """SPADE (Park et al. 2019): instance norm without affine, then scale 1+γ and shift β, convolved from a style map.

    Given two style maps it blends their two results, (1 - mix) · first + mix · second: the authors' ``interp`` mode,
    whose α is ``mix`` and whose first list entry is our second map. It blends the hidden activations instead, which
    is exact, because γ and β are linear in them and the result is linear in γ and β: one convolution more a layer
    rather than three.

    Args:
        channels: channels of what is normalised.
        style_channels: channels of the style maps.
        hidden: channels between the two convolutions that make γ and β.
    """

    def __init__(self, channels: int, style_channels: int, hidden: int) -> None:
        super().__init__()
        self.norm = slim_instance_norm(channels, affine=False)
        self.shared = same3x3(style_channels, hidden)
        self.gamma = same3x3(hidden, channels)
        self.beta = same3x3(hidden, channels)

    def forward(self, x: Tensor, styles: StyleMaps) -> Tensor:
        """[1, C, H, W] and style maps of any size → [1, C, H, W]."""
        height, width = x.shape[2:]
        hidden = self._hidden(styles.first, height, width)
        if styles.second is not None and styles.mix is not None:
            hidden = hidden + styles.mix * (self._hidden(styles.second, height, width) - hidden)
        gamma, beta = self.modulation(hidden)
        modulated: Tensor = self.norm(x) * (1 + gamma) + beta
        return modulated

    def _hidden(self, style: Tensor, height: int, width: int) -> Tensor:
        return functional.relu(self.shared(resize_nearest(style, height, width)))

    def modulation(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden activations [1, hidden, H, W] → γ and β, [1, C, H, W] each."""
        return self.gamma(hidden), self.beta(hidden)


class AttributeConv(nn.Conv2d):
    """1x1 convolution over a picture and a vector of attribute differences, which is tiled to the picture's size."""

    def __init__(self, n_attributes: int, out: int) -> None:
        super().__init__(3 + n_attributes, out, 1)

    def forward(self, input: Tensor, difference: Tensor | None = None) -> Tensor:
        """Picture [1, 3, H, W] and difference [1, n] → [1, out, H, W].

        Raises:
            ValueError: no difference was given.
        """
        if difference is None:
            raise ValueError("the attribute difference is missing")
        tiled = difference[:, :, None, None].expand(-1, -1, *input.shape[2:])
        return super().forward(torch.cat([input, tiled], dim=1))


class AttributeBiasConv(nn.Module):
    """``AttributeConv`` with the vector's part computed once rather than at every pixel: it is a bias."""

    def __init__(self, plain: AttributeConv) -> None:
        super().__init__()
        out, channels = plain.weight.shape[:2]
        self.picture = nn.Conv2d(3, out, 1, bias=False, device="meta")
        self.picture.weight = _frozen(plain.weight[:, :3])
        self.difference = nn.Linear(channels - 3, out, device="meta")
        self.difference.weight = _frozen(plain.weight[:, 3:, 0, 0])
        self.difference.bias = _frozen(_bias(plain))

    def forward(self, picture: Tensor, difference: Tensor) -> Tensor:
        """Picture [1, 3, H, W] and difference [1, n] → [1, out, H, W]."""
        convolved: Tensor = self.picture(picture) + self.difference(difference)[:, :, None, None]
        return convolved


class ResBlock(nn.Module):
    """The authors' ``ResBlk``: norm, activation, [up], 3x3, norm, activation, 3x3, [down]; plus its shortcut.

    The shortcut is a 1x1 convolution (after [up], before [down]) where width or size change, else the input itself.

    Args:
        channels: channels of the input.
        out: channels of the output.
        norms: the first over ``channels``, the second over ``out`` channels; both are called with the style maps.
        resampling: what happens to height and width.
        activation: behind each norm; None: ReLU.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        norms: tuple[nn.Module, nn.Module],
        resampling: Resampling = Resampling.NONE,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm1, self.norm2 = norms
        self.conv1, self.conv2 = same3x3(channels, out), same3x3(out, out)
        learned = channels != out or resampling is not Resampling.NONE
        self.sc = pointwise(channels, out) if learned else nn.Identity()
        self.activation = activation or nn.ReLU()
        self.resampling = resampling

    def forward(self, x: Tensor, *styles: StyleMaps) -> Tensor:
        """[1, in, H, W], and the style maps where its norms are SPADE → [1, out, H', W']."""
        refined = self.conv1(self._up(self.activation(self.norm1(x, *styles))))
        refined = self._down(self.conv2(self.activation(self.norm2(refined, *styles))))
        total: Tensor = refined + self._down(self.sc(self._up(x)))
        return total

    def _up(self, x: Tensor) -> Tensor:
        if self.resampling is not Resampling.UP:
            return x
        return resize_nearest(x, 2 * x.shape[2], 2 * x.shape[3])

    def _down(self, x: Tensor) -> Tensor:
        return functional.avg_pool2d(x, 2) if self.resampling is Resampling.DOWN else x


def instance_normed(channels: int, out: int, resampling: Resampling = Resampling.NONE) -> ResBlock:
    """A residual block with affine instance norm.

    Args:
        channels: channels of the input.
        out: channels of the output.
        resampling: what happens to height and width.
    """
    return ResBlock(channels, out, (slim_instance_norm(channels), slim_instance_norm(out)), resampling)


def without_norm(channels: int, out: int, resampling: Resampling) -> ResBlock:
    """A residual block of the discriminator: no norm, leaky ReLU.

    Args:
        channels: channels of the input.
        out: channels of the output.
        resampling: what happens to height and width.
    """
    return ResBlock(channels, out, (nn.Identity(), nn.Identity()), resampling, nn.LeakyReLU(LEAK))


N = TypeVar("N", bound=nn.Module)


def attributes_as_bias(network: N) -> N:
    """The network with the attributes of its first convolution as a bias; every other parameter is shared.

    The given network stays as it is.
    """
    copied = copy.deepcopy(network, {id(parameter): parameter for parameter in network.parameters()})
    plain = [(name, child) for name, child in copied.named_children() if isinstance(child, AttributeConv)]
    for name, child in plain:
        setattr(copied, name, AttributeBiasConv(child))
    return copied


def _bias(conv: nn.Conv2d) -> Tensor:
    if conv.bias is None:
        raise ValueError("BridgeGAN's convolutions have a bias")
    return conv.bias


def _frozen(weight: Tensor) -> nn.Parameter:
    return nn.Parameter(weight.detach().clone(), requires_grad=False)
