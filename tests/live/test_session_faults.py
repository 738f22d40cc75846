"""A session in trouble: it goes on where it can, ends clearly where it cannot, and always stops in time."""

from __future__ import annotations

import pytest

from edge_i2i.errors import BadInputError, MissingRequirementError
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.frame import Result
from edge_i2i.live.policy import Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.threads.ending import LiveError
from samples.live.coded_frames import coded_picture, coded_spec
from samples.live.fake_models import FakeModel, hanging, loader, misshapen, raising
from samples.live.fake_sinks import BlockingSink, FailingSink, KeepingSink
from samples.live.faulty_source import FaultyCamera, Trouble
from samples.live.virtual_clock import VirtualClock

POLICIES = [Policy.live(), Policy.offline()]


def of(events: list[Event], kind: EventKind) -> list[Event]:
    return [event for event in events if event.kind is kind]


# The source -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["nothing", "stale", "blocks", "hang", "raises", "gone", "moves"])
def test_results_come_again_within_a_second_and_a_half_after_a_camera_is_back(kind: str) -> None:
    with VirtualClock() as clock:
        sink, trouble = KeepingSink(clock), Trouble(kind, 2.0, 3.0 if kind != "hang" else 0.6)
        camera = FaultyCamera(clock, trouble)
        with LiveSession(camera.spec(), FakeModel(clock, 0.02), [sink], clock=clock) as session:
            clock.sleep(10)
            snapshot = session.stats()
        back = [result for result in sink.results if result.frame.t_capture >= trouble.end]
        assert back[0].t_done <= trouble.end + 1.5 and len(back) >= (8.5 - trouble.end) * 30
        assert snapshot.recoveries == 1 and snapshot.duplicates == 0
        assert sink.seqs == sorted(set(sink.seqs))


def test_a_file_that_breaks_off_ends_the_session_with_one_error_after_all_frames_before_it() -> None:
    with VirtualClock() as clock:
        camera, sink = FaultyCamera(clock, Trouble("raises", 1.0)), KeepingSink(clock)
        session = LiveSession(camera.spec(live=False), FakeModel(clock, 0.01), [sink], Policy.offline(), clock=clock)
        session.start()
        with pytest.raises(LiveError, match="source: RuntimeError: V4L2") as caught:
            session.wait(10)
        assert caught.value.stage == "source" and isinstance(caught.value.cause, RuntimeError)
        assert caught.value.exit_code == 1
        session.stop()
        assert session.wait(0) and list(session) == []  # it surfaces once
        assert len(sink.results) >= 27 and sink.closed == 1


@pytest.mark.parametrize("way", ["wait", "iteration", "latest", "stop"])
def test_an_error_surfaces_in_the_first_call_with_exit_code_and_remedy_of_its_cause(way: str) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("gone", 0.0))
        session = LiveSession(camera.spec(), FakeModel(clock), clock=clock)
        session.start()
        clock.sleep(1)
        calls = {
            "wait": session.wait,
            "iteration": lambda: list(session),
            "latest": session.latest,
            "stop": session.stop,
        }
        with pytest.raises(LiveError, match="source: the camera is not there\n  → Plug it in") as caught:
            calls[way]()
        assert caught.value.exit_code == 3
        for call in calls.values():
            call()


def test_an_error_in_the_with_block_is_not_replaced_by_the_sessions_own() -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble("gone", 0.0))
        with pytest.raises(ZeroDivisionError), LiveSession(camera.spec(), FakeModel(clock), clock=clock):
            clock.sleep(1)
            raise ZeroDivisionError


# The model ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES, ids=["live", "offline"])
def test_a_model_that_raises_once_loses_one_frame(policy: Policy) -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        sink, model = KeepingSink(clock), raising(clock, 7, error=BadInputError("too bright"))
        with LiveSession(coded_spec(clock), model, [sink], policy, clock=clock, on_event=events.append) as session:
            clock.sleep(2)
            assert session.stats().dropped == {DropCause.MODEL_FAILED: 1}
        assert [seq for seq in range(30) if seq not in sink.seqs] == [7]
        (failed,) = of(events, EventKind.MODEL_FAILED)
        assert failed.message == "too bright" and failed.details["seq"] == 7
        assert sink.results[7].dropped_before == 1


@pytest.mark.parametrize("kind", ["grey", "four channels", "float", "nothing"])
def test_a_model_that_gives_no_picture_loses_the_frame(kind: str) -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        sink = KeepingSink(clock)
        model = misshapen(clock, kind, 2, 3)
        with LiveSession(coded_spec(clock), model, [sink], clock=clock, on_event=events.append) as session:
            clock.sleep(1)
            assert session.stats().dropped == {DropCause.MODEL_FAILED: 2}
        assert sink.seqs[:3] == [0, 1, 4]
        assert "instead of an RGB picture" in of(events, EventKind.MODEL_FAILED)[0].message


def test_a_model_that_fails_ten_times_in_a_row_ends_the_session() -> None:
    with VirtualClock() as clock:
        sink, model = KeepingSink(clock), raising(clock, *range(5, 14), *range(20, 99))
        session = LiveSession(coded_spec(clock), model, [sink], clock=clock)
        with session, pytest.raises(LiveError, match="model: RuntimeError: CUDA error 700") as caught:
            session.wait(10)
        assert caught.value.stage == "model" and model.calls == 30 and model.closed == sink.closed == 1
        assert session.stats().in_flight == 0


def test_a_model_that_hangs_is_told_of_and_does_not_keep_the_session_from_stopping() -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        sink, model = KeepingSink(clock), hanging(clock, 3)
        session = LiveSession(coded_spec(clock), model, [sink], clock=clock, on_event=events.append)
        session.start()
        clock.sleep(20)
        (stalled,) = of(events, EventKind.STALLED)
        assert 5 <= stalled.time <= 7
        began = clock.now()
        session.stop()
        assert clock.now() - began <= 2 and sink.closed == 1 and sink.seqs == [0, 1, 2]
        assert of(events, EventKind.STOPPED)[0].details["hung"] == ["model"]
        assert session.stats().in_flight == 1


def test_a_loader_that_fails_ends_the_session_with_its_error() -> None:
    with VirtualClock() as clock:
        load = loader(clock, FakeModel(clock), 1.0, MissingRequirementError("no engine", remedy="pip install one"))
        session = LiveSession(coded_spec(clock), load, clock=clock)
        session.start()
        with pytest.raises(LiveError, match="loading: no engine\n  → pip install one") as caught:
            session.wait(3)
        assert caught.value.exit_code == 3
        session.stop()


# Sinks ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["open", "write", "close"])
def test_a_sink_that_fails_gets_nothing_more_and_the_others_go_on(where: str) -> None:
    with VirtualClock() as clock:
        events: list[Event] = []
        sinks = [good := KeepingSink(clock), bad := FailingSink(clock, where, 0)]
        with LiveSession(coded_spec(clock), FakeModel(clock), sinks, clock=clock, on_event=events.append) as session:
            clock.sleep(2.01)
        snapshot = session.stats()
        assert len(good.results) == 60 and len(of(events, EventKind.SINK_FAILED)) == 1
        assert good.closed == bad.closed == 1
        counts = snapshot.sinks.get("failing")
        assert where == "close" or (counts and counts.dropped == {DropCause.SINK_FAILED: 60 - len(bad.results)})


def test_a_sink_that_failed_is_known_afterwards_by_its_name() -> None:
    with VirtualClock() as clock:
        sinks: list[Sink] = [KeepingSink(clock), FailingSink(clock, after=3)]
        with LiveSession(coded_spec(clock), FakeModel(clock), sinks, clock=clock) as session:
            clock.sleep(1)
        failed = {name: sink.failed for name, sink in session.stats().sinks.items()}
        assert failed["keep"] is None and "No space left" in str(failed["failing"])
        with pytest.raises(LiveError, match=r"sink failing: OSError: .*No space left"):
            session.raise_failed_sink()


def test_the_session_ends_with_the_error_when_the_last_sink_has_failed() -> None:
    with VirtualClock() as clock:
        sinks: list[Sink] = [FailingSink(clock, after=3), FailingSink(clock, after=30)]
        session = LiveSession(coded_spec(clock), FakeModel(clock), sinks, clock=clock)
        session.start()
        with pytest.raises(LiveError, match=r"sink failing 2: OSError: .*No space left"):
            session.wait(5)
        assert clock.now() == pytest.approx(31 / 30, abs=0.1)
        session.stop()


def test_a_callback_that_raises_ends_the_session_as_a_sink_does() -> None:
    with VirtualClock() as clock:
        session = LiveSession(coded_spec(clock), FakeModel(clock), clock=clock)

        def fail(result: Result) -> None:
            raise KeyError("x")

        session.on_frame(fail)
        session.start()
        with pytest.raises(LiveError, match="sink callback: KeyError"):
            session.wait(5)
        session.stop()


def test_a_listener_that_raises_ends_the_session() -> None:
    with VirtualClock() as clock:

        def listen(event: Event) -> None:
            raise KeyError("y")

        session = LiveSession(coded_spec(clock), FakeModel(clock), clock=clock, on_event=listen)
        session.start()
        with pytest.raises(LiveError, match="on_event: KeyError"):
            session.wait(5)
        session.stop()


@pytest.mark.parametrize("where", ["write", "close"])
def test_a_sink_that_blocks_holds_up_neither_the_others_nor_the_end(where: str) -> None:
    with VirtualClock() as clock:
        good, bad = KeepingSink(clock), BlockingSink(clock, where)
        session = LiveSession(coded_spec(clock), FakeModel(clock, 0.01), [good, bad], clock=clock)
        session.start()
        clock.sleep(5.02)
        assert len(good.results) == 150 and session.stats().age_ms.max < 11
        session.stop()
        assert clock.now() <= 7.03 and good.closed == 1
        if where == "write":
            dropped = session.stats().sinks["blocking"].dropped
            assert dropped[DropCause.SLOW_SINK] + dropped[DropCause.STOPPED] == len(good.results) - 1


# Stopping -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["none", "hang", "hang in open", "blocks", "gone", "stale"])
@pytest.mark.parametrize("policy", POLICIES, ids=["live", "offline"])
def test_stopping_takes_two_seconds_at_most_whatever_the_source_does(kind: str, policy: Policy) -> None:
    with VirtualClock() as clock:
        camera = FaultyCamera(clock, Trouble(kind, 0.0 if kind == "hang in open" else 1.0, 1e6))
        sink, model = KeepingSink(clock), FakeModel(clock, 0.02)
        session = LiveSession(camera.spec(), model, [sink], policy, clock=clock)
        session.start()
        clock.sleep(3)
        session.stop()
        assert clock.now() <= 5.001 and model.closed == sink.closed == 1 and session.stats().in_flight == 0
        hangs = kind in ("hang", "hang in open", "blocks")
        assert hangs or (clock.now() <= 3.1 and camera.closed == camera.opened)
        session.stop()


def test_stopping_offline_is_bounded_with_a_sink_that_blocks_and_an_iteration_that_nobody_reads() -> None:
    with VirtualClock() as clock:
        session = LiveSession(
            coded_spec(clock, live=False), FakeModel(clock, 0.01), [BlockingSink(clock)], Policy.offline(), clock=clock
        )
        unread = iter(session)
        clock.sleep(5)
        session.stop()
        assert clock.now() <= 7.001 and session.stats().in_flight == 0
        assert next(unread).frame.seq == 0


def test_what_a_recording_was_given_is_written_when_the_session_stops() -> None:
    with VirtualClock() as clock:
        sink = KeepingSink(clock, 0.15, closing=0.2)
        session = LiveSession(coded_spec(clock), FakeModel(clock, 0.01), [sink], clock=clock)
        session.start()
        clock.sleep(5)
        session.stop()
        snapshot = session.stats()
        assert sink.closed == 1 and clock.now() < 7
        assert snapshot.frames == len(sink.results) + snapshot.sinks["keep"].dropped[DropCause.SLOW_SINK]


def test_stopping_twice_at_once_and_before_the_start_is_harmless() -> None:
    with VirtualClock() as clock:
        session = LiveSession(coded_spec(clock), hanging(clock), clock=clock)
        session.start()
        clock.sleep(1)
        others = [clock.spawn(session.stop, "another") for _ in range(3)]
        session.stop()
        assert all(other.join(0.01) for other in others) and clock.now() <= 3.02

        model, sink = FakeModel(clock), KeepingSink(clock)
        never = LiveSession(coded_spec(clock), model, [sink], clock=clock)
        never.stop()
        assert model.closed == sink.closed == 1 and never.wait(0)


def test_a_listener_may_stop_the_session() -> None:
    with VirtualClock() as clock:

        def listen(event: Event) -> None:
            if event.kind is EventKind.SOURCE_LOST:
                session.stop()

        camera = FaultyCamera(clock, Trouble("gone", 1.0))
        session = LiveSession(camera.spec(), FakeModel(clock), clock=clock, on_event=listen)
        with session:
            assert session.wait(3) and clock.now() < 1.5


def test_a_host_that_waits_for_room_is_let_go_when_the_session_stops() -> None:
    with VirtualClock() as clock:
        session = LiveSession(None, hanging(clock, 0), policy=Policy.offline(), clock=clock)
        session.start()
        answers: list[bool] = []

        def push() -> None:
            answers.extend(session.submit(coded_picture(number)) for number in range(5))

        host = clock.spawn(push, "host")
        clock.sleep(1)
        session.stop()
        assert host.join(0.01) and answers == [True, True, True, False, False]
        assert session.stats().in_flight == 1  # the one that the model hangs in


# Sinks that nobody named ----------------------------------------------------------------------------------------------


class Waiting(KeepingSink):
    """Is there for somebody who may ask."""

    name = "recording"
    on_request = True


@pytest.mark.parametrize("where", ["open", "write", "close"])
@pytest.mark.parametrize("policy", POLICIES)
def test_the_sinks_that_were_named_decide(where: str, policy: Policy) -> None:
    with VirtualClock() as clock:
        waiting = Waiting(clock)
        sinks: list[Sink] = [FailingSink(clock, where, 0), waiting, FailingSink(clock, where, 0)]
        source = coded_spec(clock, frames=30, live=False)
        session = LiveSession(source, FakeModel(clock, 0.01), sinks, policy, clock=clock)
        session.start()
        with pytest.raises(LiveError, match="failing"):
            session.wait(60)
            session.stop()
        session.stop()
        assert list(session.stats().sinks) == ["failing", "failing 2"] and waiting.closed == 1


def test_one_that_nobody_named_ends_nothing() -> None:
    class Broken(FailingSink):
        name = "snapshots"
        on_request = True

    with VirtualClock() as clock:
        kept = KeepingSink(clock)
        source = coded_spec(clock, frames=30, live=False)
        with LiveSession(
            source, FakeModel(clock, 0.01), [Broken(clock), kept], Policy.offline(), clock=clock
        ) as session:
            assert session.wait(60)
        assert len(kept.results) == 30 and list(session.stats().sinks) == ["keep"]
