"""Between two stages: the one-frame slot, where the newest wins, and the lane, where nothing is lost.

A slot adds less latency than any queue: what waits in it is never older than one step of the stage before it, while
a queue adds a step for every place, and an unbounded one grows for ever.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from typing import Generic, TypeVar

from edge_i2i.clock import Clock

T = TypeVar("T")


class HandoverClosedError(Exception):
    """The hand-over is closed. Internal: stages end by it."""


class Handover(ABC, Generic[T]):
    """Passes items from one thread to another."""

    def __init__(self, clock: Clock) -> None:
        self._condition = clock.condition()
        self._closed = False

    @abstractmethod
    def put(self, item: T) -> T | None:
        """Hand an item over; returns the one that is dropped for it, if any.

        Raises:
            HandoverClosedError: it was closed.
        """

    @abstractmethod
    def _ready(self) -> bool: ...

    @abstractmethod
    def _pop(self) -> T: ...

    @abstractmethod
    def _clear(self) -> list[T]: ...

    def take(self, timeout: float | None = None) -> T | None:
        """The next item, each of them once; None where none came within ``timeout`` seconds.

        Raises:
            HandoverClosedError: it was closed, and everything was taken.
        """
        with self._condition:
            if not self._condition.wait_for(lambda: self._closed or self._ready(), timeout):
                return None
            if not self._ready():
                raise HandoverClosedError
            item = self._pop()
            self._condition.notify_all()
            return item

    def close(self, *, discard: bool = False) -> list[T]:
        """Accept no more items. Those inside can still be taken, unless ``discard`` removes and returns them."""
        with self._condition:
            self._closed = True
            left = self._clear() if discard else []
            self._condition.notify_all()
            return left

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed


class Slot(Handover[T]):
    """Holds one item: a newer one takes its place, and nobody waits to hand over."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._items: list[T] = []

    def put(self, item: T) -> T | None:
        """Hand an item over without waiting; returns the older item whose place it took, if any.

        Raises:
            HandoverClosedError: it was closed.
        """
        with self._condition:
            if self._closed:
                raise HandoverClosedError
            replaced = self._items.pop() if self._items else None
            self._items.append(item)
            self._condition.notify_all()
            return replaced

    def _ready(self) -> bool:
        return bool(self._items)

    def _pop(self) -> T:
        return self._items.pop()

    def _clear(self) -> list[T]:
        left, self._items = self._items, []
        return left


class Lane(Handover[T]):
    """Holds a few items in order; handing over waits until there is room.

    Args:
        clock: measures how long is waited.
        room: how many items fit in.
        patience: seconds to wait for room before the new item is dropped; None: for ever.
    """

    def __init__(self, clock: Clock, room: int = 2, patience: float | None = None) -> None:
        super().__init__(clock)
        self._items: deque[T] = deque()
        self._room, self._patience = room, patience

    def put(self, item: T) -> T | None:
        """Wait for room and hand an item over; returns the item itself where there was no room within ``patience``.

        Raises:
            HandoverClosedError: it was closed.
        """
        with self._condition:
            has_room = self._condition.wait_for(lambda: self._closed or len(self._items) < self._room, self._patience)
            if self._closed:
                raise HandoverClosedError
            if not has_room:
                return item
            self._items.append(item)
            self._condition.notify_all()
            return None

    def _ready(self) -> bool:
        return bool(self._items)

    def _pop(self) -> T:
        return self._items.popleft()

    def _clear(self) -> list[T]:
        left = list(self._items)
        self._items.clear()
        return left
