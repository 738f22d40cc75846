"""Fresh inputs for a declared graph: seeded, unlike zeros and unlike each other, so that nothing baked in can hide."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_i2i.models.contract import DType, GraphDeclaration, Role, TensorSpec

Array = NDArray[Any]

_REGIONS = 24  # how many labelled regions a made-up label map has


def sample_inputs(declaration: GraphDeclaration, seed: int) -> dict[str, Array]:
    """Legal inputs of the declared shapes, dtypes and ranges; the same seed gives the same arrays."""
    return {
        spec.name: _sample(spec, np.random.default_rng([seed, index])) for index, spec in enumerate(declaration.inputs)
    }


def _sample(spec: TensorSpec, rng: np.random.Generator) -> Array:
    if spec.role in (Role.FRAME, Role.EXEMPLAR):
        return _picture(spec.shape, rng)
    if spec.dtype is DType.FLOAT32:
        return rng.uniform(spec.low, spec.high, spec.shape).astype(np.float32)
    return _regions(spec, rng)


def _picture(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Soft shapes over fine noise: the mixture of scales that photographs have."""
    height, width, channels = shape
    picture = rng.normal(0.0, 6.0, shape)
    for cell in (4, 16, 64):
        coarse = rng.uniform(-60.0, 60.0, (height // cell + 2, width // cell + 2, channels))
        picture += _enlarge(coarse, cell)[:height, :width]
    return np.clip(np.rint(picture + 127.5), 0, 255).astype(np.uint8)


def _enlarge(coarse: Array, cell: int) -> Array:
    """Bilinear enlargement of both axes by a whole factor."""
    for axis in (0, 1):
        cells = coarse.shape[axis] - 1
        fraction = np.tile(np.arange(cell) / cell, cells).reshape([-1, 1, 1] if axis == 0 else [1, -1, 1])
        lower = np.repeat(coarse.take(range(cells), axis), cell, axis)
        upper = np.repeat(coarse.take(range(1, cells + 1), axis), cell, axis)
        coarse = lower * (1 - fraction) + upper * fraction
    return coarse


def _regions(spec: TensorSpec, rng: np.random.Generator) -> Array:
    """A Voronoi map: one legal id for every region (instance ids up to 35999, as in Cityscapes)."""
    height, width = spec.shape[:2]
    centres = rng.uniform(0, 1, (_REGIONS, 2)) * (height, width)
    rows, columns = np.mgrid[:height, :width]
    nearest = np.argmin([(rows - r) ** 2 + (columns - c) ** 2 for r, c in centres], axis=0)
    ids = rng.integers(int(spec.low), int(min(spec.high, 35_999)) + 1, _REGIONS)
    result: Array = ids[nearest].astype(spec.dtype.value)
    return result
