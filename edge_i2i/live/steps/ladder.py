"""A ladder of networks, the best picture first, that holds a frame rate: down when too slow, up when there is room.

What decides is what a frame costs, never how many there are: a camera that gives ten frames a second is no reason to
go down, and a slow network behind it none to stay up. Costs are the 90th percentile over one second. The rules: one
rung down after half a second above 95 % of the budget; one up after five seconds in which the rung above, by its
predicted cost, would stay below 70 %.

Predictions are made when the rungs are warmed up and put right by what is seen: a machine that slows down slows all
rungs alike, and a rung that turns out dearer than predicted, compared with the one it was entered from, is known to be
so from then on. So costs that stay as they are end on one rung, and stay there.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Loader, Process, Processed
from edge_i2i.live.model.translation import blank_frame
from edge_i2i.progress import NullProgress, Progress

WINDOW = 1.0
"""Seconds over which a percentile is taken. After a pause of this length the rules begin anew."""

QUANTILE = 0.9
DOWN_SHARE, DOWN_AFTER = 0.95, 0.5
UP_SHARE, UP_AFTER = 0.70, 5.0

_LEAST_COST = 1e-6  # seconds; a predicted cost is divided by


class _Lasting:
    """Since when something has held without a break, in seconds of the clock."""

    def __init__(self) -> None:
        self._since: float | None = None

    def reset(self) -> None:
        self._since = None

    def lasts(self, holds: bool, now: float, seconds: float) -> bool:
        """Whether ``holds`` has been true at every call for ``seconds`` until ``now``."""
        if not holds:
            self._since = None
        elif self._since is None:
            self._since = now
        return self._since is not None and now - self._since >= seconds


class LadderController:
    """Chooses the next rung. A pure calculation: time and costs are handed in, in seconds.

    ``predicted``: costs of the rungs, the best picture first. ``budget``: what a frame may cost. It begins on the best
    rung that is predicted to stay below 70 % of it, or the last one.
    """

    def __init__(self, predicted: Sequence[float], budget: float) -> None:
        self._costs = [max(cost, _LEAST_COST) for cost in predicted]  # at the machine's speed of the predictions
        self._budget = budget
        self._slowdown = 1.0  # of the machine, since the predictions
        fitting = (rung for rung, cost in enumerate(self._costs) if cost <= UP_SHARE * budget)
        self.rung = next(fitting, len(self._costs) - 1)
        self._seen: deque[tuple[float, float]] = deque()
        self._too_slow, self._room_above = _Lasting(), _Lasting()
        self._entered: float | None = None  # when, while a rung just entered has not shown its cost yet

    def observe(self, now: float, cost: float) -> int:
        """Take note that a frame took ``cost`` seconds and was done at ``now``; returns the rung for the next frame."""
        self._remember(now, cost)
        seen = self._percentile()
        self._learn(now, seen)
        if self._too_slow.lasts(seen > DOWN_SHARE * self._budget, now, DOWN_AFTER):
            self._move(+1, now)
        elif self._room_above.lasts(self._has_room_above(), now, UP_AFTER):
            self._move(-1, now)
        return self.rung

    def _remember(self, now: float, cost: float) -> None:
        if self._seen and now - cost - self._seen[-1][0] > WINDOW:  # nobody asked for frames that long
            self._seen.clear()
            self._forget_trends()
        self._seen.append((now, cost))
        while self._seen[0][0] < now - WINDOW:
            self._seen.popleft()

    def _forget_trends(self) -> None:
        self._too_slow.reset()
        self._room_above.reset()

    def _percentile(self) -> float:
        costs = sorted(cost for _, cost in self._seen)
        return max(costs[math.ceil(QUANTILE * len(costs)) - 1], _LEAST_COST)

    def _learn(self, now: float, seen: float) -> None:
        """A rung just entered shows its own cost; later changes are the machine's."""
        if self._entered is not None and now - self._entered < DOWN_AFTER:
            return
        if self._entered is not None:
            self._costs[self.rung] = seen / self._slowdown
            self._entered = None
        self._slowdown = seen / self._costs[self.rung]

    def _has_room_above(self) -> bool:
        if self.rung == 0 or self._entered is not None:
            return False
        return self._costs[self.rung - 1] * self._slowdown <= UP_SHARE * self._budget

    def _move(self, step: int, now: float) -> None:
        rung = min(self.rung + step, len(self._costs) - 1)
        if rung != self.rung:
            self.rung, self._entered = rung, now
            self._seen.clear()
        self._forget_trends()


@dataclass(frozen=True, eq=False)
class Rung:
    """A process, ready to run, and what a frame of it costs in seconds, as far as is known beforehand."""

    process: Process
    predicted: float


class LadderProcess:
    """Runs one of several processes, and changes between them so that a frame rate is held.

    It owns the rungs: closing it closes them all. All stay loaded, so that a change costs nothing.

    Args:
        rungs: two or more, the best picture first.
        fps: the rate to hold, in frames a second.
        clock: measures what frames cost; None: the machine's own.

    Raises:
        UsageError: there are fewer than two rungs, or ``fps`` is not a positive number.
    """

    def __init__(self, rungs: Sequence[Rung], fps: float, clock: Clock | None = None) -> None:
        check_ladder(len(rungs), fps)
        self._rungs = tuple(rungs)
        self._clock = clock or SystemClock()
        self._controller = LadderController([rung.predicted for rung in rungs], 1 / fps)

    @property
    def rung(self) -> int:
        """Index of the rung that translates the next frame; 0 has the best picture."""
        return self._controller.rung

    @property
    def engine(self) -> str:
        """The engine of the rung that is next."""
        return self._rungs[self.rung].process.engine

    @property
    def effective_precision(self) -> str:
        """The precision at which the rung that is next really runs."""
        return self._rungs[self.rung].process.effective_precision

    def __call__(self, frame: Frame) -> Processed:
        """Translate a frame on the present rung, and choose the rung for the next one by what it cost."""
        began = self._clock.now()
        done = self._rungs[self.rung].process(frame)
        now = self._clock.now()
        self._controller.observe(now, now - began)
        return done

    def condition(self, **inputs: Any) -> None:
        """Set a look on every rung."""
        for rung in self._rungs:
            rung.process.condition(**inputs)

    def close(self) -> None:
        """Close all rungs."""
        for rung in self._rungs:
            rung.process.close()


def check_ladder(rungs: int, fps: float) -> None:
    """Check that a ladder of so many rungs can hold a frame rate.

    Raises:
        UsageError: there are fewer than two rungs, or ``fps`` is not a positive number.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UsageError(f"{fps:g} is no frame rate.", remedy="Give a positive number.")
    if rungs < 2:
        raise UsageError("A quality ladder needs two rungs or more.", remedy="Name several bundles or variants.")


PROBE_SIZE = Size(720, 1280)
"""Of the frame that costs are predicted with; what a camera of another size makes of them is seen while it runs."""

PROBES = 3


def ladder_loader(loaders: Sequence[Loader], fps: float, clock: Clock | None = None) -> Loader:
    """A loader of a ladder: loads every rung, warms it up and predicts what a frame costs on it.

    Args:
        loaders: one for each rung, the best picture first.
        fps: the rate to hold, in frames a second.
        clock: measures the predictions, and later what frames cost; None: the machine's own.

    Raises:
        UsageError: there are fewer than two loaders, or ``fps`` is not a positive number.
    """
    check_ladder(len(loaders), fps)
    real_clock = clock or SystemClock()

    def run(progress: Progress) -> Process:
        processes: list[Process] = []
        costs: list[float] = []
        progress.start(len(loaders), "rungs")
        try:
            for loader in loaders:
                processes.append(loader(NullProgress()))
                costs.append(_probed(processes[-1], real_clock))
                progress.advance(note=f"{costs[-1] * 1e3:.1f} ms a frame")
            return LadderProcess([Rung(*rung) for rung in zip(processes, costs, strict=True)], fps, real_clock)
        except BaseException:
            for process in processes:
                process.close()
            raise
        finally:
            progress.finish()

    return run


def _probed(process: Process, clock: Clock) -> float:
    """Seconds that a frame costs: the median of a few, after one that is not counted."""
    frame, seconds = blank_frame(PROBE_SIZE), []
    for _ in range(PROBES + 1):
        began = clock.now()
        process(frame)
        seconds.append(clock.now() - began)
    return sorted(seconds[1:])[PROBES // 2]
