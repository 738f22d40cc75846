"""Progress without TensorRT: what a listener may do, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from edge_i2i.engines.tensorrt.progress import BuildProgress, run_interruptible


class Failing:
    def phase_started(self, phase: str, parent: str | None, steps: int) -> None:
        raise BrokenPipeError("the terminal is gone")

    def step_completed(self, phase: str, step: int) -> None:
        raise AssertionError("not called after the first failure")

    def phase_finished(self, phase: str) -> None:
        raise AssertionError("not called after the first failure")


def test_the_listeners_exception_stops_the_build_and_is_raised_afterwards() -> None:
    progress = BuildProgress(Failing())
    progress.phase_started("Building", None, 3)
    progress.step_completed("Building", 0)
    progress.phase_finished("Building")
    assert progress.cancelled
    with pytest.raises(BrokenPipeError, match="the terminal is gone"):
        progress.raise_failure()


def test_without_a_listener_nothing_happens() -> None:
    progress = BuildProgress(None)
    progress.phase_started("Building", None, 3)
    progress.raise_failure()
    assert not progress.cancelled


def test_results_and_errors_come_back_from_the_thread() -> None:
    progress = BuildProgress(None)
    assert run_interruptible(threading.get_ident, progress) != threading.get_ident()

    def fail() -> None:
        raise ValueError("inside")

    with pytest.raises(ValueError, match="inside"):
        run_interruptible(fail, progress)


@pytest.mark.parametrize("delay", [0.0] * 20 + [0.01, 0.15])
def test_ctrl_c_stops_the_work_and_waits_for_it(delay: float) -> None:
    """With no delay the signal often falls into the start of the thread."""
    progress = BuildProgress(None)
    finished = threading.Event()

    def work() -> None:
        time.sleep(delay)
        signal.raise_signal(signal.SIGINT)
        for _ in range(5000):
            if progress.cancelled:
                finished.set()
                return
            time.sleep(0.001)

    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work, progress)
    assert finished.is_set()


def test_work_that_was_cancelled_before_it_began_is_not_done() -> None:
    progress = BuildProgress(None)
    progress.cancel()
    with pytest.raises(KeyboardInterrupt):
        run_interruptible(lambda: pytest.fail("the work was done"), progress)
