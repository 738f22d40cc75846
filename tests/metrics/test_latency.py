"""Interleaved timing by a clock that only the candidates move."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.errors import UsageError
from edge_i2i.metrics.latency import CLOCK_TICK, Speed, Timings, order_of_round, time_interleaved


class Machine:
    """A clock, and candidates that take a stated time by it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.calls.append(f"sleep {seconds:g}")
        self.now += seconds

    def candidate(self, name: str, seconds: Callable[[], float]) -> Callable[[], object]:
        def call() -> object:
            self.calls.append(name)
            self.now += seconds()
            return "what a candidate gives back does not matter"

        return call


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_a_speed_does_not_depend_on_the_machines_mood(machine: Machine) -> None:
    """Every round is slower than the last; all the same the fast candidate is twice as fast in each."""
    seconds = {"slow": 2.0, "fast": 1.0}

    candidates = {
        name: machine.candidate(name, lambda name=name: seconds[name] * (1 + (len(machine.calls) - 1) // 2))
        for name in seconds
    }
    timings = time_interleaved(candidates, 4, warm_up=0, clock=machine.clock)
    assert timings["slow"].seconds == pytest.approx((2, 4, 6, 8))
    assert timings["fast"].speed_to(timings["slow"]) == Speed(*[pytest.approx(2)] * 3)
    assert timings["fast"].is_faster_than(timings["slow"], by=1.9)
    assert not timings["slow"].is_faster_than(timings["fast"])


def test_warming_up_does_not_count(machine: Machine) -> None:
    lengths = iter([50.0, 40.0, 1.0, 2.0, 3.0])
    timings = time_interleaved(
        {"only": machine.candidate("only", lambda: next(lengths))}, 3, warm_up=2, clock=machine.clock
    )
    assert timings["only"].seconds == pytest.approx((1, 2, 3))


def test_candidates_take_turns_and_any_key_will_do(machine: Machine) -> None:
    keys = [("engine", "int8"), ("engine", "fp32")]
    candidates = {key: machine.candidate(key[1], lambda: 1.0) for key in keys}
    timings = time_interleaved(candidates, 4, warm_up=0, clock=machine.clock)
    assert list(timings) == keys
    assert machine.calls == ["int8", "fp32", "fp32", "int8"] * 2


def test_the_pause_is_not_timed(machine: Machine) -> None:
    only = {"only": machine.candidate("only", lambda: 1.0)}
    timings = time_interleaved(only, 3, warm_up=0, pause=0.1, clock=machine.clock, sleep=machine.sleep)
    assert machine.calls == ["sleep 0.1", "only"] * 3
    assert timings["only"].seconds == pytest.approx((1, 1, 1))


@pytest.mark.parametrize(
    ("seconds", "warmed_up", "timed"),
    [(None, 5, 20), (1000, 5, 20), (160, 4, 12), (80, 2, 6), (10, 1, 3), (0, 1, 3)],
)
def test_a_budget_of_time_bounds_the_rounds(machine: Machine, seconds: float, warmed_up: int, timed: int) -> None:
    """A round takes ten seconds; a quarter of the budget at most goes into warming up."""
    only, seen = {"only": machine.candidate("only", lambda: 10.0)}, []
    timings = time_interleaved(
        only, 20, warm_up=5, seconds=seconds, clock=machine.clock, on_round=lambda done, most: seen.append((done, most))
    )
    assert len(timings["only"].seconds) == timed
    assert len(machine.calls) == warmed_up + timed
    assert seen == [(number + 1, 20) for number in range(timed)]


def test_no_warming_up_where_none_was_asked_for(machine: Machine) -> None:
    time_interleaved({"only": machine.candidate("only", lambda: 1.0)}, 3, 0, seconds=0, clock=machine.clock)
    assert len(machine.calls) == 3


def test_what_takes_no_time_takes_a_tick(machine: Machine) -> None:
    nothing = {"nothing": machine.candidate("nothing", lambda: 0.0)}
    assert time_interleaved(nothing, 3, 0, clock=machine.clock)["nothing"].seconds == (CLOCK_TICK,) * 3


def test_with_the_real_clock() -> None:
    timings = time_interleaved({"a": lambda: sum(range(100)), "b": lambda: None}, 3, warm_up=1)
    assert all(0 < second < 60 for timing in timings.values() for second in timing.seconds)


@pytest.mark.parametrize("count", range(1, 8))
def test_orders_are_balanced(count: int) -> None:
    rounds = count if count % 2 == 0 else 2 * count
    orders = [order_of_round(count, number) for number in range(rounds)]
    assert all(sorted(order) == list(range(count)) for order in orders)
    places = Counter((place, name) for order in orders for place, name in enumerate(order))
    followed = Counter(pair for order in orders for pair in pairwise(order))
    assert len(places) == count**2 and len(set(places.values())) == 1
    assert len(followed) == count * (count - 1) and len(set(followed.values())) <= 1


# Timings --------------------------------------------------------------------------------------------------------


def test_percentiles_and_figures() -> None:
    timings = Timings(tuple(number / 1000 for number in range(10, -1, -1)))
    assert (timings.p10, timings.p50, timings.p90) == pytest.approx((0.001, 0.005, 0.009))
    assert timings.figures() == {"p10_ms": 1, "p50_ms": 5, "p90_ms": 9, "rounds": 11}


def test_the_spread_must_allow_the_claim() -> None:
    base = Timings((1.0,) * 8)
    steady = Timings(tuple(1 / ratio for ratio in (1.04, 1.05, 1.05, 1.05, 1.06, 1.05, 1.05, 1.04)))
    scattered = Timings(tuple(1 / ratio for ratio in (0.8, 0.9, 0.9, 1.1, 1.2, 1.2, 1.3, 1.3)))
    slight = Timings((1 / 1.01,) * 8)
    assert steady.is_faster_than(base) and not steady.is_faster_than(base, by=1.1)
    assert scattered.speed_to(base).median > steady.speed_to(base).median
    assert not scattered.is_faster_than(base)
    assert not slight.is_faster_than(base) and slight.is_faster_than(base, by=1)
    assert not base.is_faster_than(base, by=1)


def test_three_rounds_must_agree() -> None:
    base = Timings((1.0, 1.0, 1.0))
    assert Timings((0.5, 0.9, 0.95)).is_faster_than(base)
    assert not Timings((0.5, 0.5, 1.01)).is_faster_than(base)


@given(st.lists(st.tuples(st.floats(1e-6, 1e3), st.floats(1e-6, 1e3)), min_size=3, max_size=20))
def test_at_most_one_of_two_is_faster(pairs: list[tuple[float, float]]) -> None:
    a, b = (Timings(times) for times in zip(*pairs, strict=True))
    speed = a.speed_to(b)
    assert 0 < speed.low <= speed.median <= speed.high
    assert not (a.is_faster_than(b) and b.is_faster_than(a))


def test_a_plan_that_says_nothing_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing to time"):
        time_interleaved({}, 5)
    with pytest.raises(UsageError, match="2 rounds"):
        time_interleaved({"a": lambda: None}, 2)
    with pytest.raises(UsageError, match="-1 of warming up"):
        time_interleaved({"a": lambda: None}, 3, -1)


@pytest.mark.parametrize("other", [(1.0,) * 4, (1.0,) * 2])
def test_timings_of_different_runs_are_not_compared(other: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        Timings((1.0,) * (3 if len(other) == 4 else 2)).speed_to(Timings(other))
