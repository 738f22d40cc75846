"""Layers that several models share, in the form that runs exactly on every engine."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def mean_in_two_steps(x: Tensor) -> Tensor:
    """The mean over C, H and W, [N, C, H, W] → [N, 1, 1, 1], over each plane first.

    ONNX Runtime adds up a reduction over all three axes in one row: at 64x256x256 its mean is off by 2e-4 of its value,
    in two steps by 6e-7, and three times as fast.
    """
    return x.mean((2, 3), keepdim=True).mean(1, keepdim=True)


class SampleNorm(nn.Module):
    """``nn.GroupNorm(1, channels)`` with its keys (``weight``, ``bias``): one mean and variance for each sample.

    The exporter writes group norm as an instance norm over one long row, which ONNX Runtime sums up as inexactly.
    """

    def __init__(self, channels: int, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.epsilon = epsilon

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] → the same shape."""
        centred = x - mean_in_two_steps(x)
        deviation = (mean_in_two_steps(centred * centred) + self.epsilon).sqrt()
        return centred / deviation * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)
