"""All who take a session's results."""

from __future__ import annotations

import threading
from typing import Protocol

from edge_i2i.clock import Clock
from edge_i2i.live.frame import Result
from edge_i2i.live.outlets.receivers import Receiver
from edge_i2i.live.outlets.sink_stage import SinkStage


class Outlet(Protocol):
    """Somebody who takes results."""

    def offer(self, result: Result) -> None:
        """Hand a result over."""
        ...

    def finish(self) -> None:
        """Say that no more results come."""
        ...


class Outlets:
    """Sinks and receivers; they may come and go while results flow."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # held for assignments; nobody waits under it
        self._sinks: tuple[SinkStage, ...] = ()
        self._receivers: tuple[Receiver, ...] = ()
        self._has_started = self._has_finished = False

    @property
    def sinks(self) -> tuple[SinkStage, ...]:
        """The stages of all sinks, those that call a function included."""
        return self._sinks

    def add_sink(self, sink: SinkStage) -> None:
        """Add a sink, which gets results from the next one on."""
        with self._lock:
            self._sinks = (*self._sinks, sink)
            starts, finishes = self._has_started, self._has_finished
        if starts:
            sink.start()
        if finishes:
            sink.finish()

    def add_receiver(self, receiver: Receiver) -> None:
        """Add a receiver, which gets results from the next one on."""
        with self._lock:
            self._receivers = (*self._receivers, receiver)
            finishes = self._has_finished
        if finishes:
            receiver.finish()

    def remove_receiver(self, receiver: Receiver) -> None:
        """Remove a receiver, and drop the results that wait for it."""
        with self._lock:
            self._receivers = tuple(other for other in self._receivers if other is not receiver)
        receiver.leave()

    def start(self) -> None:
        """Start the sinks."""
        with self._lock:
            self._has_started = True
            sinks = self._sinks
        for sink in sinks:
            sink.start()

    def offer(self, result: Result) -> None:
        """Give everybody a result; waits only for those who have to get every one."""
        for outlet in self._everybody():
            outlet.offer(result)

    def finish(self) -> None:
        """Say to everybody that no more results come; those that wait are still taken. Twice is harmless."""
        with self._lock:
            self._has_finished = True
            outlets = self._everybody()
        for outlet in outlets:
            outlet.finish()

    def release(self) -> None:
        """Finish for those who may never take anything again, so that nobody waits for them.

        These are programs that iterate, and the sink whose own thread calls this.
        """
        with self._lock:
            outlets: list[Outlet] = [*self._receivers, *(sink for sink in self._sinks if sink.is_me)]
        for outlet in outlets:
            outlet.finish()

    def join(self, until: float) -> list[str]:
        """Wait for the sinks until ``until``, in seconds of the clock; those that are late are given up.

        Returns their names.
        """
        late = [sink for sink in self._sinks if not sink.join(until - self._clock.now())]
        for sink in late:
            sink.give_up()
        return [f"sink {sink.name}" for sink in late]

    @property
    def have_ended(self) -> bool:
        """Whether nothing more comes and every sink is closed."""
        return self._has_finished and all(sink.has_ended for sink in self._sinks)

    @property
    def have_failed(self) -> bool:
        """Whether there were sinks that somebody named, and all of them failed."""
        named = [sink for sink in self._sinks if not sink.on_request]
        return bool(named) and all(sink.error is not None for sink in named)

    @property
    def failures(self) -> dict[str, Exception]:
        """The errors of the sinks that somebody named, by name."""
        return {sink.name: sink.error for sink in self._sinks if sink.error is not None and not sink.on_request}

    def _everybody(self) -> list[Outlet]:
        return [*self._receivers, *self._sinks]
