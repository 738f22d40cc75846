"""What fine-tuning minimises: how far a quantized picture is from that of the same network in FP32.

No adversarial term: a discriminator would reward other pictures than the network's own. The weights are those of the
distillation that was measured: L1 alone blurs, the structure term keeps contrast, and the high-pass term keeps the fine
texture that rounding eats first.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edge_i2i.metrics.picture import SSIM_K1, SSIM_K2, SSIM_SIGMA, SSIM_WINDOW

_BLUR = 5  # pixels; what a box of that side takes away is texture


@dataclass(frozen=True)
class LossWeights:
    """L1 of pictures in [-1, 1], 1 - SSIM, and L1 of what a 5x5 box blur takes away."""

    l1: float = 50.0
    structure: float = 10.0
    texture: float = 20.0


def distillation_terms(picture: Tensor, reference: Tensor) -> dict[str, Tensor]:
    """The terms of the loss, unweighted: ``l1``, ``structure`` (1 - SSIM) and ``texture``.

    Args:
        picture: the quantized network's, float [H, W, 3], 0..255, before rounding.
        reference: the FP32 network's; no gradient flows into it.

    Returns:
        Scalars.
    """
    ours, theirs = (_network_form(tensor) for tensor in (picture, reference.detach()))
    return {
        "l1": functional.l1_loss(ours, theirs),
        "structure": 1.0 - structural_similarity((ours + 1.0) / 2.0, (theirs + 1.0) / 2.0),
        "texture": functional.l1_loss(_texture(ours), _texture(theirs)),
    }


def total(terms: dict[str, Tensor], weights: LossWeights) -> Tensor:
    """The sum of the loss's terms, each with its weight."""
    return weights.l1 * terms["l1"] + weights.structure * terms["structure"] + weights.texture * terms["texture"]


def structural_similarity(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of pictures [1, C, H, W] in [0, 1], as ``metrics.picture.ssim`` has it, with gradients.

    The window shrinks to the picture where that is smaller.
    """
    kernel = _gaussian(min(SSIM_WINDOW, *a.shape[-2:]), a)
    mean_a, mean_b = _window(a, kernel), _window(b, kernel)
    variance_a = _window(a * a, kernel) - mean_a.square()
    variance_b = _window(b * b, kernel) - mean_b.square()
    covariance = _window(a * b, kernel) - mean_a * mean_b
    c1, c2 = SSIM_K1**2, SSIM_K2**2
    luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1)
    structure = (2 * covariance + c2) / (variance_a + variance_b + c2)
    return (luminance * structure).mean()


def _network_form(picture: Tensor) -> Tensor:
    return picture.permute(2, 0, 1).unsqueeze(0) / 127.5 - 1.0


def _texture(picture: Tensor) -> Tensor:
    return picture - functional.avg_pool2d(picture, _BLUR, stride=1, padding=_BLUR // 2, count_include_pad=False)


def _gaussian(side: int, like: Tensor) -> Tensor:
    places = torch.arange(side, dtype=like.dtype, device=like.device) - (side - 1) / 2
    bell = torch.exp(-places.square() / (2 * SSIM_SIGMA**2))
    return bell / bell.sum()


def _window(values: Tensor, kernel: Tensor) -> Tensor:
    """The weighted mean around every pixel whose window lies inside; rows, then columns."""
    channels = values.shape[1]
    rows = kernel.reshape(1, 1, -1, 1).expand(channels, 1, -1, 1)
    return functional.conv2d(functional.conv2d(values, rows, groups=channels), rows.transpose(2, 3), groups=channels)
