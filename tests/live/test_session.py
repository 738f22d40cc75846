"""A session that goes well: in simulated time, so that latency and order are exact."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from coded_frames import CodedSink, coded_picture, coded_spec
from fake_models import FakeModel, loader
from fake_sinks import KeepingSink
from faulty_source import FaultyCamera, Trouble
from hypothesis import example, given, settings
from hypothesis import strategies as st
from virtual_clock import VirtualClock

from edge_i2i.errors import PictureError, UsageError
from edge_i2i.live.drops import DropCause
from edge_i2i.live.events import Event, EventKind
from edge_i2i.live.frame import Origin, Picture, Result
from edge_i2i.live.pacing import Pacer
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.live.source import SourceSpec
from edge_i2i.live.stats import StatsSnapshot
from edge_i2i.live.trace import Trace


def kinds(events: list[Event]) -> list[EventKind]:
    return [event.kind for event in events]


def clip(clock: VirtualClock, frames: int) -> SourceSpec:
    """A source that plays at 30 fps and ends, as a file that is played as if live."""
    return replace(coded_spec(clock, fps=30, frames=frames), live=False)


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
        session = LiveSession(clip(clock, 900), FakeModel(clock, 0.020), [sink], clock=clock)
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
        told = [kind for kind in kinds(events) if kind is not EventKind.RETRYING]
        expected = ["started", "source-opened", "source-lost", "source-opened", "recovered", "stopped"]
        assert told == [EventKind(name) for name in expected]
        assert [event.time for event in events] == sorted(event.time for event in events)


# Loading and changing -------------------------------------------------------------------------------------------------


def test_while_a_network_loads_live_frames_pass_through_and_it_is_told_how_far_it_is() -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        sink, model = KeepingSink(clock), FakeModel(clock, 0.01)
        load = loader(clock, model, 30.0)
        with LiveSession(coded_spec(clock, fps=30), load, [sink], clock=clock, on_event=events.append) as session:
            look = session.condition(style=1)
            clock.sleep(40)
            snapshot = session.stats()
            assert look.wait(0) and model.looks == [{"style": 1}]
        assert sink.results[0].origin is Origin.PASSED_THROUGH and sink.results[0].t_done <= 1.0
        translated = [result for result in sink.results if result.origin is Origin.TRANSLATED]
        assert 30 < translated[0].t_done < 30.2
        assert snapshot.frames == len(translated) and snapshot.dropped[DropCause.LOADING] == pytest.approx(900, abs=2)
        told = [event for event in events if event.kind is EventKind.LOADING]
        assert max(np.diff([event.time for event in told])) <= 2 and told[-1].details["done"] == 9
        assert EventKind.LOADED in kinds(events) and EventKind.SWAPPED not in kinds(events)
        assert snapshot.engine == "fake" and snapshot.effective_precision == "fp32"


def test_offline_frames_wait_for_the_network() -> None:
    with VirtualClock() as clock:
        sink, model = CodedSink(), FakeModel(clock, 0.01)
        spec = coded_spec(clock, frames=50, live=False)
        with LiveSession(spec, loader(clock, model, 3.0), [sink], Policy.offline(), clock=clock) as session:
            assert session.wait(10)
        assert sink.received == 50 and sink.faults == sink.missing == 0 and model.seen == list(range(50))


def test_a_swap_loads_beside_and_happens_between_two_frames() -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        sink, old, new = KeepingSink(clock), FakeModel(clock, 0.05), FakeModel(clock, 0.01, engine="other")
        with LiveSession(coded_spec(clock), old, [sink], clock=clock, on_event=events.append) as session:
            clock.sleep(1)
            swap = session.swap(loader(clock, new, 5.0))
            assert swap.wait(6) and clock.now() == pytest.approx(6, abs=0.1)
            assert old.closed == 1 and not new.closed and session.stats().engine == "other"
            clock.sleep(1)
        assert new.closed == 1 and sink.seqs == sorted(set(sink.seqs))
        assert old.calls >= 100 and new.calls >= 28 and not set(old.seen) & set(new.seen)
        (swapped,) = [event for event in events if event.kind is EventKind.SWAPPED]
        assert swapped.details["memory_before"] and swapped.details["memory_after"]


def test_a_swap_that_fails_leaves_the_old_network_at_work() -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        old = FakeModel(clock, 0.01)
        with LiveSession(coded_spec(clock), old, clock=clock, on_event=events.append) as session:
            swap = session.swap(loader(clock, FakeModel(clock), 1.0, PictureError("no bundle")))
            with pytest.raises(PictureError, match="no bundle"):
                swap.wait(2)
            clock.sleep(1)
            assert old.calls > 50 and not old.closed and EventKind.MODEL_FAILED in kinds(events)


def test_of_two_swaps_the_later_request_wins_whichever_loads_first() -> None:
    with VirtualClock() as clock:
        first, second, third = FakeModel(clock), FakeModel(clock), FakeModel(clock)
        with LiveSession(coded_spec(clock), first, clock=clock) as session:
            slow, fast = session.swap(loader(clock, second, 3.0)), session.swap(loader(clock, third, 1.0))
            assert fast.wait(2) and not slow.wait(5)
            assert (first.closed, second.closed, third.closed) == (1, 1, 0)


def test_a_look_holds_for_the_next_frame_and_a_bad_one_changes_nothing() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock, 0.01)
        with LiveSession(None, model, clock=clock) as session:
            assert session.condition(exemplar="a").wait(1)  # also while no frames come
            with pytest.raises(ValueError, match="no such look"):
                session.condition(broken=True).wait(1)
            session.submit(coded_picture(0))
            assert session.latest(1) is not None and model.looks == [{"exemplar": "a"}]


def test_a_model_whose_loading_outlasts_the_session_is_closed_when_it_comes() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock)
        with LiveSession(coded_spec(clock), loader(clock, model, 10.0), clock=clock):
            clock.sleep(1)
        assert clock.now() < 3 and not model.closed
        clock.sleep(10)
        assert model.closed == 1


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


# Receiving and pushing ------------------------------------------------------------------------------------------------


def test_iteration_starts_the_session_and_ends_with_the_source() -> None:
    with VirtualClock() as clock:
        session = LiveSession(clip(clock, 30), FakeModel(clock, 0.01), clock=clock)
        assert [result.frame.seq for result in session] == list(range(30))
        session.stop()


def test_leaving_an_iteration_lets_the_session_go_on() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock, 0.01)
        spec = coded_spec(clock, frames=100, live=False)
        with LiveSession(spec, model, policy=Policy.offline(), clock=clock) as session:
            for result in session:
                if result.frame.seq == 10:
                    break
            assert session.wait(10) and model.calls == 100


def test_a_callback_gets_the_newest_result_in_a_thread_of_its_own() -> None:
    with VirtualClock() as clock:
        seen: list[int] = []

        def look(result: Result) -> None:
            clock.sleep(0.2)
            seen.append(result.frame.seq)

        model = FakeModel(clock, 0.01)
        session = LiveSession(coded_spec(clock), model, clock=clock)
        session.on_frame(look)
        with session:
            clock.sleep(5)
        assert model.calls >= 148 and len(seen) == pytest.approx(24, abs=2) and seen == sorted(set(seen))


def test_a_callback_may_stop_the_session() -> None:
    for policy in (Policy.live(), Policy.offline()):
        with VirtualClock() as clock:
            spec = coded_spec(clock, live=policy.mode is Mode.LIVE)
            session = LiveSession(spec, FakeModel(clock, 0.01), clock=clock, policy=policy)

            def stop(result: Result, session: LiveSession = session) -> None:
                if result.frame.seq > 20:
                    session.stop()

            session.on_frame(stop)
            with session:
                assert session.wait(5) and clock.now() < 1


def test_a_host_pushes_frames_and_asks_for_the_latest_result() -> None:
    with VirtualClock() as clock:
        with LiveSession(None, FakeModel(clock, 0.05), clock=clock) as session:
            assert session.latest(0.1) is None
            assert [session.submit(coded_picture(number)) for number in range(3)] == [True, False, False]
            result = session.latest(1)
            assert result is not None and result.frame.seq == 2 and result.dropped_before == 2
            assert session.latest(0.2) is None
            with pytest.raises(PictureError):
                session.submit(np.zeros((4, 4), np.uint8))
        assert session.stats().dropped == {DropCause.NEWER_FRAME: 2}
        assert session.submit(coded_picture(4)) is False and session.latest(0) is None


def test_offline_pushing_waits_for_room() -> None:
    with VirtualClock() as clock:
        sink = KeepingSink(clock)
        with LiveSession(None, FakeModel(clock, 0.1), [sink], Policy.offline(), clock=clock) as session:
            assert all(session.submit(coded_picture(number)) for number in range(20))
            assert clock.now() == pytest.approx(1.7, abs=0.2)
            clock.sleep(1)
        assert sink.seqs == list(range(20))


def test_a_view_composes_on_the_sinks_threads_with_figures_that_are_fresh_enough() -> None:
    class Doubled:
        def __init__(self) -> None:
            self.frames: list[int] = []

        def compose(self, result: Result, snapshot: StatsSnapshot, *, for_display: bool) -> Picture:
            self.frames.append(snapshot.frames)
            return np.concatenate([result.frame.image, result.image], axis=1)

    with VirtualClock() as clock:
        sink, view = KeepingSink(clock), Doubled()
        with LiveSession(coded_spec(clock), FakeModel(clock), [sink], view=view, clock=clock):
            clock.sleep(3)
        assert {picture.shape for picture in sink.pictures} == {(64, 128, 3)}
        assert sink.size is not None and (sink.size.height, sink.size.width) == (64, 128)
        lags = [number - shown for number, shown in enumerate(view.frames)]
        assert max(lags) <= 9 and view.frames[-1] > 70


def test_a_trace_holds_what_every_stage_did() -> None:
    with VirtualClock() as clock:
        trace = Trace(clock)
        with LiveSession(
            clip(clock, 10), FakeModel(clock, 0.01), [KeepingSink(clock)], clock=clock, trace=trace
        ) as session:
            session.wait(1)
        tracks = {(event.track, event.name) for event in trace._events}
        assert tracks >= {("capture", "frame"), ("slot", "wait"), ("translate", "model"), ("sink keep", "write")}


def test_a_session_runs_once_and_reads_either_a_source_or_a_host() -> None:
    with VirtualClock() as clock:
        session = LiveSession(coded_spec(clock), FakeModel(clock), clock=clock)
        with session, pytest.raises(UsageError, match="reads a source"):
            session.submit(coded_picture(0))
        with pytest.raises(UsageError, match="runs once"):
            session.start()


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

        def does(frame: Any) -> Any:
            if frame.seq % fails == 1:
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
