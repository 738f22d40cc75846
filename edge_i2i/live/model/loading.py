"""Loads a process beside the running pipeline, and says how far it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from edge_i2i.clock import Clock
from edge_i2i.live.capture.capture import Emit
from edge_i2i.live.figures.events import EventKind
from edge_i2i.live.model.changes import Change, Replacement
from edge_i2i.live.model.process import Loader
from edge_i2i.live.threads.worker import Worker
from edge_i2i.machine import resident_bytes


class LoadingProgress:
    """Remembers what a loader tells; is a ``Progress``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # held for assignments; nobody waits under it
        self._state: dict[str, Any] = {"done": 0, "total": None, "what": "", "note": ""}

    def start(self, total: int | None, what: str) -> None:
        """See ``Progress.start``."""
        with self._lock:
            self._state = {"done": 0, "total": total, "what": what, "note": ""}

    def advance(self, n: int = 1, note: str = "") -> None:
        """See ``Progress.advance``."""
        with self._lock:
            self._state = {**self._state, "done": self._state["done"] + n, "note": note}

    def finish(self) -> None:
        """Nothing to do: the last state stays readable."""

    def details(self) -> dict[str, Any]:
        """``done``, ``total`` (or None), ``what`` and ``note``, as they are now."""
        return self._state


class Loading(Worker):
    """Runs a loader in a thread of its own. The loader cannot be interrupted.

    Args:
        clock: measures how long loading takes.
        loader: makes the process.
        number: of the request, counted up; the newest request wins, whichever is loaded first.
        change: what the caller may wait for; it goes along with the ``Replacement``.
        emit: told how far loading is, and that it is done.
        loaded: called with the process, by the loading thread.
        failed: called with this object and what the loader raised, by the loading thread.
    """

    def __init__(
        self,
        clock: Clock,
        loader: Loader,
        number: int,
        change: Change,
        *,
        emit: Emit,
        loaded: Callable[[Replacement], None],
        failed: Callable[[Loading, Exception], None],
    ) -> None:
        super().__init__(clock, self._load, "load")
        self._loader, self._emit, self._loaded, self._failed = loader, emit, loaded, failed
        self._memory_before = resident_bytes()
        self._progress = LoadingProgress()
        self._began = clock.now()
        self.number, self.change = number, change
        self.is_under_way = True

    def say(self) -> None:
        """Emit an event that tells how far loading is; nothing once it is done."""
        if not self.is_under_way:
            return
        details, seconds = self._progress.details(), self._clock.now() - self._began
        done, total, what = details["done"], details["total"], details["what"] or "the network"
        steps = f"{done} of {total} {what}" if total else what
        message = ", ".join(part for part in (steps, details["note"], f"{seconds:.0f} s") if part)
        self._emit(EventKind.LOADING, message, **details, seconds=seconds)

    def _load(self) -> None:
        self.say()
        try:
            process = self._loader(self._progress)
        except Exception as error:  # noqa: BLE001 (engines and drivers raise anything)
            self.is_under_way = False
            self._failed(self, error)
            return
        self.is_under_way = False
        engine, precision = process.engine, process.effective_precision
        seconds = self._clock.now() - self._began
        message = f"{engine or 'the network'} after {seconds:.2g} s"
        self._emit(EventKind.LOADED, message, engine=engine, effective_precision=precision, seconds=seconds)
        self._loaded(Replacement(process, self.number, self._memory_before, self.change))
