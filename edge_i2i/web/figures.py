"""What the server counts: for each tab's figures, and for ``/metrics``."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from edge_i2i.clock import Clock
from edge_i2i.live.figures.histogram import Histogram
from edge_i2i.live.figures.prometheus import Family, Sample
from edge_i2i.live.figures.stats import Quantiles
from edge_i2i.web.shared_model import ModelState, SharedModel

WINDOW_SECONDS = 1.0
_WINDOW_ROOM = 512  # answers; more in a second are counted as so many
_PREFIX = "edge_i2i_serve_"


class Unanswered(StrEnum):
    """Why a frame got no picture."""

    NO_CREDIT = "no-credit"
    NOT_READY = "not-ready"
    REFUSED = "refused"  # not a picture, too large, damaged
    SUPERSEDED = "superseded"  # a newer one of the same tab took its place
    FAILED = "failed"  # the model raised


@dataclass(frozen=True)
class Answered:
    """When a frame was answered, and what it took, in seconds."""

    at: float
    age: float
    queue: float
    model: float


class TabFigures:
    """The last second of one tab. Used by one thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: deque[Answered] = deque(maxlen=_WINDOW_ROOM)
        self.dropped = 0

    def add(self, answer: Answered) -> None:
        """Count a frame that was answered."""
        self._answers.append(answer)

    def fps(self) -> float:
        """Answers in the last second."""
        self._forget()
        return len(self._answers) / WINDOW_SECONDS

    def age_ms(self) -> Quantiles:
        """Times from a frame's arrival to its answer, of the last second."""
        self._forget()
        histogram = Histogram()
        for answer in self._answers:
            histogram.record(answer.age)
        return Quantiles.of(histogram)

    def _forget(self) -> None:
        while self._answers and self._answers[0].at <= self._clock.now() - WINDOW_SECONDS:
            self._answers.popleft()


@dataclass(eq=False)
class ServerFigures:
    """All tabs since the start. Any thread may count."""

    ages: Histogram = field(default_factory=Histogram)
    queues: Histogram = field(default_factory=Histogram)
    models: Histogram = field(default_factory=Histogram)
    unanswered: Counter[Unanswered] = field(default_factory=Counter)
    tabs: int = 0
    peers: int = 0
    tabs_refused: int = 0
    uploads: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)  # held for a moment

    def add(self, answer: Answered) -> None:
        """Count a frame that was answered."""
        with self._lock:
            self.ages.record(answer.age)
            self.queues.record(answer.queue)
            self.models.record(answer.model)

    def add_unanswered(self, cause: Unanswered) -> None:
        """Count a frame that gets no picture."""
        with self._lock:
            self.unanswered[cause] += 1

    def families(self, shared: SharedModel) -> Iterator[Family]:
        """All metrics of the server, for Prometheus."""
        with self._lock:
            yield _counter("frames", "Frames that were answered with a picture.", self.ages.count)
            yield Family(
                f"{_PREFIX}unanswered_total",
                "counter",
                "Frames that got no picture, by cause.",
                [Sample({"cause": cause.value}, self.unanswered[cause]) for cause in Unanswered],
            )
            yield _counter("uploads", "Exemplars that were taken.", self.uploads)
            yield _counter("tabs_refused", "WebSockets beyond the limit.", self.tabs_refused)
            yield _summary("age", "From a frame's arrival to its answer.", self.ages)
            yield _summary("queue", "From a frame's arrival until the model took it.", self.queues)
            yield _summary("model", "What the model took.", self.models)
        yield _gauge("tabs", "Open WebSockets.", self.tabs)
        yield _gauge("peers", "Open WebRTC connections.", self.peers)
        yield _gauge("waiting", "Tabs that wait for the model.", shared.waiting)
        yield _gauge("ready", "Whether the model translates.", float(shared.state is ModelState.READY))
        if (info := shared.info) is not None:
            labels = {"engine": info.engine, "effective_precision": info.effective_precision, "variant": info.variant}
            yield Family(f"{_PREFIX}info", "gauge", "What translates; always 1.", [Sample(labels, 1)])


def _counter(name: str, text: str, value: float) -> Family:
    return Family(f"{_PREFIX}{name}_total", "counter", text, [Sample({}, value)])


def _gauge(name: str, text: str, value: float) -> Family:
    return Family(_PREFIX + name, "gauge", text, [Sample({}, value)])


def _summary(name: str, text: str, histogram: Histogram) -> Family:
    samples = [Sample({"quantile": f"{share:g}"}, histogram.quantile(share)) for share in (0.5, 0.9, 0.99, 1.0)]
    totals = [Sample({}, histogram.sum, "_sum"), Sample({}, histogram.count, "_count")]
    return Family(f"{_PREFIX}{name}_seconds", "summary", text, [*samples, *totals])
