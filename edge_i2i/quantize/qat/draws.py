"""Inputs to fine-tune on: a calibration set's samples, recombined and mirrored."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphDeclaration, Role
from edge_i2i.quantize.calibration.calibration_set import CalibrationSet
from edge_i2i.quantize.calibration.samples import Sample
from edge_i2i.quantize.qat.plan import Stream
from edge_i2i.translate.conditions import PER_FRAME

_MOST_CHECKED = 8
_MIRRORED = 0.5  # the share of training inputs that are seen in a mirror


class CalibrationDraw:
    """Draws from a calibration set: any of its frames with any of its looks, and half of them mirrored.

    Frames with boxes are not mirrored. Checking inputs are samples that training never draws (the last eighth, where
    there are eight or more), as they are and in turn. The held-out samples are left alone: they judge the result.

    Args:
        calibration: the set to draw from.
        frame: the frame graph's declaration: what an input has to hold.
        seed: of everything that is drawn; draw number N is the same in every run.
    """

    def __init__(self, calibration: CalibrationSet, frame: GraphDeclaration, seed: int) -> None:
        self._samples, self._frame, self._seed = calibration.samples, frame, seed
        kept = min(_MOST_CHECKED, len(self._samples) // 8)
        self._trained = len(self._samples) - kept
        self._checked = range(self._trained, len(self._samples)) if kept else range(len(self._samples))
        self._own = {spec.name for spec in frame.inputs if spec.role in PER_FRAME}
        self._spatial = {spec.name for spec in frame.inputs if spec.is_spatial and spec.role in PER_FRAME}
        self._mirrors = frame.input(Role.BOXES) is None

    def __call__(self, stream: Stream, index: int) -> Mapping[str, Array]:
        """The inputs number ``index`` of a stream; read-only arrays may be shared between draws."""
        if stream is Stream.CHECKING:
            return self._samples[self._checked[index % len(self._checked)]]
        rng = np.random.default_rng([self._seed, stream, index])
        frame, look = (self._samples[int(number)] for number in rng.integers(self._trained, size=2))
        mirrored = self._mirrors and rng.random() < _MIRRORED
        return {spec.name: self._input(spec.name, frame, look, mirrored) for spec in self._frame.inputs}

    def _input(self, name: str, frame: Sample, look: Sample, mirrored: bool) -> Array:
        array = frame[name] if name in self._own else look[name]
        return np.ascontiguousarray(array[:, ::-1]) if mirrored and name in self._spatial else array
