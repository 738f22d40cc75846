"""Simulated time for real threads: an hour of a session in a moment, the same every time.

    with VirtualClock() as clock:
        session = LiveSession(..., clock=clock)

Participants are the thread that made the clock, and every thread that was started through it. One of them has the turn
and runs; the others wait. Who waits on a condition gives the turn up: to the participant that was woken (or started)
first, and where none is left to run, to the one with the earliest deadline, to which time jumps. Computing takes no
time at all: what takes time says so with ``clock.sleep(seconds)``.

Because only one runs at a time, everything happens in the same order on every run. The price: a participant that blocks
outside the clock (a socket that another participant writes to, an asyncio loop) holds all others up.
"""

from __future__ import annotations

import math
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Self

from edge_i2i.clock import Clock

_PATIENCE = 60.0
"""Real seconds without any change of turn after which the test is taken to be stuck outside the clock."""


class VirtualDeadlockError(AssertionError):
    """Every participant waits, and none of them with a deadline: nothing can ever happen again."""


class _EndedError(BaseException):
    """Ends a thread that still waits when the clock is closed; nobody's ``except Exception`` may swallow it."""


@dataclass(eq=False)
class _Participant:
    thread: threading.Thread
    gate: threading.Condition
    condition: _VirtualCondition | None = None  # what it waits on
    predicate: Callable[[], bool] | None = None
    deadline: float = math.inf
    since: int = 0  # orders those that wait for the same moment

    def may_run(self, now: float) -> bool:
        """Whether waking it is of use; looked at by the thread that passes the turn, which saves many switches."""
        return self.predicate is None or self.deadline <= now or self.predicate()


@dataclass(eq=False)
class _VirtualCondition:
    """Implements ``clock.Condition``; the lock is the clock's, shared by all of its conditions."""

    clock: VirtualClock
    waiting: list[_Participant] = field(default_factory=list)

    def __enter__(self) -> bool:
        return self.clock._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        self.clock._lock.release()

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        deadline = math.inf if timeout is None else self.clock.now() + max(timeout, 0.0)
        while not (holds := predicate()):
            self.clock._wait(self, predicate, deadline)
            if self.clock.now() >= deadline:
                return predicate()
        return holds

    def notify_all(self) -> None:
        self.clock._wake(self.waiting)


class VirtualClock(Clock):
    """Simulated time, from 0; a context manager that ends all threads at last, and raises what one of them raised."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._now = 0.0
        self._order = 0
        self._closed = False
        self._main = self._turn = _Participant(threading.current_thread(), threading.Condition(self._lock))
        self._participants = {threading.get_ident(): self._main}
        self._started: list[threading.Thread] = []
        self._ready: deque[_Participant] = deque()
        self._errors: list[BaseException] = []
        self._deadlock = ""

    def now(self) -> float:
        """Simulated seconds."""
        return self._now

    def condition(self) -> _VirtualCondition:
        """A condition that shares its lock with all others of this clock."""
        return _VirtualCondition(self)

    def start_thread(self, run: Callable[[], None], name: str) -> None:
        """A new participant; it runs as soon as those that were woken before have run."""
        participant: _Participant

        def work() -> None:
            try:
                with self._lock:
                    self._participants[threading.get_ident()] = participant
                    self._await_turn(participant)
                run()
            except _EndedError:
                pass
            except BaseException as error:
                self._errors.append(error)
            finally:
                self._leave()

        with self._lock:
            if self._closed:
                raise _EndedError
            thread = threading.Thread(target=work, name=name, daemon=True)
            participant = _Participant(thread, threading.Condition(self._lock))
            self._started.append(thread)
            self._ready.append(participant)
        thread.start()

    def close(self) -> None:
        """End every thread that still waits. Called by the thread that made the clock.

        Raises:
            AssertionError: threads do not end, because they block outside the clock.
        """
        with self._lock:
            self._closed = True
            for participant in [*self._participants.values(), *self._ready]:
                participant.gate.notify_all()
        for thread in self._started:
            thread.join(5.0)
        stuck = [thread.name for thread in self._started if thread.is_alive()]
        assert not stuck, f"these threads block outside the clock, and stay behind: {', '.join(stuck)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for other in self._errors:
            if error is None:
                raise other
            error.add_note(f"a thread had raised: {other!r}")

    def _wait(self, condition: _VirtualCondition, predicate: Callable[[], bool], deadline: float) -> None:
        me = self._participants.get(threading.get_ident())
        assert me is not None, f"{threading.current_thread().name} was not started through the clock: it cannot wait"
        if self._closed:
            raise _EndedError if me is not self._main else AssertionError("the clock is closed: nobody can wait")
        self._order += 1
        me.condition, me.predicate, me.deadline, me.since = condition, predicate, deadline, self._order
        condition.waiting.append(me)
        try:
            self._pass_turn()
            self._await_turn(me)
        finally:
            self._stop_waiting(me)

    def _await_turn(self, me: _Participant) -> None:
        while self._turn is not me:
            if self._closed:
                raise _EndedError
            turn, order = self._turn, self._order
            changed = me.gate.wait(_PATIENCE if me is self._main else None)
            if not changed and (turn, order) == (self._turn, self._order):
                raise AssertionError(f"{_where(turn)} has had the turn for {_PATIENCE:.0f} real seconds")
        if me is self._main and self._deadlock:
            message, self._deadlock = self._deadlock, ""
            raise VirtualDeadlockError(message)

    def _wake(self, waiting: list[_Participant]) -> None:
        self._ready.extend(p for p in waiting if p not in self._ready and p is not self._turn)

    def _stop_waiting(self, me: _Participant) -> None:
        if me.condition is not None:
            me.condition.waiting.remove(me)
        me.condition, me.predicate, me.deadline = None, None, math.inf
        if me in self._ready:  # woken by a deadline and by a notification
            self._ready.remove(me)

    def _pass_turn(self) -> None:
        self._turn = self._next()
        self._turn.gate.notify_all()

    def _next(self) -> _Participant:
        while self._ready:
            participant = self._ready.popleft()
            if participant.may_run(self._now):
                return participant
        waiting = [p for p in self._participants.values() if p.deadline < math.inf]
        if not waiting:
            self._deadlock = self._everybody()
            return self._main
        first = min(waiting, key=lambda p: (p.deadline, p.since))
        self._now = max(self._now, first.deadline)
        return first

    def _leave(self) -> None:
        with self._lock:
            me = self._participants.pop(threading.get_ident(), None)
            if self._turn is me and not self._closed:
                self._pass_turn()

    def _everybody(self) -> str:
        lines = [f"  {_where(p)}" for p in self._participants.values() if p.condition is not None]
        return f"at {self._now:g} s all wait, none with a deadline:\n" + "\n".join(lines)


def _where(participant: _Participant) -> str:
    """Who it is, and the functions that it is in, the innermost first, without those of the clocks."""
    frame: FrameType | None = sys._current_frames().get(participant.thread.ident or 0)
    places: list[str] = []
    while frame is not None and len(places) < 4:
        name = frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
        if name not in ("virtual_clock.py", "clock.py", "threading.py"):
            places.append(f"{frame.f_code.co_name} ({name}:{frame.f_lineno})")
        frame = frame.f_back
    return f"{participant.thread.name} in {' ← '.join(places) or 'no function of its own'}"
