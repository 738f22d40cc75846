"""The encoders, the decoder and the MLP of MUNIT, and its generator (official repository NVlabs/MUNIT)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from edge_i2i.models.munit.blocks import Activation, Conv2dBlock, LinearBlock, Modulation, Norm, Padding, ResBlocks

STYLE_DOWNSAMPLINGS = 4
"""The style encoder halves the picture four times whatever the options say (official constant)."""
_STYLE_WIDENINGS = 2  # of which the first two double the channels


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
