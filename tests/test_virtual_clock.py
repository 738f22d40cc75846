"""Simulated time: it jumps to the earliest deadline, never over somebody who can still run, the same every time."""

from __future__ import annotations

import threading

import pytest

from edge_i2i.clock import Signal, Stopwatch
from edge_i2i.live.threads.handover import HandoverClosedError, Lane, Slot
from samples.live.virtual_clock import VirtualClock, VirtualDeadlockError


def test_those_that_sleep_wake_in_the_order_of_their_deadlines() -> None:
    woken: list[tuple[float, str]] = []

    def sleeper(name: str, seconds: float) -> None:
        clock.sleep(seconds)
        woken.append((clock.now(), name))

    with VirtualClock() as clock:
        tasks = [
            clock.spawn(lambda n=name, s=seconds: sleeper(n, s), name)
            for name, seconds in (("c", 3.0), ("a", 1.0), ("b", 2.0), ("a too", 1.0))
        ]
        assert all(task.join() for task in tasks) and clock.now() == 3.0
    assert woken == [(1.0, "a"), (1.0, "a too"), (2.0, "b"), (3.0, "c")]


def test_an_hour_of_frames_takes_a_moment() -> None:
    with VirtualClock() as clock:
        watch = Stopwatch(clock)
        for _ in range(3600):
            clock.sleep(1.0)
        assert watch.lap("sleep").seconds == {"sleep": 3600.0}


def test_a_wait_ends_at_its_deadline_or_when_its_condition_holds() -> None:
    with VirtualClock() as clock:
        signal = Signal(clock)
        assert not signal.wait(0.5) and clock.now() == 0.5
        assert not signal.wait(0) and clock.now() == 0.5

        def set_later() -> None:
            clock.sleep(0.25)
            signal.set()

        clock.start_thread(set_later, "setter")
        assert signal.wait(10) and clock.now() == 0.75
        assert signal.wait() and signal.wait(0)


def test_time_does_not_jump_over_those_that_were_woken() -> None:
    """The waiter's own deadline is a moment after the notification; it still sees what was notified first."""
    with VirtualClock() as clock:
        slot: Slot[int] = Slot(clock)
        seen: list[tuple[float, int | None]] = []

        def consume() -> None:
            while (item := slot.take(1.0)) is not None:
                seen.append((clock.now(), item))

        consumer = clock.spawn(consume, "consumer")
        for number in range(3):
            clock.sleep(0.999)
            slot.put(number)
        assert consumer.join()
        assert seen == [(pytest.approx(0.999 * (n + 1)), n) for n in range(3)]
        assert clock.now() == pytest.approx(3.997)


def test_a_notification_before_the_change_is_seen_too() -> None:
    """Legal with real conditions: who waits gets the lock only after the change."""
    with VirtualClock() as clock:
        condition, box = clock.condition(), list[int]()

        def change() -> None:
            with condition:
                condition.notify_all()
                box.append(1)

        clock.start_thread(change, "changer")
        with condition:
            assert condition.wait_for(lambda: bool(box), 5.0)
        assert clock.now() == 0.0


def run_a_slot() -> list[tuple[float, int]]:
    """A 30 fps source and a model of 50 ms, for ten minutes: when each frame was ready, and which."""
    ready: list[tuple[float, int]] = []
    with VirtualClock() as clock:
        slot: Slot[int] = Slot(clock)

        def translate() -> None:
            while True:
                try:
                    number = slot.take()
                except HandoverClosedError:
                    return
                clock.sleep(0.05)
                ready.append((clock.now(), number))

        model = clock.spawn(translate, "model")
        for number in range(18_000):
            slot.put(number)
            clock.sleep(1 / 30)
        slot.close()
        assert model.join(1.0)
    return ready


def test_the_slot_keeps_the_age_bounded_and_every_run_is_the_same() -> None:
    ready = run_a_slot()
    numbers = [number for _, number in ready]
    ages = [time - number / 30 for time, number in ready]
    assert numbers == sorted(set(numbers)) and 11_900 <= len(numbers) <= 12_002
    assert max(ages) <= 0.05 + 1 / 30 + 1e-6
    assert ready == run_a_slot()


def test_a_lane_holds_its_producer_up_and_drops_only_after_its_patience() -> None:
    with VirtualClock() as clock:
        lane: Lane[int] = Lane(clock, room=2)
        taken: list[int] = []

        def consume() -> None:
            for _ in range(5):
                clock.sleep(1.0)
                taken.append(lane.take())

        clock.start_thread(consume, "consumer")
        assert all(lane.put(number) is None for number in range(5))
        assert clock.now() == 3.0  # the fifth found room when the third was taken
        clock.sleep(10)
        assert taken == list(range(5))
        impatient: Lane[str] = Lane(clock, room=1, patience=0.1)
        assert impatient.put("first") is None and impatient.put("second") == "second"
        assert clock.now() == pytest.approx(13.1)


def test_a_join_waits_at_most_its_timeout() -> None:
    with VirtualClock() as clock:
        task = clock.spawn(lambda: clock.sleep(2.0), "two seconds")
        assert not task.join(0.5) and not task.ended and clock.now() == 0.5
        assert task.join(5.0) and task.ended and clock.now() == 2.0


def test_all_waiting_for_ever_is_an_error_that_names_them() -> None:
    with VirtualClock() as clock:
        never = Signal(clock)

        def hang_in_the_driver() -> None:
            never.wait()

        clock.start_thread(hang_in_the_driver, "capture")
        with pytest.raises(VirtualDeadlockError, match="all wait") as caught:
            never.wait()
        assert "capture in hang_in_the_driver (test_virtual_clock.py:" in str(caught.value)
        assert not never.wait(3.0) and clock.now() == 3.0  # the main thread can go on


def test_closing_ends_threads_that_wait_for_ever_and_those_that_never_ran() -> None:
    before, ends = threading.active_count(), list[str]()

    def hang() -> None:
        try:
            Signal(clock).wait()
        except Exception:
            ends.append("swallowed")
        finally:
            ends.append("cleaned up")

    with VirtualClock() as clock:
        clock.start_thread(hang, "hung")
        clock.sleep(1.0)
        clock.start_thread(lambda: ends.append("ran"), "too late")
    assert ends == ["cleaned up"] and threading.active_count() == before


def test_what_a_thread_raises_is_raised_at_the_end() -> None:
    def fail() -> None:
        raise ValueError("in a thread")

    with pytest.raises(ValueError, match="in a thread"), VirtualClock() as clock:
        task = clock.spawn(fail, "failing")
        assert task.join(1.0)


def test_a_stranger_may_wake_somebody_but_not_wait() -> None:
    problems: list[BaseException] = []

    def stranger(signal: Signal) -> None:
        try:
            Signal(clock).wait(1.0)
        except AssertionError as error:
            problems.append(error)
        signal.set()

    with VirtualClock() as clock:
        signal = Signal(clock)
        thread = threading.Thread(target=stranger, args=(signal,))
        thread.start()
        thread.join()
        assert signal.wait(1.0) and clock.now() == 0.0
    assert "not started through the clock" in str(problems[0])
