"""The ladder holds its frame rate and rests: it moves for costs, never for a slow camera, and never back and forth."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Processed
from edge_i2i.live.steps.ladder import LadderController, LadderProcess, Rung, ladder_loader
from edge_i2i.progress import NullProgress, Progress
from samples.live.virtual_clock import VirtualClock
from samples.pictures import FunctionProcess, frame, noise

BUDGET = 0.1


class Plant:
    """A camera and rungs of given costs, driven by a controller; ``moves``: (time, rung)."""

    def __init__(self, predicted: list[float], budget: float = BUDGET) -> None:
        self.controller = LadderController(predicted, budget)
        self.now, self.moves = 0.0, [(0.0, self.controller.rung)]

    def run(self, seconds: float, costs: list[float], interval: float = 1 / 30) -> int:
        """Frames every ``interval``, or as soon as the one before is done; returns the rung at last."""
        end = self.now + seconds
        while self.now < end:
            cost = costs[self.controller.rung]
            self.now += cost
            rung = self.controller.observe(self.now, cost)
            if rung != self.moves[-1][1]:
                self.moves.append((self.now, rung))
            self.now += max(0.0, interval - cost)
        return self.controller.rung


def test_it_begins_on_the_best_rung_that_fits() -> None:
    assert LadderController([0.2, 0.069, 0.01], BUDGET).rung == 1
    assert LadderController([0.2, 0.2], BUDGET).rung == 1
    assert LadderController([0.01, 0.001], BUDGET).rung == 0


def test_down_after_half_a_second_and_not_before() -> None:
    plant = Plant([0.06, 0.02])
    assert plant.run(0.4, [0.2, 0.02]) == 0
    plant.run(2.0, [0.2, 0.02])
    assert 0.5 <= plant.moves[1][0] <= 1.0 and plant.moves[1][1] == 1


def test_up_after_five_seconds_and_not_before() -> None:
    plant = Plant([0.06, 0.02])
    plant.run(1.0, [0.2, 0.06])  # the machine is busy: three times slower
    assert plant.controller.rung == 1
    began = plant.now
    assert plant.run(4.9, [0.06, 0.02]) == 1
    assert plant.run(3.0, [0.06, 0.02]) == 0
    assert plant.moves[-1][0] - began <= 6.2  # a second until the percentile has forgotten


def test_between_the_two_bounds_it_stays() -> None:
    plant = Plant([0.06, 0.02])
    assert plant.run(60.0, [0.094, 0.03]) == 0
    assert len(plant.moves) == 1


def test_one_slow_frame_is_no_reason() -> None:
    plant = Plant([0.03, 0.01])
    for _ in range(20):
        plant.run(1.0, [0.03, 0.01])
        plant.run(0.01, [0.5, 0.5])  # one frame
    assert plant.controller.rung == 0 and len(plant.moves) == 1


@pytest.mark.parametrize("interval", [0.1, 0.5, 3.0])
def test_a_slow_camera_is_no_reason(interval: float) -> None:
    """Ten frames a second or one in three seconds: what a frame costs fits."""
    plant = Plant([0.04, 0.02], budget=1 / 15)
    assert plant.run(60.0, [0.06, 0.02], interval) == 0
    assert len(plant.moves) == 1


def test_networks_of_seconds_a_frame_are_left_as_well() -> None:
    plant = Plant([0.05, 0.02])
    assert plant.run(10.0, [2.0, 0.02]) == 1


def test_a_pause_begins_anew() -> None:
    """One slow frame before a pause and one behind it are not half a second of slow frames."""
    controller = LadderController([0.06, 0.02], BUDGET)
    for minute in range(10):
        assert controller.observe(60.0 * minute, 0.2) == 0


costs = st.lists(st.floats(0.001, 1.0), min_size=2, max_size=5)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), predicted=costs, budget=st.floats(0.01, 0.5), interval=st.sampled_from([1 / 30, 0.1]))
def test_constant_costs_end_on_one_rung(
    data: st.DataObject, predicted: list[float], budget: float, interval: float
) -> None:
    """Whatever was predicted, and however wrong: a finite climb, then rest on one rung."""
    count = len(predicted)
    real = data.draw(st.lists(st.floats(0.001, 1.0), min_size=count, max_size=count), label="real")
    plant = Plant(predicted, budget)
    plant.run(20.0 * count, real, interval)
    moves = len(plant.moves)
    assert moves - 1 <= 2 * count
    rung = plant.run(60.0, real, interval)
    assert len(plant.moves) == moves
    # It rests only where the rate is held, or no cheaper rung is left.
    assert real[rung] <= 0.95 * budget or rung == count - 1


@settings(max_examples=60, deadline=None)
@given(load=st.floats(0.3, 3.0))
def test_with_right_predictions_it_finds_the_best_rung_that_holds(load: float) -> None:
    predicted = [0.12, 0.06, 0.03, 0.015]
    plant = Plant(predicted)
    real = [cost * load for cost in predicted]
    rung = plant.run(60.0, real)
    assert real[rung] <= 0.95 * BUDGET or rung == 3
    assert rung == 0 or real[rung - 1] > 0.70 * BUDGET


def test_when_the_load_goes_the_better_picture_comes_back() -> None:
    plant, quiet = Plant([0.06, 0.03, 0.015]), [0.06, 0.03, 0.015]
    assert plant.run(10.0, [cost * 4 for cost in quiet]) == 2
    assert plant.run(30.0, quiet) == 0


class Costing(FunctionProcess):
    """Takes its time."""

    def __init__(self, clock: VirtualClock, seconds: float, name: str) -> None:
        super().__init__()
        self.clock, self.cost, self.effective_precision = clock, seconds, name

    def __call__(self, given: Frame) -> Processed:
        self.clock.sleep(self.cost)
        return super().__call__(given)


def test_the_process_changes_rungs_and_says_which_runs() -> None:
    with VirtualClock() as clock:
        best, cheap = Costing(clock, 0.05, "fp32"), Costing(clock, 0.02, "int8")
        ladder = LadderProcess([Rung(best, 0.05), Rung(cheap, 0.02)], fps=10, clock=clock)
        assert (ladder.rung, ladder.effective_precision) == (0, "fp32")
        best.cost = 0.3
        for seq in range(10):
            ladder(frame(noise(4, 4), seq))
        assert (ladder.rung, ladder.effective_precision, ladder.engine) == (1, "int8", "fake")
        assert len(cheap.seen) > 5
        ladder.condition(style_seed=4)
        assert best.looks == cheap.looks == [{"style_seed": 4}]
        ladder.close()
        assert best.closed == cheap.closed == 1


def test_the_loader_predicts_costs_and_closes_what_it_loaded_when_one_fails() -> None:
    class Heard(NullProgress):
        notes: tuple[str, ...] = ()

        def advance(self, n: int = 1, note: str = "") -> None:
            self.notes = (*self.notes, note)

    def failing(progress: Progress) -> Costing:
        raise EdgeI2IError("there is no such bundle")

    with VirtualClock() as clock:
        best, cheap = Costing(clock, 0.2, "fp32"), Costing(clock, 0.02, "int8")
        heard = Heard()
        ladder = ladder_loader([lambda _: best, lambda _: cheap], 10, clock)(heard)
        assert isinstance(ladder, LadderProcess) and ladder.rung == 1
        assert heard.notes == ("200.0 ms a frame", "20.0 ms a frame")
        with pytest.raises(EdgeI2IError, match="no such bundle"):
            ladder_loader([lambda _: best, failing], 10, clock)(NullProgress())
        assert best.closed == 1


@pytest.mark.parametrize(("rungs", "fps"), [(1, 30.0), (0, 30.0), (2, 0.0), (2, float("nan"))])
def test_what_is_no_ladder_is_refused(rungs: int, fps: float) -> None:
    with pytest.raises(UsageError):
        LadderProcess([Rung(FunctionProcess(), 0.1)] * rungs, fps)
