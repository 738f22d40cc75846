"""What a session has done so far: counters and histograms while it runs, and frozen snapshots of them.

Every captured frame ends as one of three: a result, a drop with its cause, or still on its way; so that
``captured - frames - dropped = in_flight``, and 0 is left when a session has stopped.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from edge_i2i.clock import Clock
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.histogram import Histogram
from edge_i2i.live.frame import Origin, Result
from edge_i2i.sources.addresses import without_credentials

WARM_UP_RESULTS, WARM_UP_SECONDS = 20, 2.0
"""The first results are kept apart, until either is over: engines and caches warm up."""

WINDOW_SECONDS = 2.0
"""What "current" means."""

_WINDOW_ROOM = 2048  # results; fixed memory also at a thousand a second


@dataclass(frozen=True)
class Quantiles:
    """A distribution in milliseconds; all zeros where ``count`` is 0."""

    count: int = 0
    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0
    max: float = 0.0
    mean: float = 0.0

    @classmethod
    def of(cls, histogram: Histogram) -> Quantiles:
        """The quantiles of what a histogram has counted."""
        p50, p90, p99, longest = (1e3 * seconds for seconds in histogram.quantiles(0.5, 0.9, 0.99, 1.0))
        mean = 1e3 * histogram.sum / histogram.count if histogram.count else 0.0
        return cls(histogram.count, p50, p90, p99, longest, mean)

    def as_json(self) -> dict[str, float]:
        """Plain values, to a microsecond."""
        values = {"p50": self.p50, "p90": self.p90, "p99": self.p99, "max": self.max}
        return {"count": self.count, **{name: round(value, 3) for name, value in values.items()}}


@dataclass(frozen=True)
class SinkSnapshot:
    """What a sink has taken. ``age_ms``: from a frame's arrival until the sink had taken its result. ``failed``: why it
    takes nothing any more.
    """

    written: int = 0
    dropped: Mapping[DropCause, int] = field(default_factory=dict)
    age_ms: Quantiles = Quantiles()
    failed: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The figures as plain values, for JSON."""
        return {
            "written": self.written,
            "dropped": _plain(self.dropped),
            "age_ms": self.age_ms.as_json(),
            "failed": self.failed,
        }


@dataclass(frozen=True)
class StatsSnapshot:
    """A session at one moment.

    ``frames``: results given. A picture that was passed through while a network loads is no result but a drop
    (``loading``). ``fps``, ``age_ms``, ``stage_ms`` (by stage): since the warm-up, or of the warm-up where there is
    nothing but. ``current_fps``, ``current_age_ms``: of the last ``WINDOW_SECONDS``. ``warm_up_age_ms``: of the first
    results. ``dropped``: between source and result; what sinks dropped is in ``sinks``. ``duplicates``: results of a
    frame that had given one before, or of an older one. ``reused``: results that are an earlier translation.
    ``recoveries``: how often a lost source came back. ``seconds``: since the start.
    """

    captured: int = 0
    frames: int = 0
    fps: float = 0.0
    age_ms: Quantiles = Quantiles()
    stage_ms: Mapping[str, Quantiles] = field(default_factory=dict)
    current_fps: float = 0.0
    current_age_ms: Quantiles = Quantiles()
    warm_up_age_ms: Quantiles = Quantiles()
    dropped: Mapping[DropCause, int] = field(default_factory=dict)
    sinks: Mapping[str, SinkSnapshot] = field(default_factory=dict)
    duplicates: int = 0
    reused: int = 0
    recoveries: int = 0
    source: str = ""
    engine: str = ""
    effective_precision: str = ""
    seconds: float = 0.0

    @property
    def in_flight(self) -> int:
        """Frames that were captured and have become neither a result nor a drop yet."""
        return self.captured - (self.frames - self.duplicates) - sum(self.dropped.values())

    def as_json(self) -> dict[str, Any]:
        """Plain values, which are also the last output of ``--json``."""
        return {
            "frames": self.frames,
            "fps": round(self.fps, 3),
            "age_ms": self.age_ms.as_json(),
            "dropped": _plain(self.dropped),
            "duplicates": self.duplicates,
            "engine": self.engine,
            "effective_precision": self.effective_precision,
            "recoveries": self.recoveries,
            "captured": self.captured,
            "reused": self.reused,
            "in_flight": self.in_flight,
            "seconds": round(self.seconds, 3),
            "source": self.source,
            "stage_ms": {name: stage.as_json() for name, stage in self.stage_ms.items()},
            "warm_up_age_ms": self.warm_up_age_ms.as_json(),
            "sinks": {name: sink.as_json() for name, sink in self.sinks.items()},
        }


JSON_FIELDS: Mapping[str, str] = MappingProxyType(
    {
        "frames": "results; what was passed through while a network loaded is none",
        "fps": "results a second, without the warm-up (20 results or 2 s)",
        "age_ms": "from a frame's arrival until its result was ready: `p50`, `p90`, `p99`, `max`, `count`",
        "dropped": "frames without a result, by cause (below)",
        "duplicates": "results of a frame that had given one; 0, or it is a bug",
        "engine": "what translated at last",
        "effective_precision": "what it really computed in",
        "recoveries": "how often a lost source came back",
        "captured": "frames that the source gave: `frames` + `dropped` + `in_flight`",
        "reused": "results that are an earlier translation (`--skip-similar`)",
        "in_flight": "frames on their way; 0 at the end",
        "seconds": "since the start",
        "source": "what was read, without credentials",
        "stage_ms": "by stage: `wait`, `prepare`, `model`, `finish`",
        "warm_up_age_ms": "ages of the first results, which `age_ms` leaves out",
        "sinks": "by sink: `written`, `dropped` by cause, `age_ms` when it was written, "
        "`failed`: why it takes nothing any more, or null",
    }
)
"""What each field of ``StatsSnapshot.as_json()`` means, for people."""


def _plain(dropped: Mapping[DropCause, int]) -> dict[str, int]:
    return {cause.value: count for cause, count in dropped.items()}


class LiveStats:
    """Counts while a session runs; every method may be called by any thread, and takes a few microseconds.

    Args:
        clock: measures the session's time.
        source: its address, for people; credentials are left out.
        sinks: names of sinks that have figures from the start.
    """

    def __init__(self, clock: Clock, source: str = "", sinks: Iterable[str] = ()) -> None:
        self._clock, self._lock = clock, threading.Lock()  # never held while anybody waits
        self._began = clock.now()
        self._ended: float | None = None
        self._captured = self._duplicates = self._reused = self._recoveries = 0
        self._dropped: Counter[DropCause] = Counter()
        self._warm_up, self._settled, self._window = _Pace(), _Pace(), _Window()
        self._sinks = {name: _SinkCounts() for name in sinks}
        self._newest_seq = -1
        self._source, self._engine, self._precision = without_credentials(source), "", ""

    def add_captured(self) -> None:
        """Count a frame that entered the session."""
        with self._lock:
            self._captured += 1

    def add_drop(self, cause: DropCause, count: int = 1) -> None:
        """Count frames that will not become results. ``add_result`` counts those that are passed through."""
        with self._lock:
            self._dropped[cause] += count

    def add_result(self, result: Result) -> None:
        """Count a result, with its age and the time of its stages."""
        with self._lock:
            if result.origin is Origin.PASSED_THROUGH:
                self._dropped[DropCause.LOADING] += 1
                return
            self._duplicates += result.frame.seq <= self._newest_seq
            self._newest_seq = max(self._newest_seq, result.frame.seq)
            self._reused += result.origin is Origin.REUSED
            self._window.add(result)
            pace = self._warm_up if self._warm_up.warming_up(result.t_done) else self._settled
            pace.add(result)

    def add_recovery(self) -> None:
        """Count that a lost source came back."""
        with self._lock:
            self._recoveries += 1

    def add_written(self, sink: str, result: Result) -> None:
        """Count a result that a sink has taken just now."""
        now = self._clock.now()
        with self._lock:
            counts = self._sinks.setdefault(sink, _SinkCounts())
            counts.ages.record(now - result.frame.t_capture)

    def add_sink_drop(self, sink: str, cause: DropCause, count: int = 1) -> None:
        """Count results that a sink did not get.

        Args:
            sink: its name.
            cause: why they were dropped.
            count: how many.
        """
        with self._lock:
            self._sinks.setdefault(sink, _SinkCounts()).dropped[cause] += count

    def set_sink_failed(self, sink: str, why: str) -> None:
        """Note why a sink takes nothing any more. A sink without figures (one on request) gets none by that."""
        with self._lock:
            if sink in self._sinks:
                self._sinks[sink].failed = why

    def set_source(self, source: str) -> None:
        """Name the source, for people; credentials are left out."""
        with self._lock:
            self._source = without_credentials(source)

    def add_sink(self, sink: str) -> None:
        """Give a sink figures from now on, all zero, also before it is given anything."""
        with self._lock:
            self._sinks.setdefault(sink, _SinkCounts())

    def set_engine(self, engine: str, effective_precision: str) -> None:
        """Name the engine that translates from now on, and the precision at which it really runs."""
        with self._lock:
            self._engine, self._precision = engine, effective_precision

    def finish(self) -> None:
        """Stop the session's time: ``seconds`` grow no more."""
        with self._lock:
            self._ended = self._clock.now()

    def snapshot(self) -> StatsSnapshot:
        """All figures at this moment."""
        with self._lock:
            now = self._clock.now() if self._ended is None else self._ended
            is_warm = self._settled.ages.count > 0
            pace = self._settled if is_warm else self._warm_up
            return StatsSnapshot(
                captured=self._captured,
                frames=self._warm_up.ages.count + self._settled.ages.count,
                fps=self._settled.fps_since(self._warm_up.last) if is_warm else self._warm_up.fps(),
                age_ms=Quantiles.of(pace.ages),
                stage_ms={name: Quantiles.of(histogram) for name, histogram in pace.stages.items()},
                current_fps=self._window.fps(now),
                current_age_ms=self._window.age_ms(now),
                warm_up_age_ms=Quantiles.of(self._warm_up.ages),
                dropped=dict(self._dropped),
                sinks={name: counts.snapshot() for name, counts in self._sinks.items()},
                duplicates=self._duplicates,
                reused=self._reused,
                recoveries=self._recoveries,
                source=self._source,
                engine=self._engine,
                effective_precision=self._precision,
                seconds=now - self._began,
            )


@dataclass(eq=False)
class _SinkCounts:
    ages: Histogram = field(default_factory=Histogram)
    dropped: Counter[DropCause] = field(default_factory=Counter)
    failed: str | None = None

    def snapshot(self) -> SinkSnapshot:
        return SinkSnapshot(self.ages.count, dict(self.dropped), Quantiles.of(self.ages), self.failed)


@dataclass(eq=False)
class _Pace:
    """Figures of all results in a stretch of time: the warm-up, or what comes after it."""

    ages: Histogram = field(default_factory=Histogram)
    stages: dict[str, Histogram] = field(default_factory=dict)
    first: float = 0.0
    last: float = 0.0

    def add(self, result: Result) -> None:
        if not self.ages.count:
            self.first = result.t_done
        self.last = result.t_done
        self.ages.record(result.t_done - result.frame.t_capture)
        for name, seconds in result.seconds.items():
            self.stages.setdefault(name, Histogram()).record(seconds)

    def warming_up(self, now: float) -> bool:
        """Whether a result still belongs to this stretch, if it is the first one."""
        return not self.ages.count or (self.ages.count < WARM_UP_RESULTS and now - self.first < WARM_UP_SECONDS)

    def fps(self) -> float:
        """Frames a second, from the intervals between its results."""
        return (self.ages.count - 1) / (self.last - self.first) if self.last > self.first else 0.0

    def fps_since(self, before: float) -> float:
        """Frames a second, counting also the interval before its first result, which began at ``before``."""
        return self.ages.count / (self.last - before) if self.last > before else 0.0


class _Window:
    """When the latest results were ready, and their ages: two at least, so that slow networks have a rate, too."""

    def __init__(self) -> None:
        self._results: deque[tuple[float, float]] = deque(maxlen=_WINDOW_ROOM)

    def add(self, result: Result) -> None:
        self._results.append((result.t_done, result.t_done - result.frame.t_capture))
        self._forget(result.t_done)

    def fps(self, now: float) -> float:
        """Frames a second, from the intervals between results; a silence longer than two of them counts as well."""
        self._forget(now)
        intervals = len(self._results) - 1
        if intervals < 1 or (span := self._results[-1][0] - self._results[0][0]) <= 0:
            return 0.0
        silence = now - self._results[-1][0]
        return intervals / (span + silence if silence > 2 * span / intervals else span)

    def age_ms(self, now: float) -> Quantiles:
        self._forget(now)
        histogram = Histogram()
        for _, age in self._results:
            histogram.record(age)
        return Quantiles.of(histogram)

    def _forget(self, now: float) -> None:
        while len(self._results) > 2 and self._results[0][0] <= now - WINDOW_SECONDS:
            self._results.popleft()
