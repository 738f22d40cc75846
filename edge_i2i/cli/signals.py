"""Ends from outside: Ctrl-C, ``kill``, a terminal that closes. The first asks, the second one ends at once."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType, TracebackType
from typing import Self

AT_ONCE_S = 2.0
"""After the second signal: for tidying up. A program that hangs in foreign code is ended then, whatever it leaves."""

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")  # the last: Ctrl-Break and closed consoles of Windows


_raised: ContextVar[Sequence[Interruption]] = ContextVar("raised", default=())


class Interruption(KeyboardInterrupt):
    """A signal asked the program to end. ``number``: which one."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_code(self) -> int:
        """By convention: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
        return 128 + self.number

    def __str__(self) -> str:
        """What happened, for people."""
        return "Interrupted" if self.number == signal.SIGINT else f"Ended by {signal.Signals(self.number).name}"


@contextmanager
def interrupt_on_signal() -> Iterator[list[Interruption]]:
    """Every signal that ends a program is an ``Interruption``, so that what is half-written is removed.

    A program that was started with ``nohup`` goes on when its terminal closes. Yields those that were raised: foreign
    code (importing, tracing, callbacks from C++) makes another exception of some, with nothing left to tell it by.
    """
    raised: list[Interruption] = []

    def interrupt(number: int) -> None:
        raised.append(Interruption(number))
        raise raised[-1]

    token = _raised.set(raised)
    try:
        with _Signals(interrupt):
            yield raised
    finally:
        _raised.reset(token)


def raise_if_swallowed() -> None:
    """Raise once more what a destructor or foreign code swallowed. For where work goes on, never for tidying up.

    Python drops what is raised while an object is being destroyed; the work would go on to its end.
    """
    for interruption in _raised.get():
        raise interruption


@contextmanager
def stop_on_signal() -> Iterator[threading.Event]:
    """Turn the first signal that ends a program into a request; a second one interrupts."""
    stop = threading.Event()
    with _Signals(lambda number: stop.set()):
        yield stop


class _Signals:
    """Has ``first`` deal with the first signal; the second one interrupts, and sees to it that the process ends.

    Only the main thread can be told of signals; in any other, nothing is changed.
    """

    def __init__(self, first: Callable[[int], None]) -> None:
        self._first = first
        self._count = 0
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._alarm: _Alarm | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._alarm = _Alarm(_ending_signals())
            self._before = {number: signal.signal(number, self._receive) for number in _ending_signals()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if self._alarm is not None:
            self._alarm.close()

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            raise Interruption(number)
        self._first(number)


class _Alarm:
    """Counts signals as they arrive, also while the main thread is in foreign code: the second one ends the process."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self._numbers = frozenset(numbers)
        self._closed = threading.Event()
        self._near, self._far = socket.socketpair()
        self._far.setblocking(False)
        self._before = signal.set_wakeup_fd(self._far.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self._listen, name="edge-i2i signals", daemon=True).start()

    def close(self) -> None:
        """The program has come to its end by itself."""
        self._closed.set()
        signal.set_wakeup_fd(self._before)
        self._far.close()

    def _listen(self) -> None:
        count = 0
        with self._near:
            while arrived := self._near.recv(1):
                count += arrived[0] in self._numbers
                if count == 2 and not self._closed.wait(AT_ONCE_S):
                    os._exit(128 + arrived[0])


def _ending_signals() -> tuple[int, ...]:
    here = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    return tuple(number for number in here if not _is_kept_away(number))


def _is_kept_away(number: int) -> bool:
    """By ``nohup``. SIGINT is taken all the same: shells keep it from what they start in the background."""
    return number != signal.SIGINT and signal.getsignal(number) is signal.SIG_IGN
