"""What must not be lost, grow or hang: films, an hour of frames, faults, swaps; parts of ``benchmarks.live.run``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.live.samples import (
    MODEL,
    Reading,
    Setup,
    Sleeping,
    TimedSink,
    extent,
    growth,
    return_free_memory,
    wait_until_threads_ended,
)
from edge_i2i.clock import SystemClock
from edge_i2i.contract import Size
from edge_i2i.live.figures.stats import StatsSnapshot
from edge_i2i.live.model.process import Process
from edge_i2i.live.opening import network_loader, open_session
from edge_i2i.live.policy import Policy
from edge_i2i.live.session import LiveSession
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.films.video_writer import VideoWriter
from edge_i2i.sources.coded import read_code
from edge_i2i.sources.source import SourceSpec
from tests.samples.live.coded_frames import CodedSink, coded_picture, coded_spec
from tests.samples.live.fake_models import hanging
from tests.samples.live.fake_sinks import BlockingSink
from tests.samples.live.faulty_source import FaultyCamera, Trouble

Row = dict[str, Any]
HOUR = 108_000
"""Frames, at 30 fps."""

# A film -----------------------------------------------------------------------------------------------------------


def film(setup: Setup) -> Iterator[Row]:
    """A film with sound, played in full through the identity network and recorded."""
    source, target = setup.folder / "film.mkv", setup.folder / "recorded.mp4"
    frames = setup.few(750, 50)
    write_film(source, frames, setup.folder)
    with open_session(setup.identity, str(source), [str(target)], engine="onnxruntime", threads=setup.threads) as live:
        live.wait()
    before, after = codes_of(source), codes_of(target)
    numbers = [number for number in after if number is not None]
    yield {
        "frames": frames,
        "recorded": len(after),
        "lost": len(set(before) - set(after)),
        "reordered": sum(later <= earlier for earlier, later in pairwise(numbers)),
        "duplicates": len(after) - len(set(after)),
        "unreadable": after.count(None),
        "times_moved_ms": round(largest_shift(source, target) * 1e3, 3),
        "sound_packets": len(sound_of(source)),
        "sound_kept": sound_of(source) == sound_of(target),
    }


def write_film(path: Path, frames: int, folder: Path, rate: int = 25) -> None:
    """Coded frames, with a tone: pictures by the library's own writer, which copies the sound of a reader's file."""
    sound = folder / "sound.mkv"
    write_tone(sound, frames / rate)
    with (
        VideoReader(sound) as reader,
        VideoWriter(path, Fraction(rate), MODEL, audio_from=reader) as writer,
    ):
        for number in range(frames):
            writer.write(coded_picture(number, size=MODEL))


def write_tone(path: Path, seconds: float) -> None:
    """A film with one black second and a tone."""
    import av

    with av.open(str(path), "w", format="matroska") as target:
        pictures = target.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 64, "yuv420p"
        sound = target.add_stream("aac", rate=48000, layout="mono")
        for index in range(25):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), "rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            target.mux(pictures.encode(frame))
        target.mux(pictures.encode(None))
        for start in range(0, round(seconds * 48000), 1024):
            wave = 0.3 * np.sin(2 * np.pi * 440 * (start + np.arange(1024)) / 48000)
            samples = av.AudioFrame.from_ndarray(wave[None].astype(np.float32), format="fltp", layout="mono")
            samples.sample_rate, samples.pts, samples.time_base = 48000, start, Fraction(1, 48000)
            target.mux(sound.encode(samples))
        target.mux(sound.encode(None))


def codes_of(path: Path) -> list[int | None]:
    """The numbers in the pixels of a film."""
    with VideoReader(path) as reader:
        codes = [read_code(frame.image) for frame in reader]
    return [code.number if code else None for code in codes]


def largest_shift(before: Path, after: Path) -> float:
    """Seconds by which a frame's time has changed, at most."""
    with VideoReader(before) as first, VideoReader(after) as second:
        times = [[float(frame.pts_seconds) for frame in reader] for reader in (first, second)]
    return max(abs(a - b) for a, b in zip(*times, strict=False))


def sound_of(path: Path) -> list[bytes]:
    """Its packets."""
    import av

    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.pts is not None]


# An hour ----------------------------------------------------------------------------------------------------------


def soak(setup: Setup) -> Iterator[Row]:
    """Coded frames through a model that costs nothing, as fast as the machine manages."""
    for policy in (Policy.offline(), Policy.live()):
        clock, sink = SystemClock(), CodedSink(fps=30)
        spec = coded_spec(clock, frames=setup.frames, live=False)
        session = LiveSession(spec, Sleeping(clock), [sink], policy)
        began, readings = clock.now(), list[Reading]()
        with session:
            while not session.wait(0.02):
                captured = session.stats().captured
                if setup.frames > captured >= setup.frames / 60 * (len(readings) + 1):  # before its threads end
                    readings.append(Reading.now(captured))
        yield {
            "policy": policy.mode.value,
            "frames_a_second": round(setup.frames / (clock.now() - began)),
            "resident_mb_per_hour": round(growth(readings) * HOUR, 2),
            **extent(readings),
            **accounts(session.stats(), sink),
        }


def accounts(snapshot: StatsSnapshot, sink: CodedSink) -> Row:
    """Where every frame is; ``unaccounted`` are those of which nobody knows."""
    at_sink = sum(snapshot.sinks[sink.name].dropped.values())
    return {
        "frames": snapshot.captured,
        "results": snapshot.frames,
        "received": sink.received,
        "torn": sink.torn,
        "duplicates": sink.duplicates + snapshot.duplicates,
        "reordered": sink.reordered,
        "dropped": sum(snapshot.dropped.values()),
        "dropped_by_sink": at_sink,
        "unaccounted": snapshot.in_flight + snapshot.frames - sink.received - at_sink,
    }


# Faults -----------------------------------------------------------------------------------------------------------

OUTAGES = {
    "read returns nothing": ("nothing", 3.0),
    "the same picture again and again": ("stale", 3.0),
    "read blocks": ("blocks", 3.0),
    "read never returns": ("hang", 0.6),
    "read raises": ("raises", 3.0),
    "unplugged": ("gone", 3.0),
    "back under another number": ("moves", 3.0),
}
"""The kind of ``tests/samples/live/faulty_source.py``, and its seconds."""
BEFORE = 1.5
"""Seconds that the camera works before."""


def recovery(setup: Setup) -> Iterator[Row]:
    """Seconds from the camera's return until a sink has a new picture."""
    for fault, (kind, seconds) in OUTAGES.items():
        taken = [recovered_after(kind, seconds) for _ in range(setup.few(5, 1))]
        yield {
            "fault": fault,
            "outage_s": seconds,
            "runs": len(taken),
            "recovery_longest_s": round(max(taken), 3),
        }


def recovered_after(kind: str, seconds: float) -> float:
    """Of one outage."""
    clock = SystemClock()
    trouble = Trouble(kind, clock.now() + BEFORE, seconds)
    sink = TimedSink(clock)
    with LiveSession(FaultyCamera(clock, trouble).spec(), Sleeping(clock, 0.02), [sink], clock=clock) as session:
        session.wait(BEFORE + seconds + 4.0)
    return next(item.now for item in sink.taken if item.now - item.age >= trouble.end) - trouble.end


def stop(setup: Setup) -> Iterator[Row]:
    """Seconds that ``stop()`` takes, whatever hangs."""
    for what, make in HANGING.items():
        taken = [stopped_after(make) for _ in range(setup.few(5, 1))]
        yield {"what": what, "runs": len(taken), "stop_longest_s": round(max(taken), 3)}


def stopped_after(make: Callable[[SystemClock], LiveSession]) -> float:
    """Of one session."""
    clock = SystemClock()
    session = make(clock)
    session.start()
    session.wait(2.0)
    began = clock.now()
    session.stop()
    return clock.now() - began


def session_of(
    clock: SystemClock, process: Process | None = None, sinks: tuple[Sink, ...] = (), hang: str = ""
) -> LiveSession:
    """A camera, a model of 20 ms and no fault but what is named: ``hang`` in read after a second, in open at once."""
    begins = clock.now() + (1.0 if hang == "hang" else 0.0)
    spec = FaultyCamera(clock, Trouble(hang, begins)).spec() if hang else coded_spec(clock)
    return LiveSession(spec, process or Sleeping(clock, 0.02), sinks, clock=clock)


HANGING: dict[str, Callable[[SystemClock], LiveSession]] = {
    "nothing": session_of,
    "the camera's driver, in read": lambda clock: session_of(clock, hang="hang"),
    "the camera's driver, in open": lambda clock: session_of(clock, hang="hang in open"),
    "the model": lambda clock: session_of(clock, hanging(clock)),
    "a sink": lambda clock: session_of(clock, sinks=(BlockingSink(clock),)),
}

# Again and again --------------------------------------------------------------------------------------------------


def cycles(setup: Setup) -> Iterator[Row]:
    """Sessions that are started and stopped, and networks that are swapped: what stays of them.

    Memory is what is held; what the allocator keeps for later comes on top of it. It wanders by 10 MB from one reading
    to another, so fifty of them would tell no slope below a quarter of a megabyte.
    """
    load = network_loader(setup.demo, engine="onnxruntime", threads=setup.threads)
    for what, readings in (
        ("start and stop", started_and_stopped(load, setup.few(200, 4))),
        ("swap", swapped(load, setup.few(100, 4))),
    ):
        yield {"what": what, "times": len(readings), "mb_per_time": round(growth(readings, 0.5), 3), **extent(readings)}


def camera(clock: SystemClock) -> SourceSpec:
    """30 coded frames a second, of the network's size."""
    return coded_spec(clock, size=Size(MODEL.height, MODEL.width))


def started_and_stopped(load: Any, times: int) -> list[Reading]:
    """A session with a network of its own, each time until its first translated frame."""
    clock, readings = SystemClock(), []
    for number in range(times):
        sink = TimedSink(clock)
        with LiveSession(camera(clock), load, [sink]) as session:
            while not sink.taken:
                session.wait(0.02)
        wait_until_threads_ended(clock)
        return_free_memory()
        readings.append(Reading.now(number))
    return readings


def swapped(load: Any, times: int) -> list[Reading]:
    """The network of one session, again and again; each translates some frames."""
    clock, readings = SystemClock(), []
    sink = TimedSink(clock)
    with LiveSession(camera(clock), load, [sink]) as session:
        for number in range(times):
            session.swap(load).wait(60)
            before = len(sink.taken)
            while len(sink.taken) < before + 3:
                session.wait(0.02)
            return_free_memory()
            readings.append(Reading.now(number))
    return readings
