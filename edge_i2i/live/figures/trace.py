"""What every stage did when, as a file for Perfetto (ui.perfetto.dev) or chrome://tracing.

The format is the Trace Event Format's JSON object: complete events ("X"), instants ("i"), counters ("C"), and the names
of the tracks as metadata ("M"). Times are in microseconds of the session's clock.
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_i2i.clock import Clock
from edge_i2i.files.whole import replacing
from edge_i2i.sources.addresses import without_credentials

DEFAULT_CAPACITY = 100_000
"""Events; the oldest are forgotten first. About ten minutes at 30 fps with five stages, and some 40 MB of memory."""


@dataclass(frozen=True, slots=True)
class _TraceEvent:
    phase: str
    track: str
    name: str
    begin: float
    seconds: float
    args: Mapping[str, Any]


class Trace:
    """Collects events, in bounded memory; any thread may add some.

    ``capacity``: how many events are kept. With 0 nothing is collected, and adding costs next to nothing.
    """

    def __init__(self, clock: Clock, capacity: int = DEFAULT_CAPACITY) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._events: deque[_TraceEvent] = deque(maxlen=capacity)
        self._forgotten = 0

    def span(self, track: str, name: str, begin: float, end: float, **args: Any) -> None:
        """Record what a track (a stage, a thread) did over a stretch of time.

        Args:
            track: the row in which it is drawn.
            name: what was done.
            begin, end: in seconds of the clock.
            args: further values, which are shown when it is clicked.
        """
        self._add(_TraceEvent("X", track, name, begin, max(end - begin, 0.0), args))

    def instant(self, track: str, name: str, **args: Any) -> None:
        """Record something that happens now, on a track (a stage, a thread); ``args`` are shown when it is clicked."""
        self._add(_TraceEvent("i", track, name, self._clock.now(), 0.0, args))

    def counter(self, name: str, **values: float) -> None:
        """Record values that hold from now on, each drawn as a curve."""
        self._add(_TraceEvent("C", "", name, self._clock.now(), 0.0, values))

    def write(self, path: Path) -> None:
        """Write everything so far, ordered by time.

        Raises:
            OSError: it cannot be written; what was at ``path`` is untouched.
        """
        with self._lock:
            events, forgotten = sorted(self._events, key=lambda event: (event.begin, -event.seconds)), self._forgotten
        process = os.getpid()
        tracks = {track: number for number, track in enumerate(dict.fromkeys(event.track for event in events), 1)}
        named = [_name_of("process_name", "edge-i2i", 0, process)]
        named += [_name_of("thread_name", track, number, process) for track, number in tracks.items() if track]
        document = {
            "traceEvents": [*named, *(_as_json(event, tracks[event.track], process) for event in events)],
            "displayTimeUnit": "ms",
            "otherData": {"forgotten_events": forgotten},
        }
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            json.dump(document, file, separators=(",", ":"), default=str)

    def _add(self, event: _TraceEvent) -> None:
        if not self._events.maxlen:
            return
        with self._lock:
            self._forgotten += len(self._events) == self._events.maxlen
            self._events.append(event)


def _name_of(what: str, name: str, track: int, process: int) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": process, "tid": track, "args": {"name": name}}


def _as_json(event: _TraceEvent, track: int, process: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"ph": event.phase, "name": event.name, "pid": process, "tid": track}
    fields["ts"] = round(event.begin * 1e6, 3)
    if event.phase == "X":
        fields["dur"] = round(event.seconds * 1e6, 3)
    if event.phase == "i":
        fields["s"] = "t"  # its scope: the track
    safe = {name: without_credentials(value) if isinstance(value, str) else value for name, value in event.args.items()}
    return {**fields, "args": safe}


def first_writes(document: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """When sinks had the first picture, and the first translated one, by a trace: seconds of the session's clock.

    None where there was none. Pictures that are passed through while a network loads are not translated.
    """
    events = document["traceEvents"]
    # Only what was translated goes back from the network's size.
    translated = {event["args"]["seq"] for event in events if event["name"] == "finish"}
    written = [(event["ts"] + event["dur"], event["args"]["seq"]) for event in events if event["name"] == "write"]
    first = min((end for end, _ in written), default=None)
    first_translated = min((end for end, seq in written if seq in translated), default=None)
    return _seconds(first), _seconds(first_translated)


def _seconds(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1e6
