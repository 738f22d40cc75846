"""How a program gets results, hands frames over and looks inside: in simulated time."""

from __future__ import annotations

import numpy as np
import pytest

from edge_i2i.arrays import Picture
from edge_i2i.errors import PictureError, UsageError
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import StatsSnapshot
from edge_i2i.live.figures.trace import Trace
from edge_i2i.live.frame import Result
from edge_i2i.live.policy import Mode, Policy
from edge_i2i.live.session import LiveSession
from samples.live.coded_frames import coded_clip, coded_picture, coded_spec
from samples.live.fake_models import FakeModel
from samples.live.fake_sinks import KeepingSink
from samples.live.virtual_clock import VirtualClock


def test_iteration_starts_the_session_and_ends_with_the_source() -> None:
    with VirtualClock() as clock:
        session = LiveSession(coded_clip(clock, 30), FakeModel(clock, 0.01), clock=clock)
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
            coded_clip(clock, 10), FakeModel(clock, 0.01), [KeepingSink(clock)], clock=clock, trace=trace
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
