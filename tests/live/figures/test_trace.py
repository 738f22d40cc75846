"""Traces: a file in the Trace Event Format, ordered by time, of bounded size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_i2i.live.figures.trace import Trace, first_writes
from samples.live.virtual_clock import VirtualClock


def written(trace: Trace, folder: Path) -> dict[str, Any]:
    trace.write(folder / "trace.json")
    document: dict[str, Any] = json.loads((folder / "trace.json").read_text())
    assert [path.name for path in folder.iterdir()] == ["trace.json"]
    return document


def test_a_frame_on_its_way_through_the_stages(tmp_path: Path) -> None:
    with VirtualClock() as clock:
        trace = Trace(clock)
        clock.sleep(1.5)
        trace.instant("capture", "source lost", reason="rtsp://a:b@cam is gone")
        trace.counter("drops", newer_frame=3, too_old=1)
        trace.span("model", "frame 7", 1.0, 1.05, seq=7)
        trace.span("capture", "frame 7", 0.9, 1.0)
        document = written(trace, tmp_path)
    names = {(e["name"], e["args"]["name"]): e for e in document["traceEvents"] if e["ph"] == "M"}
    assert set(names) == {("process_name", "edge-i2i"), ("thread_name", "capture"), ("thread_name", "model")}
    capture, model = (names["thread_name", track]["tid"] for track in ("capture", "model"))
    spans = [e for e in document["traceEvents"] if e["ph"] == "X"]
    assert [(e["name"], e["tid"], e["ts"], e["dur"]) for e in spans] == [
        ("frame 7", capture, 900_000.0, 100_000.0),
        ("frame 7", model, 1_000_000.0, 50_000.0),
    ]
    assert spans[1]["args"] == {"seq": 7}
    (lost,) = (e for e in document["traceEvents"] if e["ph"] == "i")
    assert (lost["ts"], lost["tid"], lost["s"], lost["args"]) == (
        1_500_000.0,
        capture,
        "t",
        {"reason": "rtsp://cam is gone"},
    )
    (drops,) = (e for e in document["traceEvents"] if e["ph"] == "C")
    assert drops["name"] == "drops" and drops["args"] == {"newer_frame": 3, "too_old": 1}
    assert len({e["pid"] for e in document["traceEvents"]}) == 1


events = st.tuples(st.sampled_from("Xic"), st.sampled_from(["capture", "model", "sink"]), st.floats(0, 1e4))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events, max_size=40))
def test_every_event_has_the_fields_of_the_format_and_comes_in_time(
    tmp_path: Path, items: list[tuple[str, str, float]]
) -> None:
    with VirtualClock() as clock:
        trace = Trace(clock, capacity=25)
        for phase, track, seconds in items:
            if phase == "X":
                trace.span(track, "work", seconds, seconds + 0.5)
            elif phase == "i":
                trace.instant(track, "now")
            else:
                trace.counter("drops", all=seconds)
            clock.sleep(1.0)
        document = written(trace, tmp_path)
    timed = [e for e in document["traceEvents"] if e["ph"] != "M"]
    assert len(timed) == min(len(items), 25)
    assert document["otherData"]["forgotten_events"] == max(len(items) - 25, 0)
    assert [e["ts"] for e in timed] == sorted(e["ts"] for e in timed)
    for event in timed:
        assert event["ph"] in "XiC" and {"name", "pid", "tid", "ts", "args"} <= set(event)
        assert ("dur" in event) == (event["ph"] == "X") and ("s" in event) == (event["ph"] == "i")
    named = {e["tid"] for e in document["traceEvents"] if e["name"] == "thread_name"}
    assert {e["tid"] for e in timed if e["ph"] != "C"} == named


def test_what_surrounds_comes_before_what_is_inside(tmp_path: Path) -> None:
    trace = Trace(VirtualClock())
    trace.span("model", "inside", 1.0, 1.5)
    trace.span("model", "around", 1.0, 2.0)
    assert [e["name"] for e in written(trace, tmp_path)["traceEvents"] if e["ph"] == "X"] == ["around", "inside"]


def test_the_oldest_events_are_forgotten(tmp_path: Path) -> None:
    trace = Trace(VirtualClock(), capacity=10)
    for number in range(25):
        trace.span("model", str(number), number, number + 1)
    document = written(trace, tmp_path)
    assert [e["name"] for e in document["traceEvents"] if e["ph"] == "X"] == [str(n) for n in range(15, 25)]
    assert document["otherData"]["forgotten_events"] == 15


def test_a_trace_that_nobody_asked_for_collects_nothing(tmp_path: Path) -> None:
    trace = Trace(VirtualClock(), capacity=0)
    trace.span("model", "frame", 0.0, 1.0)
    document = written(trace, tmp_path)
    assert [e for e in document["traceEvents"] if e["ph"] != "M"] == []
    assert document["otherData"]["forgotten_events"] == 0


def test_a_trace_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    trace = Trace(VirtualClock())
    with pytest.raises(OSError):
        trace.write(tmp_path / "no such folder" / "trace.json")
    trace.write(tmp_path / "trace.json")
    before = (tmp_path / "trace.json").read_text()

    class Odd:
        def __str__(self) -> str:
            raise ValueError("cannot be written")

    trace.span("model", "frame", 0, 1, odd=Odd())
    with pytest.raises(ValueError):
        trace.write(tmp_path / "trace.json")
    assert (tmp_path / "trace.json").read_text() == before and len(list(tmp_path.iterdir())) == 1


def test_the_first_picture_and_the_first_translated_one_are_read_from_a_trace(tmp_path: Path) -> None:
    with VirtualClock() as clock:
        trace = Trace(clock)
        for seq, end in ((4, 2.5), (3, 2.0)):
            trace.span("sink", "write", end - 0.1, end, seq=seq)
        passed_through = written(trace, tmp_path)
        trace.span("finish", "finish", 2.2, 2.4, seq=4)
        document = written(trace, tmp_path)
    assert first_writes(passed_through) == (2.0, None)
    assert first_writes(document) == (2.0, 2.5)
    assert first_writes({"traceEvents": []}) == (None, None)
