"""What the parts of ``benchmarks.live.run`` share: networks to measure around, a sink, the process's state."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.inputs import identity_bundle
from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.live.figures.stats import WARM_UP_RESULTS
from edge_i2i.live.frame import Frame, Origin, Result
from edge_i2i.live.model.process import Processed
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.machine import resident_bytes
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.sources.coded import read_code

MODEL, CAMERA = Size(256, 256), Size(720, 1280)


@dataclass(frozen=True)
class Setup:
    """How to measure. ``quick``: only whether it works. ``frames``: of the soak."""

    folder: Path
    threads: int
    quick: bool
    frames: int

    @cached_property
    def demo(self) -> Path:
        """The shipped demo network at 256x256."""
        path = self.folder / "demo.i2i"
        export_bundle(load_demo("pix2pixhd"), MODEL, path, ExportOptions(precisions=("fp32",), threads=self.threads))
        return path

    @cached_property
    def identity(self) -> Path:
        """A network that gives the frame itself, at 256x256."""
        return identity_bundle(self.folder / "identity.i2i", MODEL)

    def few(self, whole: int, quick: int) -> int:
        """How many: ``quick`` where only its working is looked at."""
        return quick if self.quick else whole


class Sleeping:
    """A network that takes so many seconds, and gives the frame itself; it leaves the processor to others."""

    engine, effective_precision = "sleeping", ""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self._clock, self._seconds = clock, seconds

    def __call__(self, frame: Frame) -> Processed:
        began = self._clock.now()
        if self._seconds:
            self._clock.sleep(self._seconds)
        return Processed(frame.image, seconds={"model": self._clock.now() - began})

    def condition(self, **inputs: Any) -> None:
        """It has no looks."""

    def close(self) -> None:
        """It holds nothing."""


@dataclass(frozen=True)
class Taken:
    """A result as a sink got it. ``now``, ``age``: seconds. ``waited``: until the model had finished the one before.

    ``cpu``: of the whole process so far, in seconds. ``code``: the number in its pixels, where there is one.
    """

    now: float
    age: float
    waited: float
    stages: dict[str, float]
    cpu: float
    code: int | None

    @property
    def overhead(self) -> float:
        """Neither the model nor waiting for it: conversions, and every hop from thread to thread."""
        return self.age - self.stages.get("model", 0.0) - self.waited


class TimedSink(Sink):
    """Takes every result, and keeps when; not what is passed through while a network loads. ``coded``: reads codes."""

    name = "timed"
    wants_every = True

    def __init__(self, clock: Clock, *, coded: bool = False) -> None:
        self.taken: list[Taken] = []
        self._clock, self._coded, self._model_free = clock, coded, 0.0

    def write(self, picture: Picture, result: Result) -> None:
        now = self._clock.now()
        waited = max(0.0, self._model_free - result.frame.t_capture)
        self._model_free = result.t_done
        if result.origin is Origin.PASSED_THROUGH:
            return
        code = read_code(picture) if self._coded else None
        age, number = now - result.frame.t_capture, code.number if code else None
        self.taken.append(Taken(now, age, waited, dict(result.seconds), time.process_time(), number))

    def close(self) -> None:
        """Nothing to do."""

    @property
    def settled(self) -> list[Taken]:
        """Without the warm-up."""
        return self.taken[WARM_UP_RESULTS:]


def milliseconds(seconds: Sequence[float], *percents: int) -> dict[str, float]:
    """``p50_ms`` … of times in seconds."""
    return {f"p{percent}_ms": round(float(np.percentile(seconds, percent)) * 1e3, 3) for percent in percents}


@dataclass(frozen=True)
class Reading:
    """The process at one moment. ``at``: frames, swaps or cycles so far. ``resident``: bytes."""

    at: int
    resident: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls, at: int) -> Reading:
        return cls(at, resident_bytes() or 0, threading.active_count(), len(list(Path("/proc/self/fd").iterdir())))


def growth(readings: Sequence[Reading], leave_out: float = 0.1) -> float:
    """Megabytes for each frame, swap or cycle: least squares, without a share of them at the beginning."""
    settled = readings[round(len(readings) * leave_out) :]
    return float(np.polyfit([r.at for r in settled], [r.resident / 1e6 for r in settled], 1)[0])


def extent(readings: Sequence[Reading]) -> dict[str, Any]:
    """Memory at the end in MB; fewest and most threads and descriptors."""
    settled = readings[len(readings) // 10 :]
    return {
        "resident_mb": round(settled[-1].resident / 1e6, 1),
        "threads": [min(r.threads for r in settled), max(r.threads for r in settled)],
        "descriptors": [min(r.descriptors for r in settled), max(r.descriptors for r in settled)],
    }


def return_free_memory() -> None:
    """Have glibc return what is free to the system, so that resident memory is what is held.

    Each thread that loads a network gets one of the allocator's arenas, which keep what was freed in them: over 50
    networks that are several MB each time that nothing holds, and that later ones use again.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def wait_until_threads_ended(clock: SystemClock, seconds: float = 2.0) -> None:
    """A thread that has said that it ends needs a moment until the system has taken it away."""
    until = clock.now() + seconds
    while clock.now() < until and any(thread.name.startswith("edge-i2i") for thread in threading.enumerate()):
        clock.sleep(0.005)
