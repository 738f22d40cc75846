"""Masks and boxes drawn by chance, for networks that take them and calibration pictures that come without."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import Role, Size, TensorSpec

_SHORTEST, _LONGEST = 0.15, 0.6  # of a frame's side: objects that a street or a face shows


def draw_regions(specs: Mapping[str, TensorSpec], size: Size, seed: tuple[int, ...]) -> dict[str, Array]:
    """Draw a mask (uint8 ``[H, W]``) or boxes (float32 ``[K, 4]``, in pixels) for each input that takes them.

    Args:
        specs: the declared masks and boxes by name; boxes have as many rows K as are declared.
        size: the height and width that they are drawn for.
        seed: whole numbers; the same ones give the same regions, at the same places relative to the size.
    """
    regions = {}
    for name, spec in specs.items():
        rng = np.random.default_rng([*seed, *name.encode()])
        regions[name] = _mask(size, rng) if spec.role is Role.MASK else _boxes(spec, size, rng)
    return regions


def _boxes(spec: TensorSpec, size: Size, rng: np.random.Generator) -> Array:
    """One to all rows used: left, top, right, bottom; the others zero."""
    boxes = np.zeros(spec.shape, np.float32)
    for row in range(int(rng.integers(1, len(boxes) + 1))):
        boxes[row] = _box(rng) * np.array([size.width, size.height] * 2)
    return boxes


def _mask(size: Size, rng: np.random.Generator) -> Array:
    """A soft-edged ellipse, 0 outside and 255 inside."""
    left, top, right, bottom = _box(rng)
    down = (np.arange(size.height)[:, None] + 0.5) / size.height
    across = (np.arange(size.width)[None, :] + 0.5) / size.width
    distance = np.hypot((across * 2 - left - right) / (right - left), (down * 2 - top - bottom) / (bottom - top))
    mask: Array = np.clip(np.rint((1.1 - distance) / 0.2 * 255), 0, 255).astype(np.uint8)
    return mask


def _box(rng: np.random.Generator) -> Array:
    """Left, top, right, bottom as shares of the sides."""
    sides = rng.uniform(_SHORTEST, _LONGEST, 2)
    corner = rng.uniform(0, 1 - sides)
    return np.array([*corner, *(corner + sides)])
