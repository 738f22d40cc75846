"""Pictures come at the moments that their time line says, exactly, in simulated time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.contract import Size
from edge_i2i.live.threads.handover import HandoverClosedError, Slot
from edge_i2i.media.pictures import write_picture
from edge_i2i.sources import source_spec
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.source import Source
from samples.live.virtual_clock import VirtualClock
from samples.sources.made import film_of_primaries, mark, primaries


def arrivals(source: Source, clock: VirtualClock, count: int, busy: float = 0.0) -> list[float]:
    """When each picture came, counted from the first; the reader is busy for a while after each."""
    source.open()
    times = []
    for _ in range(count):
        assert source.read() is not None
        times.append(clock.now())
        if busy:
            clock.sleep(busy)
    source.close()
    return [time - times[0] for time in times]


def test_a_film_as_live_comes_by_its_time_stamps(tmp_path: Path) -> None:
    moments = [Fraction(n, 1000) for n in (0, 40, 41, 500, 2_000, 9_000)]
    path = film_of_primaries(tmp_path / "a.mkv", moments)
    with VirtualClock() as clock:
        clock.sleep(7.0)
        source = source_spec(str(path), as_live=True, clock=clock).make()
        assert arrivals(source, clock, 6) == pytest.approx([float(moment) for moment in moments])


def test_a_film_takes_no_time_by_itself(tmp_path: Path) -> None:
    path = film_of_primaries(tmp_path / "a.mp4", [Fraction(n) for n in range(5)])
    with VirtualClock() as clock:
        assert arrivals(source_spec(str(path), clock=clock).make(), clock, 5) == [0.0] * 5


def test_the_first_picture_of_a_film_that_starts_late_is_not_waited_for(tmp_path: Path) -> None:
    path = film_of_primaries(tmp_path / "a.mkv", [Fraction(n, 10) for n in (30, 31, 32)])
    with VirtualClock() as clock:
        times = arrivals(source_spec(str(path), as_live=True, clock=clock).make(), clock, 3)
        assert times == pytest.approx([0.0, 0.1, 0.2])
        assert clock.now() == pytest.approx(0.2)


def test_a_slow_model_drops_frames_of_a_film_as_live_in_the_slot_and_nowhere_else(tmp_path: Path) -> None:
    path = film_of_primaries(tmp_path / "a.mp4", [Fraction(n, 25) for n in range(20)], marks=True)
    read: list[int] = []
    dropped: list[int] = []
    used: list[int] = []

    def capture() -> None:
        source = source_spec(str(path), as_live=True, clock=clock).make()
        source.open()
        while (captured := source.read()) is not None:
            read.append(mark(captured.image))
            replaced = slot.put(mark(captured.image))
            dropped.extend([] if replaced is None else [replaced])
        source.close()
        slot.close()

    with VirtualClock() as clock:
        slot: Slot[int] = Slot(clock)
        clock.start_thread(capture, "capture")
        try:
            while (number := slot.take()) is not None:
                used.append(number)
                clock.sleep(0.0971)  # the model: not quite two and a half frames
        except HandoverClosedError:
            pass
    assert read == list(range(20))
    assert used == [0, 2, 4, 7, 9, 12, 14, 16, 19]
    assert sorted(used + dropped) == read


@pytest.mark.parametrize("text", ["pattern:64x96@20", "pattern:64x96@20?frames=10", "photo:{}/1.png", "folder:{}"])
def test_others_come_at_their_rate(tmp_path: Path, text: str) -> None:
    for number in range(6):
        write_picture(tmp_path / f"{number}.png", source_picture())
    rate = None if text.startswith("pattern") else 20.0
    with VirtualClock() as clock:
        source = source_spec(text.format(tmp_path), fps=rate, as_live=True, clock=clock).make()
        assert arrivals(source, clock, 6) == pytest.approx([n / 20 for n in range(6)])


def test_a_late_reader_gets_every_picture_and_the_line_is_kept() -> None:
    with VirtualClock() as clock:
        source = source_spec("pattern:64x96@10", clock=clock).make()
        source.open()
        source.read()
        clock.sleep(0.35)
        moments = []
        for _ in range(6):
            captured = source.read()
            assert captured is not None and captured.t_source is not None
            moments.append((round(captured.t_source, 3), round(clock.now(), 3)))
    assert moments == [(0.1, 0.35), (0.2, 0.35), (0.3, 0.35), (0.4, 0.4), (0.5, 0.5), (0.6, 0.6)]


def test_who_was_held_up_for_long_does_not_race_afterwards() -> None:
    with VirtualClock() as clock:
        pace = Pace(clock)
        pace.wait_until(0.0)
        clock.sleep(60.0)
        moments = []
        for moment in (0.1, 0.2, 0.3):
            pace.wait_until(moment)
            moments.append(clock.now())
    assert moments == pytest.approx([60.0, 60.1, 60.2])


def test_a_jump_of_the_time_line_is_not_waited_for() -> None:
    with VirtualClock() as clock:
        pace = Pace(clock, longest_wait=2.0)
        moments = []
        for moment in (10.0, 10.5, 5_000.0, 5_000.5, 3.0, 3.5):
            pace.wait_until(moment)
            moments.append(clock.now())
    assert moments == pytest.approx([0.0, 0.5, 0.5, 1.0, 1.0, 1.5])


@given(
    st.lists(st.floats(0.001, 5.0), min_size=1, max_size=30),
    st.lists(st.floats(0.0, 0.02), min_size=30, max_size=30),
)
def test_nothing_comes_early_and_a_prompt_reader_is_exact(gaps: list[float], delays: list[float]) -> None:
    with VirtualClock() as clock:
        pace = Pace(clock)
        pace.wait_until(0.0)
        moment = 0.0
        for gap, delay in zip(gaps, delays, strict=False):
            moment += gap
            clock.sleep(delay)
            before = clock.now()
            pace.wait_until(moment)
            assert clock.now() == pytest.approx(max(before, moment))


def source_picture() -> np.ndarray:
    """Any picture."""
    return primaries(Size(80, 100))
