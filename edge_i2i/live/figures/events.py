"""What happened in a session, as it happens: for logs, for programs that embed it, and for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class EventKind(StrEnum):
    """What can happen."""

    STARTED = "started"
    LOADING = "loading"  # a network is being loaded: how far it is
    LOADED = "loaded"
    SOURCE_OPENED = "source-opened"
    SOURCE_LOST = "source-lost"  # it failed, stalled or ended; with the reason
    RETRYING = "retrying"  # it will be opened again after ``seconds``
    RECOVERED = "recovered"  # the first new frame after a loss
    SOURCE_CHANGED = "source-changed"  # another size, or times that jumped: a new epoch
    SOURCE_ENDED = "source-ended"  # the last frame of a source that has one
    SWAPPED = "swapped"  # another network runs; memory before and after
    MODEL_FAILED = "model-failed"
    STALLED = "stalled"  # the model has not returned from a frame for some seconds
    SINK_FAILED = "sink-failed"
    STOPPED = "stopped"


@dataclass(frozen=True)
class Event:
    """One thing that happened. ``time``: in seconds of the session's clock. ``details``: plain values, by name."""

    time: float
    kind: EventKind
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)


OnEvent = Callable[[Event], None]
