"""Many frames in real time through a trivial model: memory, threads and descriptors stay as they are.

One hour at 30 fps is 108,000 frames; here they come as fast as the machine manages.
"""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Processed
from edge_i2i.live.policy import Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.machine import resident_bytes
from edge_i2i.sources.source import SourceSpec
from samples.live.coded_frames import CodedSink, coded_spec
from samples.live.fake_models import FakeModel

HOUR = 108_000  # frames, at 30 fps
MOST_MB_AN_HOUR = 5.0

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")


@dataclass(frozen=True)
class Reading:
    """The process at one moment."""

    frames: int
    resident: int
    threads: int
    descriptors: int

    @classmethod
    def now(cls, frames: int) -> Reading:
        return cls(frames, resident_bytes() or 0, threading.active_count(), len(list(Path("/proc/self/fd").iterdir())))


class Identity(FakeModel):
    """Keeps nothing of a frame: ``FakeModel`` notes every number, which is 5 MB in an hour by itself."""

    def __call__(self, frame: Frame) -> Processed:
        return Processed(frame.image)


def slope_mb_an_hour(readings: list[Reading]) -> float:
    """By least squares."""
    per_frame = np.polyfit([r.frames for r in readings], [r.resident for r in readings], 1)[0]
    return float(per_frame * HOUR / 1e6)


def soak(spec: SourceSpec, frames: int, policy: Policy, every: int) -> tuple[list[Reading], CodedSink, LiveSession]:
    clock, sink = SystemClock(), CodedSink(fps=30)
    readings: list[Reading] = []
    session = LiveSession(spec, Identity(clock), [sink], policy)
    with session:
        while not session.wait(0.02) and sink.received < frames:
            if sink.received >= every * (len(readings) + 1):
                readings.append(Reading.now(sink.received))
    return readings, sink, session


def check(readings: list[Reading], sink: CodedSink, session: LiveSession) -> None:
    snapshot = session.stats()
    assert sink.faults == 0 and snapshot.duplicates == 0 and snapshot.in_flight == 0
    assert len({reading.threads for reading in readings}) == 1
    assert len({reading.descriptors for reading in readings}) == 1
    assert snapshot.captured == snapshot.frames + sum(snapshot.dropped.values())
    missed = snapshot.frames - sum(snapshot.sinks["codes"].dropped.values())
    assert missed == sink.received


def five_thousand_frames() -> None:
    readings, sink, session = soak(coded_spec(SystemClock(), frames=5000, live=False), 5000, Policy.offline(), 500)
    check(readings, sink, session)
    assert sink.received == 5000 and sink.missing == 0
    assert readings[-1].resident - readings[0].resident < 5e6, readings


def an_hour(policy: Policy) -> None:
    readings, sink, session = soak(coded_spec(SystemClock(), frames=HOUR, live=False), HOUR, policy, 2000)
    check(readings, sink, session)
    assert session.stats().captured == HOUR
    assert slope_mb_an_hour(readings[len(readings) // 10 :]) <= MOST_MB_AN_HOUR, readings


def faults_of(call: str) -> str:
    """What a call raises in a process of its own: what other tests leave behind in one comes and goes by megabytes."""
    code = f"import sys; sys.path.extend({sys.path!r})\nfrom test_soak import *\n{call}"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent, capture_output=True, text=True)
    return done.stderr if done.returncode else ""


def test_five_thousand_frames_leave_everything_as_it_was() -> None:
    assert faults_of("five_thousand_frames()") == ""


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["offline", "live"])
def test_an_hour_of_frames_leaves_everything_as_it_was(policy: str) -> None:
    assert faults_of(f"an_hour(Policy.{policy}())") == ""
