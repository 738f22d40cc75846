"""Timing several callables against each other in one process, so that the machine's moods fall on all of them alike.

A shared machine wanders by half within minutes, so two runs one after the other compare its moods. Here every round
calls every candidate once, in an order that is balanced over the rounds, and a speed is the median of the rounds' own
ratios. A claim must survive the spread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from edge_i2i.errors import UsageError

Key = TypeVar("Key", bound=Hashable)

LEAST_ROUNDS = 3
"""Fewer say nothing about the spread."""

WARM_UP_SHARE = 0.25
"""Of a budget in seconds: warming up ends there, so that it cannot leave too little for what is timed."""

CLOCK_TICK = 1e-9
"""Seconds. What takes no time by the clock took less than its tick; a ratio to 0 would be infinite."""


@dataclass(frozen=True)
class Speed:
    """How many times faster: the median of the rounds' ratios, and their quartiles."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Timings:
    """Seconds of one candidate's calls, in the order of the rounds; the candidates of one run share the rounds."""

    seconds: tuple[float, ...]

    @property
    def p10(self) -> float:
        """Seconds that a tenth of the calls stay within: the machine undisturbed."""
        return self._percentile(10)

    @property
    def p50(self) -> float:
        """The median in seconds."""
        return self._percentile(50)

    @property
    def p90(self) -> float:
        """Seconds that nine tenths of the calls stay within."""
        return self._percentile(90)

    def _percentile(self, percent: float) -> float:
        return float(np.percentile(self.seconds, percent))

    def speed_to(self, other: Timings) -> Speed:
        """How many times faster than ``other`` of the same run this is, round by round: 2 = in half the time.

        >>> Timings((1.0, 1.0, 2.0)).speed_to(Timings((2.0, 3.0, 8.0)))
        Speed(median=3.0, low=2.0, high=4.0)

        Raises:
            UsageError: the two do not share their rounds, or there are fewer than three.
        """
        rounds = len(self.seconds)
        if rounds != len(other.seconds) or rounds < LEAST_ROUNDS:
            raise UsageError(
                f"Timings of {rounds} and {len(other.seconds)} rounds cannot be compared.",
                remedy=f"Time both in one interleaved run of {LEAST_ROUNDS} rounds or more.",
            )
        ratios = [theirs / mine for mine, theirs in zip(self.seconds, other.seconds, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        return Speed(middle, low, high)

    def is_faster_than(self, other: Timings, by: float = 1.02) -> bool:
        """Whether this may be called ``by`` times faster: the median says so, and the spread does not exceed the gain.

        That is, three rounds of four were faster at all: the lower quartile is above 1. With three rounds, every one.

        >>> steady, noisy, other = Timings((1, 1, 1, 1)), Timings((0.5, 0.6, 1.4, 1.5)), Timings((1.1, 1.1, 1.1, 1.1))
        >>> steady.is_faster_than(other), noisy.is_faster_than(other)
        (True, False)

        Raises:
            UsageError: the two do not share their rounds, or there are fewer than three.
        """
        speed = self.speed_to(other)
        return speed.median >= by and speed.low > 1

    def figures(self) -> dict[str, float]:
        """``p10_ms``, ``p50_ms``, ``p90_ms`` and ``rounds``, for the bundle's evidence."""
        milliseconds = {"p10_ms": self.p10 * 1e3, "p50_ms": self.p50 * 1e3, "p90_ms": self.p90 * 1e3}
        return {**milliseconds, "rounds": float(len(self.seconds))}


def _say_nothing(done: int, rounds: int) -> None:
    """The default of ``on_round``: nobody is told."""


def time_interleaved(
    candidates: Mapping[Key, Callable[[], object]],
    rounds: int,
    warm_up: int = 5,
    *,
    seconds: float | None = None,
    pause: float = 0.0,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], object] = time.sleep,
    on_round: Callable[[int, int], object] = _say_nothing,
) -> dict[Key, Timings]:
    """Call every candidate once a round and take the time of each call.

    Args:
        candidates: what to call, by name.
        rounds: timed rounds, three or more.
        warm_up: rounds before them that do not count.
        seconds: begin no further round once so many have passed since the beginning (a quarter of them for warming up);
            one round of warming up, where any was asked for, and three timed ones are made all the same.
        pause: seconds to wait before each call, so that the threads of the last one have stopped spinning.
        clock: gives seconds.
        sleep: waits for seconds.
        on_round: told after each timed round how many are done and how many there are to be at most.

    Returns:
        The timings by name, in the order of ``candidates``, all of the same rounds.

    Raises:
        UsageError: no candidate, fewer than three rounds, or a negative number of rounds of warming up.
    """
    _check_plan(len(candidates), rounds, warm_up)
    names, taken = tuple(candidates), {name: list[float]() for name in candidates}
    began = clock()

    def is_over(share: float) -> bool:
        return seconds is not None and clock() - began >= share * seconds

    def call_all(number: int) -> None:
        for place in order_of_round(len(names), number):
            if pause > 0:
                sleep(pause)
            started = clock()
            candidates[names[place]]()
            taken[names[place]].append(max(clock() - started, CLOCK_TICK))

    for number in range(warm_up):
        if number and is_over(WARM_UP_SHARE):
            break
        call_all(number)
    for times in taken.values():
        times.clear()
    for number in range(rounds):
        if number >= LEAST_ROUNDS and is_over(1):
            break
        call_all(number)
        on_round(number + 1, rounds)
    return {name: Timings(tuple(times)) for name, times in taken.items()}


def _check_plan(candidates: int, rounds: int, warm_up: int) -> None:
    if not candidates:
        raise UsageError("There is nothing to time.")
    if rounds < LEAST_ROUNDS or warm_up < 0:
        raise UsageError(
            f"{rounds} rounds after {warm_up} of warming up say nothing about the spread.",
            remedy=f"Take {LEAST_ROUNDS} rounds or more.",
        )


def order_of_round(count: int, number: int) -> tuple[int, ...]:
    """In which order a round calls ``count`` candidates: rows of a Williams square.

    Every candidate has every place equally often, and follows every other equally often, over ``count`` rounds (twice
    as many where ``count`` is odd): plain rotation would let one always run behind the same other, in its heat and
    cache. Williams, "Experimental designs balanced for the estimation of residual effects of treatments", Australian
    Journal of Scientific Research A 2(2), 1949.

    >>> [order_of_round(4, number) for number in range(4)]
    [(0, 1, 3, 2), (1, 2, 0, 3), (2, 3, 1, 0), (3, 0, 2, 1)]
    """
    zigzag = [(place + 1) // 2 if place % 2 else (count - place // 2) % count for place in range(count)]
    order = tuple((place + number) % count for place in zigzag)
    return order[::-1] if count % 2 and number // count % 2 else order
