"""The losses of pix2pixHD as pure functions of the discriminator's outputs.

A multiscale discriminator returns, per scale, the output of every layer; the last one is the patch score
(`edge_i2i.models.pix2pixhd.discriminators.MultiscaleDiscriminator`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

ScaleOutputs = Sequence[Sequence[Tensor]]


def lsgan(outputs: ScaleOutputs, *, real: bool) -> Tensor:
    """Least-squares GAN loss (Mao et al. 2017): how far the patch scores are from 1 (real) or 0 (made).

    Args:
        outputs: per scale, the discriminator's layers; scores of any shape.
        real: which answer is wanted.

    Returns:
        Scalar: mean squared distance, summed over scales as the official code does.
    """
    target = 1.0 if real else 0.0
    return _total([(scale[-1].float() - target).square().mean() for scale in outputs])


def discriminator_loss(of_real: ScaleOutputs, of_made: ScaleOutputs) -> Tensor:
    """What the discriminator minimises: half of each error (official ``(loss_D_fake + loss_D_real) * 0.5``)."""
    return 0.5 * (lsgan(of_real, real=True) + lsgan(of_made, real=False))


def feature_matching(of_made: ScaleOutputs, of_real: ScaleOutputs) -> Tensor:
    """Distance between the discriminator's inner features of made and real pictures (paper, equation 4).

    The official weights: mean absolute difference of each layer but the score, times 4 / (number of layers) and
    1 / (number of scales). No gradient flows into ``of_real``.

    Returns:
        Scalar.
    """
    terms = [
        functional.l1_loss(made.float(), real.detach().float()) * (4.0 / (len(made_scale) - 1) / len(of_made))
        for made_scale, real_scale in zip(of_made, of_real, strict=True)
        for made, real in zip(made_scale[:-1], real_scale[:-1], strict=True)
    ]
    return _total(terms)


def _total(terms: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(terms)).sum()
