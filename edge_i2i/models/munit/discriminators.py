"""The discriminators of MUNIT, in the official module layout."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from edge_i2i.models.munit.blocks import Activation, Conv2dBlock, Norm, Padding


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
