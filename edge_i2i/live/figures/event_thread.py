"""Tells events to whoever embeds a session: in order, and from a thread of its own, so that it may take its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from edge_i2i.clock import Clock
from edge_i2i.live.figures.events import Event, EventKind, OnEvent
from edge_i2i.live.threads.handover import HandoverClosedError, Lane
from edge_i2i.live.threads.worker import Worker

_ROOM = 1000  # events that wait for a slow listener; more are lost rather than kept for ever
_TICK_S = 1.0


class EventThread(Worker):
    """Calls ``on_event`` for each event, in order, and ``tick`` about once a second, for regular checks.

    Args:
        clock: measures the time of events and ticks.
        on_event: called with each event; None: nobody listens.
        tick: called about once a second with the time in seconds of the clock.
        failed: called with what ``on_event`` raised; ``on_event`` is not called again after that.
    """

    def __init__(
        self,
        clock: Clock,
        on_event: OnEvent | None,
        tick: Callable[[float], None],
        failed: Callable[[Exception], None],
    ) -> None:
        super().__init__(clock, self._tell_all, "events")
        self._on_event, self._tick, self._failed = on_event, tick, failed
        self._events: Lane[Event] = Lane(clock, _ROOM, patience=0.0)

    def emit(self, kind: EventKind, message: str, **details: Any) -> None:
        """Queue an event for ``on_event``; never waits. Events that come after ``close`` are lost."""
        try:
            self._events.put(Event(self._clock.now(), kind, message, details))
        except HandoverClosedError:
            return

    def close(self) -> None:
        """Deliver the events that are queued, then end the thread."""
        self._events.close()

    def _tell_all(self) -> None:
        next_tick = self._clock.now() + _TICK_S
        while True:
            try:
                event = self._events.take(max(0.0, next_tick - self._clock.now()))
            except HandoverClosedError:
                return
            if event is not None:
                self._tell(event)
            now = self._clock.now()
            if now >= next_tick:
                self._tick(now)
                next_tick = now + _TICK_S

    def _tell(self, event: Event) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 (it is the user's code)
            self._on_event = None
            self._failed(error)
