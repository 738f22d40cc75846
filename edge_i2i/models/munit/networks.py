"""The networks of MUNIT (Huang et al. 2018, arXiv 1804.04732; official repository NVlabs/MUNIT).

UNIT's second code base and INIT are built from the same blocks. Every module keeps the official layout, so that
state-dict keys are the official ones (``enc_content.model.3.model.0.model.1.conv.weight``). Tensors inside are NCHW;
pictures are RGB in [-1, 1]. The official AdaIN layers carry running statistics that nothing reads; ours have none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.errors import UsageError
from edge_i2i.models.layers import mean_in_two_steps

EPSILON = 1e-5
"""Of instance norm, AdaIN and layer norm alike (official default)."""
STYLE_DOWNSAMPLINGS = 4
"""The style encoder halves the picture four times whatever the options say (official constant)."""
_STYLE_WIDENINGS = 2  # of which the first two double the channels

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


class ContentEncoder(nn.Module):
    """c7, halvings that double the channels, residual blocks; instance norm throughout.

    [N, input_dim, H, W] → [N, dim * 2^n_downsample, H / 2^n_downsample, W / 2^n_downsample].

    Args:
        input_dim: channels of the picture.
        dim: channels at full size.
        n_downsample: how many times the picture is halved.
        n_res: how many residual blocks there are.
        activation: the non-linearity of every block.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self,
        input_dim: int = 3,
        dim: int = 64,
        n_downsample: int = 2,
        n_res: int = 4,
        activation: Activation = Activation.RELU,
        pad_type: Padding = Padding.REFLECT,
    ) -> None:
        super().__init__()
        style = (Norm.INSTANCE, activation, pad_type)
        widths = [dim * 2**i for i in range(n_downsample + 1)]
        halvings = [Conv2dBlock(channels, 2 * channels, 4, 2, 1, *style) for channels in widths[:-1]]
        first = Conv2dBlock(input_dim, dim, 7, 1, 3, *style)
        self.model = nn.Sequential(first, *halvings, ResBlocks(n_res, widths[-1], *style))
        self.output_dim = widths[-1]

    def forward(self, picture: Tensor) -> Tensor:
        """Encode what is where, without how it looks."""
        content: Tensor = self.model(picture)
        return content


class StyleEncoder(nn.Module):
    """c7, four halvings of which two double the channels, global average pool, c1; no norm.

    [N, input_dim, H, W] of any H, W ≥ 16 → [N, style_dim, 1, 1].

    Args:
        input_dim: channels of the picture.
        dim: channels at full size.
        style_dim: length of the style code.
        activation: the non-linearity of every block.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self,
        input_dim: int = 3,
        dim: int = 64,
        style_dim: int = 8,
        activation: Activation = Activation.RELU,
        pad_type: Padding = Padding.REFLECT,
    ) -> None:
        super().__init__()
        style = (Norm.NONE, activation, pad_type)
        widths = [dim * 2 ** min(i, _STYLE_WIDENINGS) for i in range(STYLE_DOWNSAMPLINGS + 1)]
        halvings = [Conv2dBlock(channels, out, 4, 2, 1, *style) for channels, out in pairwise(widths)]
        first = Conv2dBlock(input_dim, dim, 7, 1, 3, *style)
        self.model = nn.Sequential(first, *halvings, nn.AdaptiveAvgPool2d(1), nn.Conv2d(widths[-1], style_dim, 1))

    def forward(self, picture: Tensor) -> Tensor:
        """Encode how a picture looks."""
        code: Tensor = self.model(picture)
        return code


class Decoder(nn.Module):
    """Residual blocks; for each doubling nearest x2, c5 to half the channels, layer norm; at last c7, tanh.

    [N, dim, h, w] → [N, output_dim, h * 2^n_upsample, w * 2^n_upsample] in [-1, 1].

    Args:
        n_upsample: how many times the content is doubled.
        n_res: how many residual blocks there are.
        dim: channels of the content.
        output_dim: channels of the picture.
        res_norm: the norm of the residual blocks; with AdaIN ``forward`` needs its vector.
        activation: the non-linearity of every block but the last.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self,
        n_upsample: int,
        n_res: int,
        dim: int,
        output_dim: int = 3,
        res_norm: Norm = Norm.ADAIN,
        activation: Activation = Activation.RELU,
        pad_type: Padding = Padding.REFLECT,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.adain_layers = 2 * n_res if res_norm is Norm.ADAIN else 0
        layers: list[nn.Module] = [ResBlocks(n_res, dim, res_norm, activation, pad_type)]
        for channels in [dim // 2**i for i in range(n_upsample)]:
            layers.append(nn.Upsample(scale_factor=2))
            layers.append(Conv2dBlock(channels, channels // 2, 5, 1, 2, Norm.LAYER, activation, pad_type))
        last = Conv2dBlock(dim // 2**n_upsample, output_dim, 7, 1, 3, Norm.NONE, Activation.TANH, pad_type)
        self.model = nn.Sequential(*layers, last)

    @property
    def adain_size(self) -> int:
        """Length of the vector that ``forward`` takes: shift and scale of every AdaIN layer."""
        return self.adain_layers * 2 * self.dim

    def forward(self, content: Tensor, adain: Tensor | None = None) -> Tensor:
        """content [N, dim, h, w], adain [N, adain_size] (none without AdaIN layers) → picture."""
        return self.modulated(content, [] if adain is None else self.modulations(adain))

    def modulations(self, adain: Tensor) -> list[Modulation]:
        """[N, adain_size] → per AdaIN layer, in order: first ``dim`` values the shift, next ``dim`` the scale."""
        parts = [
            adain[:, first : first + self.dim].reshape(-1, self.dim, 1, 1)
            for first in range(0, self.adain_size, self.dim)
        ]
        return list(zip(parts[0::2], parts[1::2], strict=True))

    def modulated(self, content: Tensor, modulations: Sequence[Modulation]) -> Tensor:
        """Decode with shifts and scales that may differ from pixel to pixel."""
        features = self.model[0](content, modulations)
        picture: Tensor = self.model[1:](features)
        return picture


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


class MLP(nn.Module):
    """Fully connected layers, each with an activation but the last.

    Args:
        input_dim: length of the input vector.
        output_dim: length of the output vector.
        dim: width of the layers between.
        n_blk: how many layers there are in all, two or more.
        activation: the non-linearity behind every layer but the last.
    """

    def __init__(
        self, input_dim: int, output_dim: int, dim: int = 256, n_blk: int = 3, activation: Activation = Activation.RELU
    ) -> None:
        super().__init__()
        hidden = [LinearBlock(dim, dim, activation) for _ in range(n_blk - 2)]
        first, last = LinearBlock(input_dim, dim, activation), LinearBlock(dim, output_dim, Activation.NONE)
        self.model = nn.Sequential(first, *hidden, last)

    def forward(self, code: Tensor) -> Tensor:
        """[N, input_dim] or [N, input_dim, 1, 1] → [N, output_dim]."""
        result: Tensor = self.model(code.flatten(1))
        return result


class AdaINGen(nn.Module):
    """One domain's auto-encoder: content encoder, style encoder, MLP, decoder.

    Args:
        input_dim: channels of the picture, read and made.
        dim: channels of both encoders at full size.
        style_dim: length of the style code.
        n_downsample: how many times the content encoder halves, and the decoder doubles.
        n_res: residual blocks in the content encoder, and in the decoder.
        mlp_dim: width of the MLP that makes the AdaIN vector of a style.
        activation: the non-linearity of every block.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self,
        input_dim: int = 3,
        dim: int = 64,
        style_dim: int = 8,
        n_downsample: int = 2,
        n_res: int = 4,
        mlp_dim: int = 256,
        activation: Activation = Activation.RELU,
        pad_type: Padding = Padding.REFLECT,
    ) -> None:
        super().__init__()
        look = (activation, pad_type)
        self.enc_style = StyleEncoder(input_dim, dim, style_dim, *look)
        self.enc_content = ContentEncoder(input_dim, dim, n_downsample, n_res, *look)
        self.dec = Decoder(n_downsample, n_res, self.enc_content.output_dim, input_dim, Norm.ADAIN, *look)
        self.mlp = MLP(style_dim, self.dec.adain_size, mlp_dim, 3, activation)

    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """[N, 3, H, W] in [-1, 1] → content [N, C, h, w] and style [N, style_dim, 1, 1]."""
        return self.enc_content(picture), self.enc_style(picture)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Content and style (of this domain) → a picture [N, 3, H, W] in [-1, 1] of this domain."""
        picture: Tensor = self.dec(content, self.mlp(style))
        return picture

    def forward(self, picture: Tensor) -> Tensor:
        """Encode and decode again: the reconstruction that training compares with the picture."""
        return self.decode(*self.encode(picture))


class MsImageDis(nn.Module):
    """Patch discriminators over an image pyramid: keys ``cnns.{scale}.{layer}.conv.…``, finest first.

    The official options also know batch and spectral norm here; no published configuration uses them.

    Args:
        input_dim: channels of the judged picture.
        dim: channels of the first layer; they double from layer to layer.
        n_layer: halving c4 in each discriminator, in front of a 1x1 convolution to one score.
        num_scales: how many discriminators; each sees the picture at half the size of the one before.
        norm: of every layer but the first, which has none.
        activation: the non-linearity of every layer but the score.
        pad_type: how the convolutions continue the picture beyond its border.
    """

    def __init__(
        self,
        input_dim: int = 3,
        dim: int = 64,
        n_layer: int = 4,
        num_scales: int = 3,
        norm: Norm = Norm.NONE,
        activation: Activation = Activation.LRELU,
        pad_type: Padding = Padding.REFLECT,
    ) -> None:
        super().__init__()
        self.downsample = nn.AvgPool2d(3, stride=2, padding=1, count_include_pad=False)
        widths = [dim * 2**i for i in range(n_layer)]

        def patch_discriminator() -> nn.Sequential:
            first = Conv2dBlock(input_dim, dim, 4, 2, 1, Norm.NONE, activation, pad_type)
            rest = [Conv2dBlock(width, out, 4, 2, 1, norm, activation, pad_type) for width, out in pairwise(widths)]
            return nn.Sequential(first, *rest, nn.Conv2d(widths[-1], 1, 1))

        self.cnns = nn.ModuleList(patch_discriminator() for _ in range(num_scales))

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, input_dim, H, W] → per scale, finest first, the patch scores [N, 1, h, w]."""
        scores = []
        for patch_discriminator in self.cnns:
            scores.append(patch_discriminator(x))
            x = self.downsample(x)
        return scores
