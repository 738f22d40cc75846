"""Statistics for Prometheus: the text exposition format, version 0.0.4."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from edge_i2i.errors import UsageError
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import Quantiles, StatsSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Labels = Mapping[str, str]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PREFIX = "edge_i2i_live_"


@dataclass(frozen=True)
class Sample:
    """A value. ``suffix``: what the family's name is followed by (``_sum`` and ``_count`` of a summary)."""

    labels: Labels
    value: float
    suffix: str = ""


@dataclass(frozen=True)
class Family:
    """All samples of a name. ``kind``: ``counter``, ``gauge`` or ``summary``."""

    name: str
    kind: str
    help: str
    samples: Sequence[Sample]


def exposition(snapshot: StatsSnapshot, labels: Labels | None = None) -> str:
    """The text of the metrics page for one session; ``labels`` are added to every sample."""
    return render(session_families([(snapshot, labels or {})]))


def render(families: Iterable[Family]) -> str:
    """The text of the metrics page for these families; those without samples are left out.

    Raises:
        UsageError: a label's name is not one that Prometheus takes.
    """
    return "".join(line + "\n" for family in families if family.samples for line in _lines(family))


def session_families(sessions: Sequence[tuple[StatsSnapshot, Labels]]) -> list[Family]:
    """The metrics of several sessions, told apart by the labels of each."""
    return [*_counters(sessions), *_gauges(sessions), *_summaries(sessions)]


def _counters(sessions: Sequence[tuple[StatsSnapshot, Labels]]) -> Iterator[Family]:
    plain = {
        "captured": "Frames that entered the session.",
        "frames": "Results given.",
        "duplicates": "Results of a frame that had given one before.",
        "reused": "Results that are an earlier translation.",
        "recoveries": "How often a lost source came back.",
    }
    for name, text in plain.items():
        yield _counter(name, text, [Sample(labels, getattr(snapshot, name)) for snapshot, labels in sessions])
    yield _counter(
        "dropped",
        "Frames that became no result, by cause.",
        [
            Sample({**labels, "cause": cause.value}, snapshot.dropped.get(cause, 0))
            for snapshot, labels in sessions
            for cause in DropCause
        ],
    )
    sinks = [({**labels, "sink": name}, sink) for snapshot, labels in sessions for name, sink in snapshot.sinks.items()]
    yield _counter("sink_written", "Results that a sink has taken.", [Sample(to, sink.written) for to, sink in sinks])
    yield _counter(
        "sink_dropped",
        "Results that a sink did not get, by cause.",
        [Sample({**to, "cause": cause.value}, count) for to, sink in sinks for cause, count in sink.dropped.items()],
    )


def _gauges(sessions: Sequence[tuple[StatsSnapshot, Labels]]) -> Iterator[Family]:
    plain = {
        "current_fps": "Results a second, lately.",
        "in_flight": "Frames on their way.",
        "seconds": "Seconds since the session began.",
    }
    for name, text in plain.items():
        yield Family(
            _PREFIX + name, "gauge", text, [Sample(labels, getattr(snapshot, name)) for snapshot, labels in sessions]
        )
    info = [
        Sample({**labels, "source": s.source, "engine": s.engine, "effective_precision": s.effective_precision}, 1)
        for s, labels in sessions
    ]
    yield Family(_PREFIX + "info", "gauge", "What is read, and what translates; always 1.", info)


def _summaries(sessions: Sequence[tuple[StatsSnapshot, Labels]]) -> Iterator[Family]:
    ages, stages, sinks = list[Sample](), list[Sample](), list[Sample]()
    for snapshot, labels in sessions:
        ages += _summary(snapshot.age_ms, labels)
        for name, stage in snapshot.stage_ms.items():
            stages += _summary(stage, {**labels, "stage": name})
        for name, sink in snapshot.sinks.items():
            sinks += _summary(sink.age_ms, {**labels, "sink": name})
    yield Family(_PREFIX + "age_seconds", "summary", "From a frame's arrival until its result was ready.", ages)
    yield Family(_PREFIX + "stage_seconds", "summary", "What the stages of a frame took.", stages)
    yield Family(_PREFIX + "sink_age_seconds", "summary", "From a frame's arrival until a sink had it.", sinks)


def _counter(name: str, text: str, samples: Sequence[Sample]) -> Family:
    return Family(f"{_PREFIX}{name}_total", "counter", text, samples)


def _summary(quantiles: Quantiles, labels: Labels) -> list[Sample]:
    values = {"0.5": quantiles.p50, "0.9": quantiles.p90, "0.99": quantiles.p99, "1": quantiles.max}
    known = quantiles.count > 0
    return [
        *(Sample({**labels, "quantile": q}, value / 1e3 if known else math.nan) for q, value in values.items()),
        Sample(labels, quantiles.mean * quantiles.count / 1e3, "_sum"),
        Sample(labels, quantiles.count, "_count"),
    ]


def _lines(family: Family) -> Iterator[str]:
    yield f"# HELP {family.name} {_escaped(family.help)}"
    yield f"# TYPE {family.name} {family.kind}"
    for sample in family.samples:
        yield f"{family.name}{sample.suffix}{_braced(sample.labels)} {_number(sample.value)}"


def _braced(labels: Labels) -> str:
    for name in labels:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a label.", remedy="Use letters, digits and underscores.")
    quoted = [f'{name}="{_escaped(value, quote=True)}"' for name, value in labels.items()]
    return f"{{{','.join(quoted)}}}" if quoted else ""


def _escaped(text: str, *, quote: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quote else text


def _number(value: float) -> str:
    if math.isfinite(value):
        return str(value)
    return "NaN" if math.isnan(value) else ("+Inf" if value > 0 else "-Inf")
