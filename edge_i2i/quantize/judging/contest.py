"""Which variant is fastest on which engine, measured in one interleaved run; and whether a quantized one wins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from edge_i2i.engines.protocol import Engine, EngineOptions, GraphSource, Session
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.metrics.latency import Timings, time_interleaved
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.calibration.samples import Sample

LEAST_GAIN = 1.02
"""How many times faster than the best float variant a quantized one has to be. NVIDIA's Model Optimizer holds to the
same figure."""

FULL_PRECISION = "fp32"
_WARM_UP = 3


@dataclass(frozen=True)
class Entry:
    """A variant on an engine, in the float arithmetic that is forced (None: the graph's own)."""

    graph: GraphSource
    engine: Engine
    precision: str | None = None

    @property
    def is_float(self) -> bool:
        """Whether no layer of the variant is quantized."""
        return not self.graph.targets

    @property
    def is_baseline(self) -> bool:
        """Whether this is what the others of its engine are compared to: FP32 as it is."""
        return self.graph.precision == FULL_PRECISION and self.precision is None

    @property
    def name(self) -> str:
        """What people read: ``fp32 on openvino (bf16)``."""
        narrow = self.precision not in (None, FULL_PRECISION)
        return f"{self.graph.variant} on {self.engine.name}" + (f" ({self.precision})" if narrow else "")


@dataclass(frozen=True)
class Placing:
    """What an entry did. ``speed``: times faster than FP32 on the same engine (None: that did not run)."""

    entry: Entry
    timings: Timings
    effective_precision: str
    speed: float | None
    threads: int | None


def entries(sources: Sequence[GraphSource], options: EngineOptions) -> list[Entry]:
    """Every variant on every engine at hand that reads it, in each float arithmetic that it was judged in."""
    found = []
    for engine in _engines_at_hand():
        for source in sources:
            if engine.reads(source) and engine.ready(source, options):
                found += [Entry(source, engine, precision) for precision in _precisions(engine, source)]
    return found


def _engines_at_hand() -> Iterator[Engine]:
    for name in engine_names():
        engine = get_engine(name)
        if engine.preference > 0 and engine.availability().ok:
            yield engine


def _precisions(engine: Engine, source: GraphSource) -> tuple[str | None, ...]:
    """The arithmetic that it was judged in and that is here; None where nothing is said, or for FP32 as it is."""
    judged = [name for name in engine.judged_in(source) if source.floats and name in engine.precisions_here()]
    return tuple(None if name == source.precision else name for name in judged) or (None,)


class Contest(Protocol):
    """What times variants against each other; ``hold_contest`` is one."""

    def __call__(
        self,
        contestants: Sequence[Entry],
        sample: Sample,
        options: EngineOptions,
        *,
        rounds: int,
        seconds: float | None,
        progress: Progress | None,
    ) -> list[Placing]:
        """Time every entry on one sample.

        Args:
            contestants: what to time.
            sample: complete inputs of the frame graph.
            options: threads, and where built engines lie; the precision is each entry's own.
            rounds: timed rounds, at most.
            seconds: begin no further round after so many, three are made all the same; None: make them all.
            progress: told about rounds; None: nobody is.
        """
        ...


def hold_contest(
    contestants: Sequence[Entry],
    sample: Sample,
    options: EngineOptions,
    *,
    rounds: int = 30,
    seconds: float | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Placing]:
    """Time every entry on one sample, interleaved; all are loaded at once.

    Args:
        contestants: what to time.
        sample: complete inputs of the frame graph.
        options: threads, and where built engines lie; the precision is each entry's own.
        rounds: timed rounds, at most.
        seconds: begin no further round after so many; three are made all the same.
        progress: told about rounds.
        clock: gives seconds.

    Raises:
        EdgeI2IError: an engine cannot load an entry.
    """
    shown = progress or NullProgress()
    with ExitStack() as stack:
        sessions = [
            stack.enter_context(entry.engine.load(entry.graph, replace(options, precision=entry.precision)))
            for entry in contestants
        ]
        calls: dict[int, Callable[[], object]] = {
            number: partial(session.run, sample) for number, session in enumerate(sessions)
        }
        shown.start(rounds, "rounds timed")
        try:
            timings = time_interleaved(
                calls, rounds, _WARM_UP, seconds=seconds, clock=clock, on_round=lambda done, most: shown.advance()
            )
        finally:
            shown.finish()
        return [
            _placing(entry, session, timings[number], _baseline(entry, contestants, timings))
            for number, (entry, session) in enumerate(zip(contestants, sessions, strict=True))
        ]


def _placing(entry: Entry, session: Session, timings: Timings, baseline: Timings | None) -> Placing:
    speed = None if baseline is None else timings.speed_to(baseline).median
    return Placing(entry, timings, session.info.effective_precision, speed, session.info.threads)


def _baseline(entry: Entry, contestants: Sequence[Entry], timings: Mapping[int, Timings]) -> Timings | None:
    """The timings of FP32 on the same engine as ``entry``; None: it did not run there."""
    for number, other in enumerate(contestants):
        if other.is_baseline and other.engine.name == entry.engine.name:
            return timings[number]
    return None


def best_float(placings: Sequence[Placing], engine: str) -> Placing | None:
    """The fastest float variant on an engine; None where none ran there."""
    floats = [item for item in placings if item.entry.is_float and item.entry.engine.name == engine]
    return min(floats, key=lambda item: item.timings.p50, default=None)


def verdict_on(variant: str, placings: Sequence[Placing]) -> str:
    """Why a quantized variant is not worth keeping; empty where it won on an engine that reads it, or never ran.

    It is held against the float variants of the same engine: who has that engine alone has no other choice.
    """
    ran = [item for item in placings if item.entry.graph.variant == variant]
    reasons = [_loses(item, best_float(placings, item.entry.engine.name)) for item in ran]
    return reasons[0] if reasons and all(reasons) else ""


def _loses(placing: Placing, best: Placing | None) -> str:
    if best is None or placing.timings.is_faster_than(best.timings, LEAST_GAIN):
        return ""
    speed = placing.timings.speed_to(best.timings).median
    found = f"{speed:.2f} times as fast as {best.entry.name}"
    return found if speed < LEAST_GAIN else f"{found}, but not reliably so: the timings spread more than that"
