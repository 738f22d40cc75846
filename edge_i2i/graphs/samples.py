"""Fresh inputs for a declared graph: seeded, unlike zeros and unlike each other, so that nothing baked in can hide."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, TensorSpec, in_order
from edge_i2i.graphs.running import run_torch_network
from edge_i2i.models.family import ModelGraph

_REGIONS = 24  # how many labelled regions a made-up label map has


def sample_inputs(declaration: GraphDeclaration, seed: int) -> dict[str, Array]:
    """Legal inputs of the declared shapes, dtypes and ranges; the same seed gives the same arrays."""
    return {spec.name: _sample(spec, _generator(spec, seed)) for spec in declaration.inputs}


def sample_network(graphs: Sequence[ModelGraph], seed: int) -> dict[str, dict[str, Array]]:
    """Inputs for every graph of a network, by graph name, as they belong together in use.

    What a condition graph computes, the graphs behind it are given: a style that no exemplar has would exercise a
    network where nobody uses it. A tensor of one name is the same array everywhere.
    """
    values: dict[str, Array] = {}
    samples = {}
    for graph in in_order([graph.declaration for graph in graphs]):
        drawn = sample_inputs(graph, seed)
        samples[graph.name] = {name: values.setdefault(name, array) for name, array in drawn.items()}
        if graph.kind is GraphKind.CONDITION:
            module = next(item for item in graphs if item.declaration is graph)
            results = run_torch_network(module, [samples[graph.name]])[0]
            values.update({spec.name: results[spec.name] for spec in graph.outputs})
    return samples


def _generator(spec: TensorSpec, seed: int) -> np.random.Generator:
    """A tensor's own numbers, whichever graph takes it."""
    return np.random.default_rng([seed, *spec.name.encode()])


def _sample(spec: TensorSpec, rng: np.random.Generator) -> Array:
    if spec.is_picture:
        return _picture(spec.shape, rng)
    if spec.role is Role.MASK:
        return _mask(spec.shape, rng)
    if spec.is_spatial:
        return _regions(spec, rng)
    if spec.role is Role.BOXES:
        return _boxes(spec, rng)
    if spec.role is Role.ATTRIBUTES:
        return rng.integers(0, 2, spec.shape).astype(np.float32)
    if math.isinf(spec.low) or math.isinf(spec.high):
        return rng.normal(0.0, 1.0, spec.shape).astype(np.float32)
    return rng.uniform(spec.low, spec.high, spec.shape).astype(np.float32)


def _boxes(spec: TensorSpec, rng: np.random.Generator) -> Array:
    """Half of the rows used: left, top, right, bottom in 0..``high``, the others zero."""
    boxes = np.zeros(spec.shape, np.float32)
    used = max(1, len(boxes) // 2)
    corners = np.sort(rng.uniform(0.0, spec.high, (used, 2, 2)), axis=1)  # of the smaller side, where sides differ
    boxes[:used] = corners.reshape(used, 4)
    return boxes


def _mask(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Soft blobs, 0 outside to 255 inside."""
    height, width = shape
    return _picture((height, width, 1), rng)[..., 0]


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
