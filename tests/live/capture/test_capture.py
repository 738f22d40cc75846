"""The capture: recovers from whatever a camera does, in time, and tells what happened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.clock import Clock, Signal
from edge_i2i.errors import BadInputError
from edge_i2i.live.capture.backoff import BackOff
from edge_i2i.live.capture.capture import Capture
from edge_i2i.live.capture.frame_maker import Continuity
from edge_i2i.live.capture.watchdog import Patience, Repeats, Watchdog
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.figures.stats import LiveStats
from edge_i2i.live.frame import Frame
from edge_i2i.sources.coded import read_code
from edge_i2i.sources.source import Captured, SourceLostError, SourceSpec
from samples.live.coded_frames import coded_spec
from samples.live.faulty_source import FaultyCamera, Trouble
from samples.live.virtual_clock import VirtualClock


class Harness:
    """A capture, with everything that it delivers and tells."""

    def __init__(self, clock: Clock, spec: SourceSpec, **options: Any) -> None:
        self.clock = clock
        self.frames: list[Frame] = []
        self.events: list[Event] = []
        self.stats = LiveStats(clock)
        self.error: Exception | None = None
        self.over = Signal(clock)
        self.capture = Capture(
            clock, spec, self.frames.append, self._ended, stats=self.stats, emit=self._emit, **options
        )

    def _emit(self, kind: EventKind, message: str, **details: Any) -> None:
        self.events.append(Event(self.clock.now(), kind, message, details))

    def _ended(self, error: Exception | None) -> None:
        self.error = error
        self.over.set()

    def of(self, kind: EventKind) -> list[Event]:
        return [event for event in self.events if event.kind is kind]

    def frames_from(self, begin: float, end: float = 1e9) -> list[Frame]:
        return [frame for frame in self.frames if begin <= frame.t_capture < end]


@contextmanager
def capturing(clock: Clock, spec: SourceSpec, **options: Any) -> Iterator[Harness]:
    harness = Harness(clock, spec, **options)
    harness.capture.start()
    yield harness
    harness.capture.close()
    assert harness.over.wait(0) or harness.over.wait(0.01)


RECOVERABLE = [
    Trouble("nothing", 2.0, 0.5),
    Trouble("nothing", 2.0, 20.0),
    Trouble("stale", 2.0, 3.0),
    Trouble("blocks", 2.0, 4.0),
    Trouble("hang", 2.0, 0.5),
    Trouble("raises", 2.0, 1.0),
    Trouble("gone", 2.0, 12.0),
    Trouble("moves", 2.0, 3.0),
    Trouble("other format", 2.0, 0.0),
]


@pytest.mark.parametrize("trouble", RECOVERABLE, ids=lambda trouble: f"{trouble.kind} for {trouble.seconds:g} s")
def test_a_live_source_is_back_within_a_second_and_a_half(trouble: Trouble) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, trouble)
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(trouble.end + 5)
        before = harness.frames_from(0, trouble.begin)
        after = harness.frames_from(max(trouble.begin + 0.1, trouble.end))
        assert len(before) == pytest.approx(trouble.begin * 30, abs=2)
        assert after and after[0].t_capture <= trouble.end + 1.5
        assert after[-1].epoch == 1 and harness.stats.snapshot().recoveries == 1
        assert harness.error is None
        (lost,), (recovered,) = harness.of(EventKind.SOURCE_LOST), harness.of(EventKind.RECOVERED)
        assert trouble.begin <= lost.time <= trouble.begin + 0.6 and recovered.time == after[0].t_capture
        assert [frame.seq for frame in harness.frames] == sorted({frame.seq for frame in harness.frames})
        codes = [read_code(frame.image) for frame in harness.frames]
        assert len({code.number for code in codes if code}) == len(codes)  # nothing torn, nothing twice


def test_a_device_that_returns_under_another_index_is_found() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("moves", 1.0, 2.0))
        with capturing(clock, camera.spec()):
            clock.sleep(6)
        assert camera.indexes == [0, 1]


@pytest.mark.parametrize("seconds", [5.0, 29.0, 100.0])
def test_a_long_outage_costs_little_and_ends_soon(seconds: float) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("gone", 1.0, seconds))
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(seconds + 10)
        late = harness.frames_from(1.0)[0].t_capture - (1.0 + seconds)
        assert late <= (1.5 if seconds < 30 else 5.1)
        assert camera.opened <= 4 + min(seconds, 31) + max(0, seconds - 30) / 4


def test_a_hanging_reader_is_given_up_and_what_it_delivers_late_is_counted() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("blocks", 1.0, 0.7), fps=30)
        opened: list[int] = []

        def make_blocks_once() -> Any:
            opened.append(1)
            if len(opened) == 2:
                camera.troubles = ()
            return original()

        original = camera.spec().make
        # The first opening is inside its block until 1.7 s; it has read the trouble already, the second one is well.
        with capturing(clock, SourceSpec("camera:0", True, make_blocks_once)) as harness:
            clock.sleep(4)
            assert camera.opened == 2 and camera.closed == 1  # the first has closed its own source
            snapshot = harness.stats.snapshot()
            assert snapshot.dropped == {DropCause.ABANDONED: 1}
            assert snapshot.captured == len(harness.frames) + 1 == harness.frames[-1].seq + 1
        assert harness.capture.join(1) and camera.closed == 2


def test_an_opening_that_hangs_is_given_up_too() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("gone", 1.0, 0.2), Trouble("hang in open", 1.2, 3.0))
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(15)
        reasons = [event.details["reason"] for event in harness.of(EventKind.RETRYING)]
        assert any("did not open within 10 s" in reason for reason in reasons)
        assert harness.frames[-1].t_capture > 14 and harness.stats.snapshot().recoveries == 1


@pytest.mark.parametrize("kind", ["size", "back", "ahead"])
def test_what_changes_in_the_middle_begins_an_epoch_and_goes_on(kind: str) -> None:
    trouble = {
        "size": Trouble("other size", 1.0),
        "back": Trouble("time jumps", 1.0, by=-30.0),
        "ahead": Trouble("time jumps", 1.0, by=30.0),
    }[kind]
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, trouble)
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(2)
        assert [frame.epoch for frame in harness.frames_from(0, 0.99)] == [0] * 29
        assert {frame.epoch for frame in harness.frames_from(1.001)} == {1}
        assert len(harness.of(EventKind.SOURCE_CHANGED)) == 1 and camera.opened == 1 and len(harness.frames) >= 58


def test_a_slower_camera_is_not_a_stalled_one() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("slow", 2.0, by=5.0))
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(20)
        assert camera.opened == 1 and not harness.of(EventKind.SOURCE_LOST) and len(harness.frames) >= 148


@pytest.mark.parametrize("fps", [0.5, 1.0])
def test_a_very_slow_camera_is_not_stalled_either(fps: float) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, fps=fps)
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(20)
        assert camera.opened == 1 and len(harness.frames) == pytest.approx(20 * fps, abs=1)


def test_identical_pictures_are_fine_where_the_source_may_repeat_itself() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("stale", 1.0, 3.0), repeats_mean_stall=False)
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(5)
        assert camera.opened == 1 and len(harness.frames) >= 148


@pytest.mark.parametrize("seconds", [1.0, 3600.0])
def test_a_machine_that_was_asleep_has_not_lost_its_camera(seconds: float) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock)
        with capturing(clock, camera.spec()) as harness:
            clock.sleep(2)
            clock._now += seconds
            clock.sleep(2)
        assert camera.opened == 1 and len(harness.frames_from(seconds + 2)) >= 58


@pytest.mark.parametrize(("kind", "error"), [("gone", SourceLostError), ("unusable", BadInputError)])
def test_a_source_that_cannot_be_opened_at_first_is_an_error(kind: str, error: type[Exception]) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble(kind, 0.0))
        with capturing(clock, camera.spec()) as harness:
            assert harness.over.wait(1) and isinstance(harness.error, error)
        assert camera.opened == camera.closed == 1


def test_a_first_opening_that_hangs_is_an_error() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("hang in open", 0.0))
        with capturing(clock, camera.spec()) as harness:
            assert harness.over.wait(11) and isinstance(harness.error, SourceLostError)


def test_a_source_may_be_waited_for() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("gone", 0.0, 8.0))
        with capturing(clock, camera.spec(), wait_for_source=True) as harness:
            clock.sleep(12)
        assert 8 < harness.frames[0].t_capture < 9.5


def test_a_source_that_says_that_it_is_hopeless_ends_the_capture() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("nothing", 1.0, 0.1), Trouble("unusable", 1.1))
        with capturing(clock, camera.spec()) as harness:
            assert harness.over.wait(5) and isinstance(harness.error, BadInputError)


def test_a_file_is_played_to_its_end() -> None:
    with VirtualClock() as clock:
        with capturing(clock, coded_spec(clock, frames=100, live=False)) as harness:
            assert harness.over.wait(1) and harness.error is None
        assert [frame.seq for frame in harness.frames] == list(range(100))
        assert len(harness.of(EventKind.SOURCE_ENDED)) == 1 and harness.capture.join(0)


def test_a_file_that_fails_is_an_error_and_not_tried_again() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("raises", 1.0))
        with capturing(clock, camera.spec("clip.mp4", live=False)) as harness:
            assert harness.over.wait(5) and isinstance(harness.error, RuntimeError)
        assert camera.opened == 1


def test_who_takes_frames_slowly_is_not_a_stalled_source() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock)
        harness = Harness(clock, camera.spec())
        harness.capture = Capture(
            clock, camera.spec(), lambda _: clock.sleep(2), harness._ended, stats=harness.stats, emit=harness._emit
        )
        harness.capture.start()
        clock.sleep(20)
        harness.capture.close()
        assert camera.opened == 1 and harness.stats.snapshot().captured == 10


# The decisions --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.floats(0, 3), max_size=60))
def test_delays_double_stay_short_for_half_a_minute_and_never_exceed_five_seconds(opening_takes: list[float]) -> None:
    back_off, now, delays = BackOff(), 100.0, []
    for seconds in opening_takes:
        delay = back_off.delay(now)
        assert 0.25 <= delay <= (1.0 if now < 130 else 5.0)
        assert not delays or delay >= min(delays[-1], 1.0)
        delays.append(delay)
        now += delay + seconds
    assert delays[:3] == [0.25, 0.5, 1.0][: len(delays)]


def test_only_a_source_that_gave_frames_for_a_while_was_back() -> None:
    back_off = BackOff()
    assert [back_off.delay(0), back_off.delay(0.25)] == [0.25, 0.5]
    back_off.gives(1.0)
    assert back_off.delay(1.1) == 1.0
    back_off.gives(2.0)
    back_off.gives(3.9)
    assert back_off.delay(4.0) == 0.25


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 3), min_size=1, max_size=40))
def test_the_limit_follows_the_recent_rate(intervals: list[float]) -> None:
    watchdog, now = Watchdog(Patience(), 0.0), 0.0
    assert watchdog.deadline == 5.0
    watchdog.new_frame(now)
    for interval in intervals:
        now += interval
        watchdog.new_frame(now)
    recent = float(np.median(intervals[-8:]))
    assert watchdog.deadline == pytest.approx(now + max(0.5, 5 * recent))
    assert watchdog.knows_the_rate == (len(intervals) >= 8)


def test_openings_that_stall_after_a_burst_make_the_watchdog_more_patient() -> None:
    """A camera with one frame a second, that gives three buffered ones at once."""
    limits = []
    for stalls in range(6):
        watchdog = Watchdog(Patience(), 0.0, stalls)
        for index in range(3):
            watchdog.new_frame(index * 0.001)
        limits.append(watchdog.limit)
    assert limits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_a_repeated_picture_is_told_from_noise_and_from_a_covered_lens() -> None:
    repeats, generator = Repeats(), np.random.default_rng(1)
    noisy = [generator.integers(0, 4, (480, 640, 3)).astype(np.uint8) for _ in range(2)]
    black = np.zeros((480, 640, 3), np.uint8)
    pictures = [noisy[0], noisy[1], noisy[1].copy(), black, black, noisy[1], noisy[1][:, ::-1]]
    assert [repeats.is_repeat(picture) for picture in pictures] == [False, False, True, False, False, False, False]


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 1)), min_size=2, max_size=30))
def test_the_time_of_a_file_may_jump_ahead_as_it_likes(steps: list[tuple[float, float]]) -> None:
    continuity, t_source, now = Continuity(live=False), 0.0, 0.0
    for step, passed in steps:
        t_source, now = t_source + step, now + passed
        assert continuity.break_before(Captured(np.zeros((2, 2, 3), np.uint8), t_source), now) is None
    back = continuity.break_before(Captured(np.zeros((2, 2, 3), np.uint8), t_source - 1), now + 1)
    assert back is not None and "went back by 1 s" in back


def test_a_live_pause_is_no_jump() -> None:
    continuity = Continuity(live=True)
    image = np.zeros((2, 2, 3), np.uint8)
    times = [0.0, 0.033, 0.066, 3.0, 3.033]
    assert [continuity.break_before(Captured(image, t), t + 10) for t in times] == [None] * 5
    assert continuity.break_before(Captured(image, 9.0), 13.066) is not None
    assert continuity.break_before(Captured(image), 13.1) is None
