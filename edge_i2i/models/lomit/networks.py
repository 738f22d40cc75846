"""LOMIT's networks, layer for layer, under the official state-dict keys (as read in the authors' code).

Tensors are NCHW; pictures are RGB in [-1, 1]. A is the picture that is translated (the frame), B the exemplar.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.errors import UsageError
from edge_i2i.models.family import NormMode
from edge_i2i.models.layers import SampleNorm
from edge_i2i.models.lomit.config import MASK_SCALE, LOMITConfig

_LEAK = 0.01  # of every LeakyReLU in the authors' code
_HADAIN_EPSILON = 1e-5  # added to the deviation, not to the variance
_MASK_PAIRS = 3  # pairs of 3x3 convolutions in the mask network


class _StoredInstanceNorm(nn.InstanceNorm2d):
    """Instance norm with scale, shift and running statistics, which the authors' content encoder keeps."""

    def __init__(self, channels: int, mode: NormMode) -> None:
        super().__init__(channels, affine=True, track_running_stats=True)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape; while training as the authors do, else by ``mode``."""
        return super().forward(x) if self.training else _normalise(self, x)


class _StoredBatchNorm(nn.BatchNorm2d):
    """Batch norm of the mask network."""

    def __init__(self, channels: int, mode: NormMode) -> None:
        super().__init__(channels)
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape; while training as the authors do, else by ``mode``."""
        return super().forward(x) if self.training else _normalise(self, x)


def _normalise(norm: _StoredInstanceNorm | _StoredBatchNorm, x: Tensor) -> Tensor:
    """Normalise by the stored statistics, or by each picture's own: at batch 1 batch norm's are instance norm's."""
    if norm.mode == NormMode.BATCH:
        return functional.instance_norm(x, weight=norm.weight, bias=norm.bias, eps=norm.eps)
    return functional.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, eps=norm.eps)


def _layer_norm(channels: int) -> SampleNorm:
    """The authors' ``ln``: one mean and variance a picture, scale and shift a channel."""
    return SampleNorm(channels)


class ConvBlock(nn.Module):
    """Reflection pad, convolution with bias, norm, activation; keys ``conv.*`` and ``norm.*``.

    Args:
        channels: channels of the input.
        out: channels of the output.
        kernel: height and width of the kernel.
        stride: pixels from one position of the kernel to the next.
        pad: how many pixels are reflected at each border.
        norm: over ``out`` channels; None: no norm.
        activation: None: no activation.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int,
        stride: int,
        pad: int,
        norm: nn.Module | None = None,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.norm = norm
        self.activation = activation
        self.pad = nn.ReflectionPad2d(pad) if pad else nn.Identity()
        self.conv = nn.Conv2d(channels, out, kernel, stride)

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels, H, W] → [N, out, (H + 2 pad - kernel) // stride + 1, …]."""
        x = self.conv(self.pad(x))
        for step in (self.norm, self.activation):
            if step is not None:
                x = step(x)
        return x


class LinearBlock(nn.Module):
    """Linear layer and activation; keys ``fc.*``.

    Args:
        channels: length of the input vector.
        out: length of the output vector.
        activation: None: no activation.
    """

    def __init__(self, channels: int, out: int, activation: nn.Module | None = None) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, out)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        """[N, channels] → [N, out]."""
        x = self.fc(x)
        return x if self.activation is None else self.activation(x)


class ResidualBlock(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))); nothing after the sum.

    Args:
        channels: channels of input and output.
        first: the norm behind the first convolution.
        second: the norm behind the second convolution.
    """

    def __init__(self, channels: int, first: nn.Module, second: nn.Module) -> None:
        super().__init__()
        self.main = nn.Sequential(
            ConvBlock(channels, channels, 3, 1, 1, first, nn.ReLU(inplace=True)),
            ConvBlock(channels, channels, 3, 1, 1, second),
        )

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        refined: Tensor = x + self.main(x)
        return refined


class ContentEncoder(nn.Module):
    """Picture [N, 3, H, W] → content [N, 4·conv_dim, H/4, W/4]; instance norm with stored statistics throughout.

    Args:
        conv_dim: channels at full size; each of the two halvings doubles them.
        n_blocks: how many residual blocks there are.
        mode: whether test time uses the stored statistics (``eval``) or the picture's own (``batch``).
    """

    def __init__(self, conv_dim: int, n_blocks: int, mode: NormMode) -> None:
        super().__init__()
        widths = (conv_dim, conv_dim * 2, conv_dim * 4)
        layers: list[nn.Module] = [ConvBlock(3, conv_dim, 7, 1, 3, _StoredInstanceNorm(conv_dim, mode), nn.ReLU(True))]
        for channels, out in pairwise(widths):
            layers.append(ConvBlock(channels, out, 4, 2, 1, _StoredInstanceNorm(out, mode), nn.ReLU(True)))
        for _ in range(n_blocks):
            norms = (_StoredInstanceNorm(widths[-1], mode), _StoredInstanceNorm(widths[-1], mode))
            layers.append(ResidualBlock(widths[-1], *norms))
        self.main = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Run the encoder."""
        content: Tensor = self.main(x)
        return content


class StyleEncoder(nn.Module):
    """Masked picture [N, 3, H, W] → style [N, style_dim]; no norm.

    The authors build ``foreground`` and ``background`` from the *same* layers: their weights are one, and a state dict
    holds them under both names. Kept so: the two are the same modules here too.
    """

    def __init__(self, conv_dim: int, style_dim: int) -> None:
        super().__init__()
        widths = (conv_dim, conv_dim * 2, conv_dim * 4)
        shared = [ConvBlock(3, conv_dim, 7, 1, 3, activation=_leaky())]
        shared += [ConvBlock(channels, out, 4, 2, 1, activation=_leaky()) for channels, out in pairwise(widths)]
        specific: list[nn.Module] = [ConvBlock(widths[-1], widths[-1], 4, 2, 1, activation=_leaky()) for _ in range(2)]
        specific += [nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], style_dim, 1)]
        self.shared = nn.Sequential(*shared)
        self.foreground = nn.Sequential(*specific)
        self.background = nn.Sequential(*specific)

    def forward(self, masked: Tensor) -> Tensor:
        """The style of what a masked picture shows; foreground and background have the same weights."""
        return torch.flatten(self.foreground(self.shared(masked)), 1)


def _leaky() -> nn.LeakyReLU:
    return nn.LeakyReLU(_LEAK, inplace=True)


class CosegmentationAttention(nn.Module):
    """Content [N, C, h, w] → how much each of its channels counts in the other picture's mask, [N, C] in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            LinearBlock(channels, channels * 2, nn.Tanh()), LinearBlock(channels * 2, channels, nn.Sigmoid())
        )

    def forward(self, content: Tensor) -> Tensor:
        """Average over the picture, then two linear layers."""
        attention: Tensor = self.main(content.mean(dim=(2, 3)))
        return attention


class Mask(nn.Module):
    """Where a picture is foreground: content [N, C, h, w] and the other picture's attention [N, C] → [N, 1, h, w]."""

    def __init__(self, channels: int, mode: NormMode) -> None:
        super().__init__()
        layers = [
            ConvBlock(channels, channels, 3, 1, 1, _StoredBatchNorm(channels, mode), nn.ReLU(inplace=True))
            for _ in range(2 * _MASK_PAIRS)
        ]
        self.main = nn.Sequential(*layers, ConvBlock(channels, 1, 1, 1, 0, activation=nn.Sigmoid()))
        self.co_attn = CosegmentationAttention(channels)

    def forward(self, content: Tensor, attention: Tensor) -> Tensor:
        """Values in (0, 1); 1 is foreground."""
        mask: Tensor = self.main(attention[:, :, None, None] * content)
        return mask


class MLP(nn.Module):
    """Style [N, style_dim] → mean and log-variance of every channel, [N, 2·C].

    Args:
        style_dim: length of the style.
        out: length of the output, 2·C.
        dim: width of the layers between.
        n_hidden: how many layers there are beside the first and the last.
    """

    def __init__(self, style_dim: int, out: int, dim: int, n_hidden: int) -> None:
        super().__init__()
        hidden = [LinearBlock(dim, dim, _leaky()) for _ in range(n_hidden)]
        self.main = nn.Sequential(LinearBlock(style_dim, dim, _leaky()), *hidden, LinearBlock(dim, out))

    def forward(self, style: Tensor) -> Tensor:
        """Run the layers."""
        parameters: Tensor = self.main(style)
        return parameters


def highway_adain(content: Tensor, mask: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
    """HAdaIN: ``content`` in the statistics of ``foreground`` where ``mask`` is 1, else of ``background``.

    The content is divided by the authors' "standard deviation": that over W, then that of those values over H (both
    unbiased), which is not the deviation over the picture.

    Args:
        content: [N, C, h, w].
        mask: [N, 1, h, w] in 0..1.
        foreground: [N, 2·C]: means, then log-variances.
        background: likewise.

    Returns:
        [N, C, h, w].
    """
    mean = content.mean(dim=(2, 3), keepdim=True)
    deviation = torch.std(torch.std(content, dim=3), dim=2)[:, :, None, None]
    normalised = (content - mean) / (deviation + _HADAIN_EPSILON)
    return mask * _styled(normalised, foreground) + (1.0 - mask) * _styled(normalised, background)


def _styled(normalised: Tensor, parameters: Tensor) -> Tensor:
    mean, log_variance = parameters[:, :, None, None].chunk(2, dim=1)
    return torch.exp(0.5 * log_variance) * normalised + mean


class Decoder(nn.Module):
    """Content, mask and the two styles → picture [N, 3, H, W] in [-1, 1]; group norm over all channels.

    Args:
        channels: channels of the content.
        style_dim: length of a style.
        mlp_dim: width of the two MLPs, one for each style.
        n_blocks: residual blocks; the MLPs have n_blocks - 3 layers between their first and last.
    """

    def __init__(self, channels: int, style_dim: int, mlp_dim: int, n_blocks: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            ResidualBlock(channels, _layer_norm(channels), _layer_norm(channels)) for _ in range(n_blocks)
        ]
        widths = (channels, channels // 2, channels // 4)
        for wide, narrow in pairwise(widths):
            layers.append(nn.Upsample(scale_factor=2, mode="nearest"))
            layers.append(ConvBlock(wide, narrow, 5, 1, 2, _layer_norm(narrow), nn.ReLU(inplace=True)))
        layers.append(ConvBlock(widths[-1], 3, 7, 1, 3, activation=nn.Tanh()))
        self.main = nn.Sequential(*layers)
        n_hidden = max(n_blocks - 3, 0)  # the authors tie the MLPs' depth to the residual blocks
        self.f_mlp = MLP(style_dim, channels * 2, mlp_dim, n_hidden)
        self.b_mlp = MLP(style_dim, channels * 2, mlp_dim, n_hidden)

    def forward(self, content: Tensor, mask: Tensor, foreground: Tensor, background: Tensor) -> Tensor:
        """Paint a picture [N, 3, 4·h, 4·w] in [-1, 1].

        Args:
            content: of the frame, [N, C, h, w].
            mask: where the foreground is, [N, 1, h, w] in 0..1.
            foreground: the exemplar's style, [N, style_dim].
            background: the frame's own style, [N, style_dim].
        """
        picture: Tensor = self.main(highway_adain(content, mask, self.f_mlp(foreground), self.b_mlp(background)))
        return picture


class Generator(nn.Module):
    """LOMIT's generator: the frame's foreground in the style of the exemplar's foreground."""

    def __init__(self, config: LOMITConfig) -> None:
        super().__init__()
        n_blocks, channels = config.repeat_num // 2, config.content_dim
        self.c_encoder = ContentEncoder(config.conv_dim, n_blocks, config.norm_mode)
        self.s_encoder = StyleEncoder(config.conv_dim, config.style_dim)
        self.mask = Mask(channels, config.norm_mode)
        self.decoder = Decoder(channels, config.style_dim, config.mlp_dim, n_blocks)

    def forward(self, frame: Tensor, exemplar: Tensor) -> Tensor:
        """Both [N, 3, H, W] → the translated picture, exactly as the authors compute it."""
        content, other = self.c_encoder(frame), self.c_encoder(exemplar)
        mask, other_mask = self.masks(content, other)
        return self.decode(frame, content, mask, self.foreground_style(exemplar, other_mask))

    def masks(self, content: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The foreground masks of both pictures, [N, 1, H/4, W/4], each with the other's attention."""
        return self.mask(content, self.mask.co_attn(other)), self.mask(other, self.mask.co_attn(content))

    def foreground_style(self, picture: Tensor, mask: Tensor) -> Tensor:
        """The style [N, style_dim] of what the mask [N, 1, H/4, W/4] keeps of a picture."""
        style: Tensor = self.s_encoder(_enlarge(mask) * picture)
        return style

    def decode(self, frame: Tensor, content: Tensor, mask: Tensor, foreground: Tensor) -> Tensor:
        """The frame [N, 3, H, W] with another foreground style; its background keeps its own.

        Args:
            frame: [N, 3, H, W] in [-1, 1].
            content: the frame's content, [N, C, H/4, W/4].
            mask: where the foreground is, [N, 1, H/4, W/4] in 0..1.
            foreground: the style that the foreground is given, [N, style_dim].
        """
        background = self.s_encoder(_enlarge(1.0 - mask) * frame)
        picture: Tensor = self.decoder(content, mask, foreground, background)
        return picture


def _enlarge(mask: Tensor) -> Tensor:
    return functional.interpolate(mask, scale_factor=MASK_SCALE, mode="bilinear", align_corners=False)


class Discriminator(nn.Module):
    """D, for training (WGAN-GP): patch scores and one logit for each attribute.

    Without norms, so that the gradient penalty is taken picture by picture. The defaults are the release's.

    Args:
        image_size: height and width of the pictures in pixels, a multiple of 2^(repeat_num + 1).
        conv_dim: channels of the first layer; they double from layer to layer.
        c_dim: how many attributes are judged.
        repeat_num: how many convolutions halve.

    Raises:
        UsageError: ``image_size`` is no such multiple.
    """

    def __init__(self, image_size: int = 128, conv_dim: int = 64, c_dim: int = 4, repeat_num: int = 6) -> None:
        super().__init__()
        if image_size <= 0 or image_size % 2 ** (repeat_num + 1):
            raise UsageError(
                f"A discriminator of {repeat_num} halvings cannot judge pictures of {image_size}x{image_size}.",
                remedy=f"Use a multiple of {2 ** (repeat_num + 1)} pixels, or fewer halvings (repeat_num).",
            )
        widths = [conv_dim * 2**i for i in range(repeat_num)]
        layers = [ConvBlock(channels, out, 4, 2, 1, activation=_leaky()) for channels, out in pairwise([3, *widths])]
        self.main = nn.Sequential(*layers)
        self.conv1 = ConvBlock(widths[-1], 1, 3, 1, 1)
        self.conv2 = nn.Conv2d(widths[-1], c_dim, kernel_size=image_size // 2**repeat_num)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, image_size, image_size] → scores [N, 1, h, w] and attribute logits [N, c_dim]."""
        features = self.main(picture)
        return self.conv1(features), torch.flatten(self.conv2(features), 1)
