"""Many seats at one model, in virtual time: fair turns, newest frames, looks of their own, and an end in bounds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future

import numpy as np
import pytest

from edge_i2i.clock import Signal
from edge_i2i.errors import BadInputError, EdgeI2IError, MissingRequirementError
from edge_i2i.web.looks import Base, BaseKind, ChosenLook
from edge_i2i.web.shared_model import (
    ModelFailedError,
    ModelGoneError,
    ModelState,
    Note,
    Seat,
    SharedModel,
    SupersededError,
    Translated,
)
from samples.live.virtual_clock import VirtualClock
from samples.web.fake_model import FakeModel, loads

PICTURE = np.full((8, 8, 3), 10, np.uint8)
RED = np.full((8, 8, 3), (255, 0, 0), np.uint8)


def started(clock: VirtualClock, seconds: float = 0.05, hang: Signal | None = None) -> SharedModel:
    shared = SharedModel(loads(FakeModel(clock, seconds, hang)), clock)
    shared.start()
    assert shared.wait_ready()
    return shared


def one_in_flight(seat: Seat, done: Callable[[], None]) -> None:
    """Sends the next frame as soon as the one before is answered, as the page does."""

    def answered(future: Future[Translated]) -> None:
        if future.exception() is None:
            done()
            one_in_flight(seat, done)

    seat.translate(PICTURE).add_done_callback(answered)


def test_busy_seats_get_equal_shares() -> None:
    with VirtualClock() as clock:
        shared, counts = started(clock), Counter[int]()
        for index in range(5):
            one_in_flight(shared.seat(), lambda index=index: counts.update([index]))
        clock.sleep(10.0)
        assert sum(counts.values()) == pytest.approx(200, abs=1)  # the model was never idle
        assert max(counts.values()) - min(counts.values()) <= 1
        shared.stop(1.0)


def test_a_seat_that_sends_much_more_gets_no_more() -> None:
    """Thirty frames a second from one, one in flight from the other: half of the model each."""
    with VirtualClock() as clock:
        shared, counts = started(clock, 0.1), Counter[str]()
        one_in_flight(shared.seat(), lambda: counts.update(["modest"]))
        flooding = shared.seat()
        for _ in range(300):
            flooding.translate(PICTURE).add_done_callback(
                lambda future: counts.update(["flood" if future.exception() is None else "superseded"])
            )
            clock.sleep(1 / 30)
        assert counts["modest"] == pytest.approx(50, abs=2)
        assert counts["flood"] == pytest.approx(50, abs=2)
        assert counts["superseded"] == pytest.approx(250, abs=4)
        shared.stop(1.0)


def test_no_seat_waits_longer_than_for_one_frame_of_each_other() -> None:
    with VirtualClock() as clock:
        shared = started(clock, 0.1)
        for _ in range(4):
            one_in_flight(shared.seat(), lambda: None)
        clock.sleep(1.05)
        asked = clock.now()
        future = shared.seat().translate(PICTURE)
        clock.sleep(1.0)
        assert future.result(0).began - asked <= 4 * 0.1 + 0.05
        shared.stop(1.0)


def test_the_newest_frame_takes_the_place_of_the_one_that_waits() -> None:
    with VirtualClock() as clock:
        shared = started(clock)
        seat = shared.seat()
        futures = [seat.translate(np.full((4, 4, 3), value, np.uint8)) for value in (1, 2, 3)]
        clock.sleep(1.0)
        assert futures[2].result(0).image[0, 0, 0] == 252
        for overtaken in futures[:2]:
            assert isinstance(overtaken.exception(0), SupersededError)
        shared.stop(1.0)


def test_a_look_holds_from_the_next_frame_on_and_a_bad_one_changes_nothing() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock, 0.01)
        shared = SharedModel(loads(model), clock)
        shared.start()
        seat = shared.seat()
        worn = seat.wear(chosen(4))
        first = seat.translate(PICTURE)
        clock.sleep(1.0)
        assert worn.result(0) is None and first.result(0)
        refused = seat.wear(chosen(13))
        clock.sleep(1.0)
        assert isinstance(refused.exception(0), BadInputError)
        after = seat.translate(PICTURE)
        clock.sleep(1.0)
        assert after.result(0)
        assert model.looks == [chosen(4), chosen(13)]  # the frame after was translated under the look before
        shared.stop(1.0)


def test_a_model_that_raises_fails_that_frame_and_goes_on() -> None:
    with VirtualClock() as clock:
        shared = started(clock)
        seat, other = shared.seat(), shared.seat()
        failed, fine = seat.translate(RED), other.translate(PICTURE)
        clock.sleep(1.0)
        error = failed.exception(0)
        assert isinstance(error, ModelFailedError) and "the driver fell over" in error.what and error.remedy
        assert fine.result(0)
        again = seat.translate(PICTURE)
        clock.sleep(1.0)
        assert again.result(0)
        shared.stop(1.0)


def test_a_seat_that_is_closed_leaves_its_turn_to_others() -> None:
    with VirtualClock() as clock:
        shared = started(clock)
        busy, leaving = shared.seat(), shared.seat()
        running, waiting = busy.translate(PICTURE), leaving.translate(PICTURE)
        leaving.close()
        assert isinstance(waiting.exception(0), ModelGoneError)
        assert isinstance(leaving.translate(PICTURE).exception(0), ModelGoneError)
        clock.sleep(0.06)
        assert running.result(0) and shared.waiting == 0
        shared.stop(1.0)


def test_a_frame_that_nobody_waits_for_is_not_translated() -> None:
    with VirtualClock() as clock:
        shared = started(clock)
        cancelled = shared.seat().translate(PICTURE)
        assert cancelled.cancel()
        following = shared.seat().translate(PICTURE)
        clock.sleep(0.051)
        assert following.result(0).began == 0.0
        shared.stop(1.0)


def test_loading_says_how_far_it_is_and_what_came_meanwhile_is_answered() -> None:
    with VirtualClock() as clock:

        def slowly(note: Note) -> None:
            note("building an engine")
            clock.sleep(30.0)

        shared = SharedModel(loads(FakeModel(clock), slowly), clock)
        shared.start()
        future = shared.seat().translate(PICTURE)
        assert not shared.wait_ready(10.0)
        assert (shared.state, shared.note, shared.info) == (ModelState.LOADING, "building an engine", None)
        assert shared.wait_ready(30.0) and shared.info is not None
        clock.sleep(0.1)
        assert future.result(0)
        shared.stop(1.0)


@pytest.mark.parametrize("cause", [MissingRequirementError("No GPU.", remedy="Buy one."), RuntimeError("No GPU.")])
def test_a_model_that_cannot_be_loaded_says_why_to_everybody(cause: Exception) -> None:
    def fail(note: Note) -> None:
        raise cause

    with VirtualClock() as clock:
        shared = SharedModel(loads(FakeModel(clock), fail), clock)
        early = shared.seat().translate(PICTURE)
        shared.start()
        with pytest.raises(EdgeI2IError, match="No GPU"):
            shared.wait_ready()
        for future in (early, shared.seat().translate(PICTURE), shared.seat().wear(chosen(1))):
            error = future.exception(0)
            assert isinstance(error, ModelGoneError) and "No GPU" in error.what and error.remedy
        assert shared.state is ModelState.FAILED
        assert shared.stop(1.0)


def test_stopping_answers_what_waits_and_closes_the_model() -> None:
    with VirtualClock() as clock:
        model = FakeModel(clock, 0.5)
        shared = SharedModel(loads(model), clock)
        shared.start()
        assert shared.wait_ready()
        running, waiting = shared.seat().translate(PICTURE), shared.seat().translate(PICTURE)
        clock.sleep(0.1)
        assert shared.stop(2.0) and clock.now() == pytest.approx(0.5)
        assert running.result(0) and isinstance(waiting.exception(0), ModelGoneError)
        assert model.closed and shared.state is ModelState.STOPPED
        assert not shared.wait_ready()


def test_a_model_that_hangs_is_abandoned_in_time() -> None:
    with VirtualClock() as clock:
        shared = started(clock, hang=Signal(clock))
        shared.seat().translate(PICTURE)
        clock.sleep(1.0)
        assert not shared.stop(0.5)
        assert clock.now() == pytest.approx(1.5)


def chosen(seed: int) -> ChosenLook:
    return ChosenLook(Base(BaseKind.SEED, str(seed)))
