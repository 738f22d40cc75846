"""Complete inputs of a frame graph, computed when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphDeclaration, Size
from edge_i2i.media.geometry import Fit
from edge_i2i.metrics.flicker import pan_clip
from edge_i2i.quantize.calibration.scenes import Scene, moved_boxes, placed

KEPT_BYTES = 256 * 2**20
"""How much of a set of samples stays in memory; the rest is computed again whenever it is read."""
CLIP_FRAMES = 8
PAN_STEP = (2, 4)
"""Pixels (down, right) from one frame of a clip to the next."""

Sample = Mapping[str, Array]


@dataclass(frozen=True, eq=False)
class Composition:
    """What a sample is made of: a scene, regions drawn for a size, and the tensors of a look."""

    scene: Scene
    regions: Callable[[Size], Sample] = field(repr=False)
    look: Callable[[], Sample] = field(repr=False)


@dataclass(frozen=True)
class Composer:
    """Makes complete inputs of a frame graph: a scene laid into the network's size by ``fit``, regions, a look."""

    frame: GraphDeclaration
    fit: Fit

    def sample(self, composition: Composition) -> Sample:
        """The declared inputs, in declared shapes and dtypes; not to be written to."""
        return self._complete({**self._frame_inputs(composition, self.frame.size), **composition.look()})

    def clip(self, composition: Composition) -> tuple[Sample, ...]:
        """The same look on ``CLIP_FRAMES`` frames, which pan over the scene by ``PAN_STEP``."""
        size, (down, right) = self.frame.size, PAN_STEP
        way = CLIP_FRAMES - 1
        canvas = self._frame_inputs(composition, Size(size.height + down * way, size.width + right * way))
        spatial = {spec.name for spec in self.frame.inputs if spec.is_spatial}
        crops = {name: pan_clip(canvas[name], size, PAN_STEP, CLIP_FRAMES).frames for name in canvas.keys() & spatial}
        look, frames = composition.look(), []
        for number in range(CLIP_FRAMES):
            seen = {name: of_clip[number] for name, of_clip in crops.items()}
            boxes = {
                name: moved_boxes(canvas[name], size, down * number, right * number) for name in canvas.keys() - spatial
            }
            frames.append(self._complete({**seen, **boxes, **look}))
        return tuple(frames)

    def _frame_inputs(self, composition: Composition, size: Size) -> dict[str, Array]:
        specs = {spec.name: spec for spec in self.frame.inputs}
        return {**placed(composition.scene.read(), specs, size, self.fit), **composition.regions(size)}

    def _complete(self, arrays: Sample) -> Sample:
        inputs = {spec.name: np.ascontiguousarray(arrays[spec.name]) for spec in self.frame.inputs}
        for array in inputs.values():
            array.flags.writeable = False  # samples are shared: who writes into one would change the next run
        return inputs


class LazySamples(Sequence[Sample]):
    """Samples that are computed when they are read. The first that fit into ``kept_bytes`` stay.

    Nothing is dropped for what comes later: whoever reads a set again and again from its start would otherwise find
    each sample gone when its turn comes.

    Args:
        compositions: what each sample is made of, in order.
        compute: makes one.
        kept_bytes: how much memory samples may take that stay.
    """

    def __init__(
        self,
        compositions: Sequence[Composition],
        compute: Callable[[Composition], Sample],
        kept_bytes: int = KEPT_BYTES,
    ) -> None:
        self._compositions, self._compute, self._room = tuple(compositions), compute, kept_bytes
        self._kept: dict[int, Sample] = {}

    def __len__(self) -> int:
        return len(self._compositions)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Sample]: ...
    def __getitem__(self, index: int | slice) -> Sample | Sequence[Sample]:
        """One sample; of a slice, the samples one after another (all in memory)."""
        if isinstance(index, slice):
            return [self._at(position) for position in range(len(self))[index]]
        return self._at(range(len(self))[index])

    def _at(self, position: int) -> Sample:
        if position in self._kept:
            return self._kept[position]
        sample = self._compute(self._compositions[position])
        size = sum(array.nbytes for array in sample.values())
        if size <= self._room:
            self._room -= size
            self._kept[position] = sample
        return sample
