"""Styles of their own for objects that are given as boxes, without any operator that crops.

Ours, not the paper's [guess]: see ``init``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edge_i2i.models.munit.blocks import Modulation
from edge_i2i.models.munit.networks import Decoder


def box_shares(boxes: Tensor, height: int, width: int, stride: int) -> Tensor:
    """How much of every position belongs to the background and to each box.

    A position belongs to a box that holds its centre (left ≤ x < right, top ≤ y < bottom); where boxes overlap, they
    share it in equal parts, so that the order of the boxes does not matter and boxes that tremble from frame to frame
    do not make whole objects change their look. A box without area, or too small to hold a centre, holds nothing.

    Args:
        boxes: float [K, 4]: left, top, right, bottom in pixels.
        height: rows of positions.
        width: columns of positions.
        stride: pixels from one position to the next.

    Returns:
        float [1 + K, height * width], the background first; every column adds up to 1.
    """
    left, top, right, bottom = (boxes[:, side : side + 1] for side in range(4))
    across = _within(left, right, width, stride)
    down = _within(top, bottom, height, stride)
    inside = (down.unsqueeze(2) * across.unsqueeze(1)).reshape(-1, height * width)
    boxes_here = inside.sum(dim=0, keepdim=True)
    background = 1.0 - boxes_here.clamp(max=1.0)
    return torch.cat([background, inside / boxes_here.clamp(min=1.0)])


def _within(start: Tensor, end: Tensor, count: int, stride: int) -> Tensor:
    """[K, 1] twice → [K, count]: 1 where a position's centre lies between the two."""
    centres = (torch.arange(count, dtype=torch.float32, device=start.device) + 0.5) * stride
    return (centres >= start).to(torch.float32) * (centres < end).to(torch.float32)


def spread_modulations(decoder: Decoder, vectors: Tensor, shares: Tensor, height: int, width: int) -> list[Modulation]:
    """Shifts and scales of every position: each layer's vectors, mixed by the shares, in one product of matrices.

    Args:
        decoder: whose AdaIN layers they are for.
        vectors: float [1 + K, adain_size], the background's first.
        shares: float [1 + K, height * width].
        height: rows of positions.
        width: columns of positions.

    Returns:
        Per layer a shift and a scale, [1, C, height, width].
    """
    modulations: list[Modulation] = []
    both = 2 * decoder.dim
    for first in range(0, decoder.adain_size, both):
        spread = vectors[:, first : first + both].transpose(0, 1) @ shares
        maps = spread.reshape(1, both, height, width)
        modulations.append((maps[:, : decoder.dim], maps[:, decoder.dim :]))
    return modulations
