"""Processes that take time on a clock, or fail as networks and engines do; and loaders of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_i2i.clock import Clock
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.progress import Progress


class FakeModel:
    """Gives the frame itself after ``seconds``, or what ``does`` makes of it."""

    effective_precision = "fp32"

    def __init__(
        self,
        clock: Clock,
        seconds: float | Callable[[int], float] = 0.0,
        does: Callable[[Frame], Processed] | None = None,
        engine: str = "fake",
    ) -> None:
        self._clock, self._seconds, self._does = clock, seconds, does
        self.engine = engine
        self.calls = self.closed = 0
        self.looks: list[dict[str, Any]] = []
        self.seen: list[int] = []

    def __call__(self, frame: Frame) -> Processed:
        assert not self.closed, "used after it was closed"
        seconds = self._seconds(self.calls) if callable(self._seconds) else self._seconds
        self.calls += 1
        self.seen.append(frame.seq)
        if seconds:
            self._clock.sleep(seconds)
        if self._does is not None:
            return self._does(frame)
        return Processed(frame.image, seconds={"model": seconds})

    def condition(self, **inputs: Any) -> None:
        if "broken" in inputs:
            raise ValueError("no such look")
        self.looks.append(inputs)

    def close(self) -> None:
        assert not self.closed, "closed twice"
        self.closed += 1


def hanging(clock: Clock, after: int = 3) -> FakeModel:
    """Never returns from frame number ``after``."""

    def does(frame: Frame) -> Processed:
        if frame.seq >= after:
            condition = clock.condition()
            with condition:
                condition.wait_for(lambda: False)
        return Processed(frame.image)

    return FakeModel(clock, 0.01, does)


def raising(clock: Clock, *when: int, error: Exception | None = None) -> FakeModel:
    """Raises in these calls, counted from 0; in every one if none are named."""
    model: FakeModel

    def does(frame: Frame) -> Processed:
        if not when or model.calls - 1 in when:
            raise error or RuntimeError("CUDA error 700")
        return Processed(frame.image)

    model = FakeModel(clock, 0.001, does)
    return model


def misshapen(clock: Clock, kind: str, *when: int) -> FakeModel:
    """Gives what is no picture, in these calls."""
    wrongs: dict[str, Any] = {
        "grey": np.zeros((4, 4), np.uint8),
        "four channels": np.zeros((4, 4, 4), np.uint8),
        "float": np.full((4, 4, 3), np.nan, np.float32),
        "nothing": None,
    }
    model: FakeModel

    def does(frame: Frame) -> Processed:
        return Processed(wrongs[kind] if model.calls - 1 in when else frame.image)

    model = FakeModel(clock, 0.001, does)
    return model


def loader(clock: Clock, process: Process, seconds: float, error: Exception | None = None) -> Any:
    """Takes ``seconds``, in ten steps that it tells of."""

    def load(progress: Progress) -> Process:
        progress.start(10, "layers")
        for _ in range(10):
            if seconds:
                clock.sleep(seconds / 10)
            progress.advance()
        progress.finish()
        if error is not None:
            raise error
        return process

    return load
