"""The newest item to any number of receivers, each at its own speed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from edge_i2i.live.clock import Clock
from edge_i2i.live.handover import HandoverClosedError, Slot

T = TypeVar("T")


class Audience(Generic[T]):
    """Gives every receiver a slot of its own: a slow one misses items and holds nobody up."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slots: set[Slot[T]] = set()
        self._newest: T | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._slots)

    def show(self, item: T) -> None:
        """Hand it to everybody who is there, and to those who come before the next one. Never waits."""
        with self._lock:
            self._newest = item
            for slot in self._slots:
                with suppress(HandoverClosedError):
                    slot.put(item)

    @contextmanager
    def seat(self) -> Iterator[Slot[T]]:
        """A slot for the time of the block; the newest item lies in it already, if there is one."""
        slot: Slot[T] = Slot(self._clock)
        with self._lock:
            if self._newest is not None:
                slot.put(self._newest)
            if self._closed:
                slot.close()
            self._slots.add(slot)
        try:
            yield slot
        finally:
            with self._lock:
                self._slots.discard(slot)

    def close(self) -> None:
        """End every receiver's waiting; what lies in the slots is discarded."""
        with self._lock:
            self._closed = True
            self._newest = None
            for slot in self._slots:
                slot.close(discard=True)
