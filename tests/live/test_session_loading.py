"""While a session loads, and when its network or look changes under way: in simulated time."""

from __future__ import annotations

import numpy as np
import pytest

from edge_i2i.errors import PictureError
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.frame import Origin
from edge_i2i.live.policy import Policy
from edge_i2i.live.session import LiveSession
from samples.live.coded_frames import CodedSink, coded_picture, coded_spec
from samples.live.fake_models import FakeModel, loader
from samples.live.fake_sinks import KeepingSink
from samples.live.virtual_clock import VirtualClock


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
        kinds = {event.kind for event in events}
        assert EventKind.LOADED in kinds and EventKind.SWAPPED not in kinds
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
            assert old.calls > 50 and not old.closed and EventKind.MODEL_FAILED in {event.kind for event in events}


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
