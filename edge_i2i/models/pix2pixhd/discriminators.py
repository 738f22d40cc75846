"""The discriminators of pix2pixHD, in the official module layout."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from edge_i2i.models.pix2pixhd.config import Pix2PixHDConfig as Pix2PixHDConfig
from edge_i2i.models.pix2pixhd.networks import halve


class NLayerDiscriminator(nn.Module):
    """One 70x70 patch discriminator that keeps every layer's output, for the feature-matching loss.

    Args:
        input_nc: channels of what is judged: the generator's input and the picture.
        ndf: channels of the first layer; they double from layer to layer, up to 512.
        n_layers: how many convolutions halve; one more and the score keep the size (but for a pixel each).
    """

    def __init__(self, input_nc: int, ndf: int = 64, n_layers: int = 3) -> None:
        super().__init__()
        widths = [ndf] + [min(512, ndf * 2**i) for i in range(1, n_layers + 1)]
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(input_nc, ndf, 4, 2, 2), nn.LeakyReLU(0.2, True))]
        for i, (channels, out) in enumerate(pairwise(widths), start=1):
            stride = 1 if i == n_layers else 2
            conv = nn.Conv2d(channels, out, 4, stride, 2)
            layers.append(nn.Sequential(conv, nn.InstanceNorm2d(out), nn.LeakyReLU(0.2, True)))
        layers.append(nn.Sequential(nn.Conv2d(widths[-1], 1, 4, 1, 2)))
        self.layers = layers

    def forward(self, x: Tensor) -> list[Tensor]:
        """[N, C, H, W] → the output of every layer; the last is the patch score."""
        outputs = []
        for layer in self.layers:
            x = layer(x)
            outputs.append(x)
        return outputs


class MultiscaleDiscriminator(nn.Module):
    """D (paper section 3.2): patch discriminators over an image pyramid.

    Official keys with feature matching on: ``scale{i}_layer{j}.0.{weight,bias}``; ``scale{num_D-1}`` sees full size.

    Args:
        input_nc: channels of what is judged: the generator's input and the picture.
        ndf: channels of the first layer, at every scale alike; they double from layer to layer, up to 512.
        n_layers: how many convolutions of each discriminator halve.
        num_D: how many discriminators; each sees half the size of the one before.
    """

    def __init__(self, input_nc: int, ndf: int = 64, n_layers: int = 3, num_D: int = 2) -> None:
        super().__init__()
        self.num_D, self.n_layers = num_D, n_layers
        for scale in range(num_D):
            for j, layer in enumerate(NLayerDiscriminator(input_nc, ndf, n_layers).layers):
                self.add_module(f"scale{scale}_layer{j}", layer)

    def forward(self, x: Tensor) -> list[list[Tensor]]:
        """[N, C, H, W] → per scale, finest first, the output of every layer (the last one is the score)."""
        results = []
        for scale in reversed(range(self.num_D)):
            features, outputs = x, []
            for j in range(self.n_layers + 2):
                features = getattr(self, f"scale{scale}_layer{j}")(features)
                outputs.append(features)
            results.append(outputs)
            x = halve(x)
        return results
