"""What a fine-tuning is asked to do, what it is fed with, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Protocol

from edge_i2i.arrays import Array
from edge_i2i.errors import UsageError
from edge_i2i.graphs.qdq.scheme import Range
from edge_i2i.learn.training_log import Record
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.qat.loss import LossWeights

USUAL_LEARNING_RATE = 2e-4
"""What image-to-image generators are trained with; fine-tuning takes a tenth."""


class Stream(IntEnum):
    """What inputs are drawn for: the two never share a draw."""

    TRAINING = 0
    CHECKING = 1


class Draw(Protocol):
    """Gives the frame graph's inputs by name, in outside form; the same stream and index give the same arrays."""

    def __call__(self, stream: Stream, index: int) -> Mapping[str, Array]:
        """The inputs number ``index`` (from 0) of a stream."""
        ...


@dataclass(frozen=True)
class QatOptions:
    """How long and how gently. ``frames``: inputs a step; ``keep_best_every``: steps between checks and checkpoints.

    Ranges and scales are learned as logarithms, with their own rate, during the first half of the steps; then they
    are frozen and the learning rate falls linearly to zero.
    """

    steps: int = 500
    frames: int = 1
    learning_rate: float = USUAL_LEARNING_RATE / 10
    range_learning_rate: float = 1e-2
    checking_frames: int = 8
    keep_best_every: int = 50
    log_every: int = 10
    loss: LossWeights = field(default_factory=LossWeights)
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse numbers that no run can be made with.

        Raises:
            UsageError: a count is below 1, or a learning rate is no number above 0.
        """
        counts = (self.steps, self.frames, self.checking_frames, self.keep_best_every)
        if min(*counts, self.log_every) < 1:
            raise UsageError("Steps and frames must be at least 1.")
        rates = (self.learning_rate, self.range_learning_rate)
        if not all(math.isfinite(rate) and rate > 0 for rate in rates):
            raise UsageError("A learning rate must be a number above 0.", remedy="2e-5 is a good start.")

    def share_at(self, step: int) -> float:
        """The share of the learning rate that a step (from 0) takes."""
        return min(1.0, 2.0 * (self.steps - step) / self.steps)


@dataclass(frozen=True)
class QatResult:
    """The best of what was checked, and how it came about.

    ``weights``: float32 by initializer of the graph; ``ranges`` and ``weight_scales`` by layer, for ``insert_qdq``.
    ``psnr_before`` and ``psnr_after``: dB of the fake-quantized to the FP32 picture on the checking frames, on the
    float picture; before is the calibrated graph without any training. ``best_step`` 0: training did not help.
    """

    weights: Mapping[str, Array]
    ranges: Mapping[str, Range]
    weight_scales: Mapping[str, Array]
    history: tuple[Record, ...]
    psnr_before: float
    psnr_after: float
    best_step: int
    step: int
    finished: bool


@dataclass(frozen=True)
class Run:
    """Where a run keeps its log and checkpoint, and who is told.

    ``sources`` tells the weights that it starts from, and the data, from others: only then is it resumed.
    """

    folder: Path
    resume: bool = False
    sources: str = ""
    should_stop: Callable[[], bool] = field(default=lambda: False)
    progress: Progress = field(default_factory=NullProgress)
