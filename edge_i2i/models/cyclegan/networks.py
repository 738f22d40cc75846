"""The networks of junyanz/pytorch-CycleGAN-and-pix2pix: two generators and two discriminators.

Official module layout, so that state-dict keys are the official ones. Tensors are NCHW, pictures in [-1, 1].
Convolutions in front of a norm have a bias with instance norm and none with batch norm, as the authors' have.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from edge_i2i.models.cyclegan.config import CycleGANConfig, Generator, Padding
from edge_i2i.models.family import NormMode

_DROPOUT = 0.5


def _norm(channels: int, mode: NormMode) -> nn.Module:
    """The norm of that mode.

    ``none``: instance norm without weights. ``eval``: batch norm (and the one to train with). ``batch``: batch norm
    of a single picture by its own statistics, which is instance norm with the batch norm's weight and bias: exact,
    biased variance and eps 1e-5 included.
    """
    if mode == NormMode.EVAL:
        return nn.BatchNorm2d(channels)
    return nn.InstanceNorm2d(channels, affine=mode == NormMode.BATCH)


def _norm_relu(channels: int, mode: NormMode) -> list[nn.Module]:
    return [_norm(channels, mode), nn.ReLU()]


def _pad(padding: Padding) -> list[nn.Module]:
    """The layer in front of a block's convolution; with zeros the convolution pads by itself."""
    if padding == Padding.ZERO:
        return []
    return [nn.ReflectionPad2d(1) if padding == Padding.REFLECT else nn.ReplicationPad2d(1)]


class ResnetBlock(nn.Module):
    """x + conv(relu(norm(conv(x)))); nothing after the sum.

    Args:
        channels: channels of input and output.
        padding: how both convolutions continue the picture beyond its border.
        dropout: whether half of the values are dropped between the convolutions while training.
        mode: the kind of both norms, and their statistics at test time.
    """

    def __init__(self, channels: int, padding: Padding, dropout: bool, mode: NormMode) -> None:
        super().__init__()
        bias, zeros = mode == NormMode.NONE, int(padding == Padding.ZERO)
        layers = [*_pad(padding), nn.Conv2d(channels, channels, 3, padding=zeros, bias=bias)]
        layers += _norm_relu(channels, mode)
        if dropout:
            layers.append(nn.Dropout(_DROPOUT))
        layers += [*_pad(padding), nn.Conv2d(channels, channels, 3, padding=zeros, bias=bias)]
        self.conv_block = nn.Sequential(*layers, _norm(channels, mode))

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        refined: Tensor = x + self.conv_block(x)
        return refined


class ResnetGenerator(nn.Module):
    """Johnson et al.'s generator: two downsamplings, residual blocks, two upsamplings.

    [N, input_nc, H, W] → [N, output_nc, H, W] in [-1, 1]; H, W multiples of 4.

    Args:
        input_nc: channels of the input: 3 (RGB) or 1 (grey).
        output_nc: channels of the output, likewise.
        ngf: channels at full size; each downsampling doubles them.
        mode: the kind of the norms, and their statistics at test time.
        dropout: whether the residual blocks have dropout.
        n_blocks: how many residual blocks there are.
        padding: how the residual blocks pad; the layers at full size always reflect.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        ngf: int = 64,
        mode: NormMode = NormMode.NONE,
        dropout: bool = False,
        n_blocks: int = 9,
        padding: Padding = Padding.REFLECT,
    ) -> None:
        super().__init__()
        bias, widths = mode == NormMode.NONE, (ngf, 2 * ngf, 4 * ngf)
        layers = [nn.ReflectionPad2d(3), nn.Conv2d(input_nc, ngf, 7, bias=bias), *_norm_relu(ngf, mode)]
        for channels, out in pairwise(widths):
            layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=bias), *_norm_relu(out, mode)]
        layers += [ResnetBlock(widths[-1], padding, dropout, mode) for _ in range(n_blocks)]
        for channels, out in pairwise(reversed(widths)):
            up = nn.ConvTranspose2d(channels, out, 3, stride=2, padding=1, output_padding=1, bias=bias)
            layers += [up, *_norm_relu(out, mode)]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(ngf, output_nc, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """Run the generator."""
        picture: Tensor = self.model(x)
        return picture


def _halve(channels: int, out: int, bias: bool) -> nn.Module:
    return nn.Conv2d(channels, out, 4, stride=2, padding=1, bias=bias)


def _double(channels: int, out: int, bias: bool) -> nn.Module:
    return nn.ConvTranspose2d(channels, out, 4, stride=2, padding=1, bias=bias)


class UnetBlock(nn.Module):
    """One level of the U-Net around the next coarser one: [N, C, H, W] → [N, 2C, H, W], the input and what was made
    of it.

    The authors' leaky ReLU works in place and so changes the input that is passed on; the ReLU that reads it next
    makes the same of both.
    """

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Halve, run the coarser levels, double, and put the result behind the input."""
        return torch.cat([x, self.model(x)], dim=1)


def _innermost(channels: int, mode: NormMode) -> UnetBlock:
    """The bottleneck. What it halves to, one pixel at the smallest size, is not normalised."""
    bias = mode == NormMode.NONE
    down = [nn.LeakyReLU(0.2), _halve(channels, channels, bias)]
    return UnetBlock([*down, nn.ReLU(), _double(channels, channels, bias), _norm(channels, mode)])


def _level(outer: int, inner: int, coarser: UnetBlock, mode: NormMode, dropout: bool) -> UnetBlock:
    bias = mode == NormMode.NONE
    down = [nn.LeakyReLU(0.2), _halve(outer, inner, bias), _norm(inner, mode)]
    up = [nn.ReLU(), _double(2 * inner, outer, bias), _norm(outer, mode)]
    return UnetBlock([*down, coarser, *up, *([nn.Dropout(_DROPOUT)] if dropout else [])])


class UnetOutermost(nn.Module):
    """The level at full size: it passes nothing on, and its last convolution always has a bias.

    Args:
        input_nc: channels of the input: 3 (RGB) or 1 (grey).
        output_nc: channels of the output, likewise.
        ngf: channels at half the size, where the next coarser level begins.
        coarser: that level.
        mode: the kind of the network's norms; with instance norm the first convolution has a bias.
    """

    def __init__(self, input_nc: int, output_nc: int, ngf: int, coarser: UnetBlock, mode: NormMode) -> None:
        super().__init__()
        down = _halve(input_nc, ngf, bias=mode == NormMode.NONE)
        self.model = nn.Sequential(down, coarser, nn.ReLU(), _double(2 * ngf, output_nc, bias=True), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        """[N, input_nc, H, W] → [N, output_nc, H, W]."""
        picture: Tensor = self.model(x)
        return picture


class UnetGenerator(nn.Module):
    """pix2pix's U-Net (Isola et al. 2017, appendix 6.1): halvings with a skip connection each.

    [N, input_nc, H, W] → [N, output_nc, H, W] in [-1, 1]; H, W multiples of 2^num_downs.

    Args:
        input_nc: channels of the input: 3 (RGB) or 1 (grey).
        output_nc: channels of the output, likewise.
        num_downs: how many times the picture is halved.
        ngf: channels at half the size; they double from level to level, up to 8 · ngf.
        mode: the kind of the norms, and their statistics at test time.
        dropout: acts on the levels between the bottleneck and the four finest ones, and leaves no trace in the keys.
    """

    def __init__(
        self,
        input_nc: int,
        output_nc: int,
        num_downs: int = 8,
        ngf: int = 64,
        mode: NormMode = NormMode.BATCH,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        widths = [ngf * min(2**level, 8) for level in range(num_downs - 1)]
        block = _innermost(widths[-1], mode)
        for outer, inner in reversed(list(pairwise(widths))):
            block = _level(outer, inner, block, mode, dropout and outer == inner)
        self.model = UnetOutermost(input_nc, output_nc, ngf, block, mode)

    def forward(self, x: Tensor) -> Tensor:
        """Run the generator."""
        picture: Tensor = self.model(x)
        return picture


class NLayerDiscriminator(nn.Module):
    """The patch discriminator (``--netD basic``: three layers, 70x70 pixels); [N, C, H, W] → raw patch scores.

    The authors' first versions could append a sigmoid, which has no keys: their loss takes raw scores now.

    Args:
        input_nc: channels of what is judged: a picture, or (pix2pix) the frame and the picture.
        ndf: channels of the first layer; they double from layer to layer, up to 8 · ndf.
        n_layers: how many convolutions halve; one more and the score keep the size (but for a pixel each).
        mode: the kind of the norms.
    """

    def __init__(self, input_nc: int, ndf: int = 64, n_layers: int = 3, mode: NormMode = NormMode.NONE) -> None:
        super().__init__()
        bias = mode == NormMode.NONE
        widths = [ndf * min(2**layer, 8) for layer in range(n_layers + 1)]
        layers: list[nn.Module] = [nn.Conv2d(input_nc, ndf, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for layer, (channels, out) in enumerate(pairwise(widths), start=1):
            stride = 1 if layer == n_layers else 2
            conv = nn.Conv2d(channels, out, 4, stride=stride, padding=1, bias=bias)
            layers += [conv, _norm(out, mode), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, x: Tensor) -> Tensor:
        """Score every patch."""
        scores: Tensor = self.model(x)
        return scores


class PixelDiscriminator(nn.Module):
    """The 1x1 discriminator (``--netD pixel``): [N, C, H, W] → [N, 1, H, W], a raw score for every pixel.

    Args:
        input_nc: channels of what is judged: a picture, or (pix2pix) the frame and the picture.
        ndf: channels of the first layer; the second has twice as many.
        mode: the kind of the norm.
    """

    def __init__(self, input_nc: int, ndf: int = 64, mode: NormMode = NormMode.NONE) -> None:
        super().__init__()
        bias = mode == NormMode.NONE
        first = [nn.Conv2d(input_nc, ndf, 1), nn.LeakyReLU(0.2)]
        second = [nn.Conv2d(ndf, 2 * ndf, 1, bias=bias), _norm(2 * ndf, mode), nn.LeakyReLU(0.2)]
        self.net = nn.Sequential(*first, *second, nn.Conv2d(2 * ndf, 1, 1, bias=bias))

    def forward(self, x: Tensor) -> Tensor:
        """Score every pixel."""
        scores: Tensor = self.net(x)
        return scores


def build_generator(config: CycleGANConfig) -> ResnetGenerator | UnetGenerator:
    """The generator of that architecture, with torch's default initialisation."""
    channels = (config.input_nc, config.output_nc)
    if config.generator == Generator.UNET:
        return UnetGenerator(*channels, config.num_downs, config.ngf, config.norm_mode, config.dropout)
    return ResnetGenerator(
        *channels, config.ngf, config.norm_mode, config.dropout, config.n_blocks, config.padding_type
    )
