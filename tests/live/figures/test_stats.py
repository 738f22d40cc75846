"""Statistics: every frame is accounted for, warm-up is kept apart, and "current" forgets."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import JSON_FIELDS, LiveStats, StatsSnapshot
from edge_i2i.live.frame import Frame, Origin, Result
from samples.live.virtual_clock import VirtualClock

IMAGE = np.zeros((2, 2, 3), np.uint8)


def result(seq: int, captured: float, done: float, origin: Origin = Origin.TRANSLATED, **seconds: float) -> Result:
    return Result(IMAGE, Frame(seq, 0, captured, None, IMAGE), done, origin, seconds)


def run(stats: LiveStats, clock: VirtualClock, frames: int, fps: float, age: float, first: int = 0) -> None:
    """Frames come at ``fps``, and each result is ``age`` seconds later."""
    for seq in range(first, first + frames):
        clock.sleep(1 / fps)
        stats.add_captured()
        stats.add_result(result(seq, clock.now() - age, clock.now(), model=age / 2, wait=age / 4))


def test_totals_of_a_steady_session() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock, source="pattern:", sinks=["file"])
        stats.set_engine("openvino", "bf16")
        run(stats, clock, 600, fps=20, age=0.05)
        got = stats.snapshot()
    assert (got.captured, got.frames, got.duplicates, got.in_flight) == (600, 600, 0, 0)
    assert got.fps == pytest.approx(20) and got.current_fps == pytest.approx(20)
    assert got.age_ms.count == 580 and got.warm_up_age_ms.count == 20
    assert got.age_ms.p50 == pytest.approx(50, rel=0.01) and got.age_ms.max == pytest.approx(50)
    assert got.stage_ms["model"].p99 == pytest.approx(25, rel=0.01) and set(got.stage_ms) == {"model", "wait"}
    assert got.seconds == pytest.approx(30)
    assert (got.source, got.engine, got.effective_precision) == ("pattern:", "openvino", "bf16")


def test_the_warm_up_is_kept_apart_and_ends_after_twenty_results_or_two_seconds() -> None:
    with VirtualClock() as clock:
        fast, slow = LiveStats(clock), LiveStats(clock)
        run(fast, clock, 20, fps=100, age=1.0)
        run(fast, clock, 100, fps=100, age=0.01, first=20)
        run(slow, clock, 2, fps=1, age=3.0)
        run(slow, clock, 10, fps=1, age=0.5, first=2)
    assert fast.snapshot().age_ms.max == pytest.approx(10) and fast.snapshot().warm_up_age_ms.max == pytest.approx(1000)
    assert fast.snapshot().age_ms.count == 100 and fast.snapshot().frames == 120
    assert slow.snapshot().warm_up_age_ms.count == 2 and slow.snapshot().age_ms.max == pytest.approx(500)


def test_a_session_that_is_over_before_it_is_warm_still_has_figures() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock)
        assert stats.snapshot().age_ms.count == 0 and stats.snapshot().fps == 0.0
        run(stats, clock, 5, fps=10, age=0.02)
        got = stats.snapshot()
    assert (got.frames, got.age_ms.count) == (5, 5) and got.fps == pytest.approx(10)


def test_one_result_after_the_warm_up_has_a_rate() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock)
        run(stats, clock, 21, fps=10, age=0.02)
        got = stats.snapshot()
    assert got.age_ms.count == 1 and got.fps == pytest.approx(10)


def test_current_figures_follow_and_totals_remember() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock)
        run(stats, clock, 300, fps=30, age=0.03)
        run(stats, clock, 30, fps=5, age=0.2, first=300)
        got = stats.snapshot()
        assert got.current_fps == pytest.approx(5) and got.current_age_ms.p50 == pytest.approx(200, rel=0.01)
        assert got.age_ms.p50 == pytest.approx(30, rel=0.01) and got.age_ms.p99 == pytest.approx(200, rel=0.01)
        clock.sleep(30)
        silent = stats.snapshot()
    assert silent.current_fps < 0.1 and silent.fps == got.fps


def test_a_network_of_a_frame_every_three_seconds_has_a_rate() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock)
        run(stats, clock, 4, fps=1 / 3, age=2.9)
        got = stats.snapshot()
    assert got.current_fps == pytest.approx(1 / 3) and got.current_age_ms.p50 == pytest.approx(2900, rel=0.01)


def test_repeats_reuse_and_pictures_that_were_passed_through() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock)
        for _ in range(4):
            stats.add_captured()
        stats.add_result(result(0, 0.0, 0.1, Origin.PASSED_THROUGH))
        stats.add_result(result(1, 0.1, 0.2))
        stats.add_result(result(2, 0.2, 0.3, Origin.REUSED))
        stats.add_result(result(2, 0.2, 0.4))
        stats.add_result(result(1, 0.1, 0.4))
        got = stats.snapshot()
    assert (got.frames, got.reused, got.duplicates, got.in_flight) == (4, 1, 2, 1)
    assert got.dropped == {DropCause.LOADING: 1}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["captured", "result", *DropCause]), max_size=60))
def test_every_frame_is_a_result_a_drop_or_on_its_way(steps: list[str]) -> None:
    stats, on_the_way, done = LiveStats(VirtualClock()), 0, 0
    for step in steps:
        if step == "captured":
            stats.add_captured()
            on_the_way += 1
        elif on_the_way:
            on_the_way -= 1
            if isinstance(step, DropCause):
                stats.add_drop(step)
            else:
                stats.add_result(result(done, 0.0, 0.0))
                done += 1
        assert stats.snapshot().in_flight == on_the_way


def test_sinks_are_counted_apart_and_change_no_account() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock, sinks=["file", "idle"])
        stats.add_captured()
        one = result(0, clock.now(), clock.now())
        stats.add_result(one)
        clock.sleep(0.25)
        stats.add_written("file", one)
        stats.add_sink_drop("file", DropCause.SLOW_SINK, 3)
        got = stats.snapshot()
    assert got.sinks["file"].written == 1 and got.sinks["file"].age_ms.p50 == pytest.approx(250)
    assert got.sinks["file"].dropped == {DropCause.SLOW_SINK: 3} and got.sinks["idle"].written == 0
    assert got.dropped == {} and got.in_flight == 0


def test_a_source_is_named_without_its_password() -> None:
    stats = LiveStats(VirtualClock(), source="rtsp://me:secret@first/")
    assert stats.snapshot().source == "rtsp://first/"
    stats.set_source("rtsp://me:secret@second/")
    assert stats.snapshot().source == "rtsp://second/"


def test_a_stopped_session_grows_no_older() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock)
        clock.sleep(5)
        stats.finish()
        clock.sleep(5)
        assert stats.snapshot().seconds == 5.0


def test_json_ends_with_what_the_command_line_promises() -> None:
    with VirtualClock() as clock:
        stats = LiveStats(clock, sinks=["null"])
        run(stats, clock, 60, fps=30, age=0.04)
        stats.add_captured()
        stats.add_drop(DropCause.NEWER_FRAME)
        stats.add_recovery()
        stats.set_engine("onnxruntime", "fp32")
        got = json.loads(json.dumps(stats.snapshot().as_json(), allow_nan=False))
    assert list(got)[:8] == [
        "frames", "fps", "age_ms", "dropped", "duplicates", "engine", "effective_precision", "recoveries",
    ]  # fmt: skip
    assert got["frames"] == 60 and got["fps"] == pytest.approx(30) and got["dropped"] == {"newer-frame": 1}
    assert got["age_ms"]["p50"] == pytest.approx(40, rel=0.01) and got["age_ms"]["p99"] == pytest.approx(40, rel=0.01)
    assert (got["engine"], got["effective_precision"], got["recoveries"]) == ("onnxruntime", "fp32", 1)
    assert json.dumps(StatsSnapshot().as_json(), allow_nan=False)


def test_threads_that_count_at_once_lose_nothing() -> None:
    stats = LiveStats(VirtualClock())

    def count() -> None:
        for _ in range(2000):
            stats.add_captured()
            stats.add_drop(DropCause.NEWER_FRAME)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    got = stats.snapshot()
    assert (got.captured, got.dropped[DropCause.NEWER_FRAME], got.in_flight) == (8000, 8000, 0)


def test_every_field_of_the_json_and_every_cause_has_a_meaning() -> None:
    assert set(JSON_FIELDS) == set(StatsSnapshot().as_json())
    assert all(cause.meaning and DropCause(cause.value) is cause for cause in DropCause)
    assert str(DropCause.TOO_OLD) == f"{DropCause.TOO_OLD}" == "too-old"
