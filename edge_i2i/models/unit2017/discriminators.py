"""The discriminators of UNIT's NIPS 2017 release, for training (mingyuliutw/UNIT, branch version_02).

Each judges both domains: ``score_a`` and ``score_b`` take [N, 3, H, W] in [-1, 1] and return one map of logits
[N, 1, h, w] a scale, finest first (the official code flattens them; its loss is the binary cross-entropy of their
sigmoid). State-dict keys are the official ones. LeakyReLU slopes are torch's default 0.01.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_i2i.models.unit2017.model import ConvLayer


def _stride_layers(widths: list[int], first_kernel: int = 3) -> list[nn.Module]:
    """One stride-2 convolution and LeakyReLU from each width to the next."""
    layers: list[nn.Module] = []
    for i, (channels, out) in enumerate(pairwise(widths)):
        kernel = first_kernel if i == 0 else 3
        convolution = nn.Conv2d(channels, out, kernel, stride=2, padding=kernel // 2)
        layers.append(ConvLayer(convolution, nn.LeakyReLU(inplace=True)))
    return layers


def _patch_net(ch: int, n_layer: int) -> nn.Sequential:
    widths = [3, *(ch * 2**i for i in range(n_layer))]
    return nn.Sequential(*_stride_layers(widths), nn.Conv2d(widths[-1], 1, 1))


class PatchDiscriminator(nn.Module):
    """The official COCODis (cat2tiger, corgi2husky: ch 64, 6 layers): one network a domain."""

    def __init__(self, ch: int = 64, n_layer: int = 6) -> None:
        super().__init__()
        self.model_A = _patch_net(ch, n_layer)
        self.model_B = _patch_net(ch, n_layer)

    def score_a(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Logits of being a picture of domain A."""
        return (self.model_A(picture),)

    def score_b(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Logits of being a picture of domain B."""
        return (self.model_B(picture),)


class SharedDiscriminator(nn.Module):
    """The official COCOSharedDis (CelebA: ch 64, 2 + 4 layers): own first layers a domain, shared last ones.

    Args:
        ch: channels of the first layer; they double from layer to layer.
        n_front_layer: stride-2 convolutions that each domain has for itself.
        n_shared_layer: stride-2 convolutions behind them that both domains share.
    """

    def __init__(self, ch: int = 64, n_front_layer: int = 2, n_shared_layer: int = 4) -> None:
        super().__init__()
        front = [3, *(ch * 2**i for i in range(n_front_layer))]
        shared = [front[-1] * 2**i for i in range(n_shared_layer + 1)]
        score = nn.Conv2d(shared[-1], 1, 1)
        self.model_A = nn.Sequential(*_stride_layers(front, first_kernel=7))
        self.model_B = nn.Sequential(*_stride_layers(front, first_kernel=7))
        self.model_S = nn.Sequential(*_stride_layers(shared), score)

    def score_a(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Logits of being a picture of domain A."""
        return (self.model_S(self.model_A(picture)),)

    def score_b(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Logits of being a picture of domain B."""
        return (self.model_S(self.model_B(picture)),)


class MultiscaleDiscriminator(nn.Module):
    """The official COCOMsDis (street scenes: ch 64, 4 layers): three scales a domain, smoothed before each halving.

    Args:
        ch: channels of the first layer; they double from layer to layer.
        n_layer: stride-2 convolutions at each scale.
        whole_width: False: the official halving, which takes the height for the width as well, so that of a picture
            wider than high the coarser scales see the left square only; for weights that were trained with it. True:
            every scale sees the whole picture.
    """

    def __init__(self, ch: int = 64, n_layer: int = 4, *, whole_width: bool = False) -> None:
        super().__init__()
        self.whole_width = whole_width
        for domain in "AB":
            for scale in (1, 2, 4):
                self.add_module(f"model_{scale}_{domain}", _patch_net(ch, n_layer))

    def score_a(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Logits of being a picture of domain A."""
        return self._score(picture, "A")

    def score_b(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Logits of being a picture of domain B."""
        return self._score(picture, "B")

    def _score(self, picture: Tensor, domain: str) -> tuple[Tensor, ...]:
        pyramid = [picture]
        for _ in range(2):
            pyramid.append(self._halve(pyramid[-1]))
        nets = (getattr(self, f"model_{scale}_{domain}") for scale in (1, 2, 4))
        return tuple(net(x) for net, x in zip(nets, pyramid, strict=True))

    def _halve(self, picture: Tensor) -> Tensor:
        smooth = smoothen(picture)
        columns = picture.shape[3] if self.whole_width else picture.shape[2]
        return smooth[:, :, ::2, 0:columns:2]


def smoothen(picture: Tensor) -> Tensor:
    """Binomial smoothing (1, 2, 1) / 4 along both axes, edges replicated: OpenCV's Gaussian kernel of size 3."""
    channels = picture.shape[1]
    row = torch.tensor([0.25, 0.5, 0.25], dtype=picture.dtype, device=picture.device)
    kernel = torch.outer(row, row).expand(channels, 1, 3, 3)
    return functional.conv2d(functional.pad(picture, (1, 1, 1, 1), mode="replicate"), kernel, groups=channels)
