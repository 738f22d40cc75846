"""A session that goes well: in simulated time, so that latency and order are exact."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.live.threads.pacing import Pacer
from samples.live.coded_frames import CodedSink, coded_clip, coded_spec
from samples.live.fake_models import FakeModel
from samples.live.fake_sinks import KeepingSink
from samples.live.faulty_source import FaultyCamera, Trouble
from samples.live.virtual_clock import VirtualClock

# Live -----------------------------------------------------------------------------------------------------------------


def test_a_slow_model_gets_the_newest_frame_and_latency_does_not_grow() -> None:
    """The model's time wanders a little, so that no fixed phase between it and the source decides (theory: the age is
    uniform over 50..83 ms)."""
    jitter = np.random.default_rng(5).uniform(-0.002, 0.002, 5000)
    with VirtualClock() as clock:
        sink, model = KeepingSink(clock), FakeModel(clock, lambda call: 0.050 + jitter[call])
        with LiveSession(coded_spec(clock, fps=30), model, [sink], clock=clock) as session:
            clock.sleep(120)
            snapshot = session.stats()
        ages = np.array(sink.ages_ms)
        assert len(ages) == pytest.approx(120 / 0.050, rel=0.01)
        assert np.percentile(ages, 50) <= 75 and np.percentile(ages, 99) <= 115
        assert snapshot.age_ms.p50 <= 75 and snapshot.age_ms.p99 <= 115
        thirds = np.array_split(ages, 3)
        assert thirds[2].mean() <= thirds[0].mean() + 2
        assert snapshot.duplicates == 0 and sink.seqs == sorted(set(sink.seqs))
        assert snapshot.dropped.keys() == {DropCause.NEWER_FRAME}
        assert snapshot.captured - snapshot.frames - sum(snapshot.dropped.values()) == snapshot.in_flight <= 2


def test_a_fast_model_gets_every_frame_once() -> None:
    with VirtualClock() as clock:
        sink = CodedSink(fps=30)
        session = LiveSession(coded_clip(clock, 900), FakeModel(clock, 0.020), [sink], clock=clock)
        with session:
            assert session.wait(40)
        snapshot = session.stats()
        assert sink.received == 900 and sink.faults == sink.missing == 0
        assert snapshot.duplicates == 0 and not snapshot.dropped and snapshot.in_flight == 0
        assert snapshot.age_ms.max == pytest.approx(20, abs=0.1)


def test_every_result_says_what_was_dropped_before_it() -> None:
    with VirtualClock() as clock:
        sink = KeepingSink(clock)
        with LiveSession(coded_spec(clock, fps=30), FakeModel(clock, 0.050), [sink], clock=clock):
            clock.sleep(3)
        assert [sum(r.dropped_before for r in sink.results[:n]) + n - 1 for n in range(1, 41)] == sink.seqs[:40]
        assert all(set(result.seconds) == {"wait", "model"} for result in sink.results)


def test_a_slow_sink_holds_nobody_up_and_its_misses_are_counted() -> None:
    with VirtualClock() as clock:
        fast, newest, every = KeepingSink(clock), KeepingSink(clock, 0.3, every=False), KeepingSink(clock, 0.3)
        newest.name, every.name = "newest", "every"
        sinks = [fast, newest, every]
        with LiveSession(coded_spec(clock, fps=30), FakeModel(clock, 0.010), sinks, clock=clock) as session:
            clock.sleep(10.01)
            snapshot = session.stats()
            assert len(fast.results) == 300
        for sink, waiting in ((newest, 2), (every, 9)):
            counts = snapshot.sinks[sink.name]
            assert counts.dropped[DropCause.SLOW_SINK] > 200
            assert counts.written + counts.dropped[DropCause.SLOW_SINK] == pytest.approx(snapshot.frames, abs=waiting)
            assert sink.seqs == sorted(set(sink.seqs))
        assert newest.ages_ms[-1] < 700 < every.ages_ms[-1]
        assert not snapshot.dropped


def test_a_frame_rate_is_held_without_drift() -> None:
    with VirtualClock() as clock:
        sink = KeepingSink(clock)
        policy = Policy.paced(12)
        with LiveSession(coded_spec(clock, fps=30), FakeModel(clock, 0.01), [sink], policy, clock=clock) as session:
            clock.sleep(100)
            snapshot = session.stats()
        assert len(sink.results) == pytest.approx(1200, abs=2)
        assert snapshot.dropped.keys() == {DropCause.PACED}


@settings(deadline=None)
@example(3.5, [0.5, 0.5, 0.5, 0.5, 0.0625, 0.03125, 0.5, 0.25, 0.125])
@given(st.floats(1, 60), st.lists(st.floats(0.001, 0.5), max_size=200))
def test_a_pacer_never_exceeds_its_rate(fps: float, steps: list[float]) -> None:
    pacer, now, taken = Pacer(fps), 0.0, []
    for step in steps:
        now += step
        if pacer.admits(now):
            taken.append(now)
    for index, begin in enumerate(taken):
        assert sum(begin <= moment < begin + 1 for moment in taken[index:]) <= fps + 2


def test_frames_that_waited_too_long_are_dropped() -> None:
    with VirtualClock() as clock:
        sink, policy = KeepingSink(clock), Policy.live(max_age_ms=20)
        with LiveSession(coded_spec(clock, fps=30), FakeModel(clock, 0.045), [sink], policy, clock=clock) as session:
            clock.sleep(10)
            dropped = session.stats().dropped
        assert dropped[DropCause.TOO_OLD] > 10 and max(sink.ages_ms) <= 20 + 45 + 0.1


def test_paused_frames_are_dropped_and_nothing_is_translated() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock, 0.01)
        with LiveSession(coded_spec(clock, fps=30), model, clock=clock) as session:
            clock.sleep(1.02)
            session.pause()
            clock.sleep(2)
            assert model.calls == 30 and session.stats().dropped == {DropCause.PAUSED: 60}
            session.resume()
            clock.sleep(1)
            assert model.calls == 60


def test_a_loss_and_a_return_are_told_in_order() -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        camera = FaultyCamera(clock, Trouble("gone", 1.0, 1.0))
        with LiveSession(camera.spec(), FakeModel(clock), clock=clock, on_event=events.append) as session:
            clock.sleep(4)
            assert session.stats().recoveries == 1 and session.stats().source == "a camera"
        told = [event.kind for event in events if event.kind is not EventKind.RETRYING]
        expected = ["started", "source-opened", "source-lost", "source-opened", "recovered", "stopped"]
        assert told == [EventKind(name) for name in expected]
        assert [event.time for event in events] == sorted(event.time for event in events)


# Offline --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("work", [0.0, 0.1])
def test_offline_nothing_is_lost_however_slow_the_sink_is(work: float) -> None:
    with VirtualClock() as clock:
        sink = KeepingSink(clock, work)
        session = LiveSession(
            coded_spec(clock, frames=200, live=False), FakeModel(clock, 0.02), [sink], Policy.offline(), clock=clock
        )
        with session:
            assert session.wait(60)
        assert sink.seqs == list(range(200)) and sink.closed == 1 and session.stats().in_flight == 0


def test_offline_may_be_paced_and_paused_too() -> None:
    with VirtualClock() as clock:
        sink, policy = KeepingSink(clock), Policy(Mode.OFFLINE, fps=20)
        spec = coded_spec(clock, frames=100, live=False)
        with LiveSession(spec, FakeModel(clock, 0.01), [sink], policy, clock=clock) as session:
            clock.sleep(1)
            session.pause()
            clock.sleep(10)
            assert len(sink.results) == pytest.approx(20, abs=2)
            session.resume()
            assert session.wait(10)
        assert sink.seqs == list(range(100)) and clock.now() == pytest.approx(15, abs=0.2)


def test_offline_iteration_gets_every_result_also_if_it_begins_late() -> None:
    with VirtualClock() as clock:
        spec = coded_spec(clock, frames=60, live=False)
        with LiveSession(spec, FakeModel(clock, 0.01), policy=Policy.offline(), clock=clock) as session:
            clock.sleep(5)
            assert [result.frame.seq for result in session] == list(range(60))


def test_offline_without_anybody_who_takes_results_ends_nevertheless() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock, 0.01)
        spec = coded_spec(clock, frames=60, live=False)
        with LiveSession(spec, model, policy=Policy.offline(), clock=clock) as session:
            assert session.wait(5) and model.calls == 60


# The books ------------------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(
    seconds=st.lists(st.floats(0, 0.2), min_size=1, max_size=5),
    fps=st.floats(2, 60),
    policy=st.sampled_from(
        [Policy.live(), Policy.live(max_age_ms=30), Policy.paced(10), Policy.offline(), Policy(Mode.OFFLINE, fps=15)]
    ),
    troubles=st.lists(
        st.builds(
            Trouble,
            st.sampled_from(["nothing", "stale", "blocks", "hang", "raises", "gone", "slow"]),
            st.floats(0.1, 4),
            st.floats(0, 2),
            st.just(4.0),
        ),
        max_size=2,
    ),
    pause=st.floats(0, 5),
    fails=st.integers(2, 50),
)
def test_every_captured_frame_is_a_result_a_drop_or_on_its_way(
    seconds: list[float], fps: float, policy: Policy, troubles: list[Trouble], pause: float, fails: int
) -> None:
    with VirtualClock() as clock:
        camera, sink = FaultyCamera(clock, *troubles, fps=fps), KeepingSink(clock, 0.02)

        calls = itertools.count()

        def does(frame: Any) -> Any:
            if next(calls) % fails == 1:  # never twice in a row, which would end the session
                raise RuntimeError
            return real(frame)

        real = FakeModel(clock)
        model = FakeModel(clock, lambda call: seconds[call % len(seconds)], does)
        session = LiveSession(camera.spec(), model, [sink], policy, clock=clock)
        with session:
            for moment in (pause, 5 - pause):
                clock.sleep(moment)
                snapshot = session.stats()
                lost = sum(snapshot.dropped.values())
                assert 0 <= snapshot.captured - snapshot.frames - lost == snapshot.in_flight <= 5
                (session.resume if moment == 5 - pause else session.pause)()
            clock.sleep(1)
        snapshot = session.stats()
        assert snapshot.in_flight == 0 and snapshot.duplicates == 0
        assert sink.seqs == sorted(set(sink.seqs))
        written = snapshot.sinks["keep"]
        assert written.written == len(sink.results) == snapshot.frames - sum(written.dropped.values())
        assert sum(r.dropped_before for r in sink.results) <= snapshot.captured - len(sink.results)


def test_the_engine_is_that_of_the_last_frame() -> None:
    """A ladder goes from one network to another between two frames."""
    with VirtualClock() as clock:
        model = FakeModel(clock, lambda call: 0.01)
        with LiveSession(coded_spec(clock, fps=30), model, clock=clock) as session:
            clock.sleep(1)
            model.engine = "another engine"
            clock.sleep(1)
            assert session.stats().engine == "another engine"


def test_a_sink_that_was_given_nothing_has_figures_as_well() -> None:
    with VirtualClock() as clock:
        session = LiveSession(None, FakeModel(clock), [KeepingSink(clock)], clock=clock)
        with session:
            assert session.stats().sinks["keep"].written == 0
