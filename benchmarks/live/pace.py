"""Ages, overhead and processor time of a live session, in real time; parts of ``benchmarks.live.run``."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import cv2
import numpy as np

import edge_i2i
from benchmarks.live.samples import CAMERA, MODEL, Setup, Sleeping, TimedSink, milliseconds
from edge_i2i.clock import SystemClock
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process
from edge_i2i.live.model.translation import TranslatorProcess
from edge_i2i.live.session import LiveSession
from edge_i2i.media.photographs import load_photograph
from edge_i2i.sources.registry import source_spec
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceSpec

FPS = 30
Row = dict[str, Any]


def slot(setup: Setup) -> Iterator[Row]:
    """30 frames a second into a model that is slower, and into one that is faster."""
    for model_ms in (50, 20):
        clock = SystemClock()
        sink = TimedSink(clock, coded=True)
        source = source_spec(f"pattern:{MODEL.height}x{MODEL.width}@{FPS}", clock=clock)
        session = LiveSession(source, Sleeping(clock, model_ms / 1e3), [sink])
        seconds = setup.few(12, 3)
        with session:
            session.wait(seconds)
        snapshot, taken = session.stats(), sink.settled
        ages = [item.age for item in taken]
        slope = np.polyfit([item.now for item in taken], ages, 1)[0]
        codes = [item.code for item in taken]
        yield {
            "model_ms": model_ms,
            "source_fps": FPS,
            "seconds": seconds,
            "results": len(ages),
            **milliseconds(ages, 50, 99),
            "last_ms": round(ages[-1] * 1e3, 3),
            "slope_ms_per_s": round(float(slope) * 1e3, 3),
            "duplicates": len(codes) - len(set(codes)),
            "dropped": snapshot.dropped.get(DropCause.NEWER_FRAME, 0),
            "captured": snapshot.captured,
        }


def overhead(setup: Setup) -> Iterator[Row]:
    """Frames of the network's own size, slowly enough that the model is free when they come."""
    clock = SystemClock()
    yield overhead_of("no network (a function)", Sleeping(clock), clock, 60, setup.few(2000, 100))
    for name, bundle, engine, frames in (
        ("identity network, ONNX Runtime", setup.identity, "onnxruntime", setup.few(2000, 100)),
        ("demo network, ONNX Runtime", setup.demo, "onnxruntime", setup.few(500, 40)),
        ("demo network, OpenVINO", setup.demo, "openvino", setup.few(500, 40)),
    ):
        process = TranslatorProcess(edge_i2i.load(bundle, engine=engine, threads=setup.threads), clock=clock)
        yield overhead_of(name, process, clock, min(60.0, 0.6 / seconds_of(process, clock)), frames)


def overhead_of(name: str, process: Process, clock: SystemClock, fps: float, frames: int) -> Row:
    """Age at the sink, less the model and what was waited for it."""
    sink = TimedSink(clock)
    source = source_spec(f"pattern:{MODEL.height}x{MODEL.width}@{fps:.3f}", clock=clock)
    with LiveSession(source, process, [sink]) as session:
        while len(sink.settled) < frames and not session.wait(0.1):
            pass
    taken = sink.settled
    return {
        "network": name,
        "source_fps": round(fps, 1),
        "frames": len(taken),
        **milliseconds([item.overhead for item in taken], 50, 99),
        "model_p50_ms": milliseconds([item.stages["model"] for item in taken], 50)["p50_ms"],
        "waited_p50_ms": milliseconds([item.waited for item in taken], 50)["p50_ms"],
    }


def seconds_of(process: Process, clock: SystemClock) -> float:
    """Of one frame: the median of nine, after two."""
    frame = Frame(0, 0, 0.0, None, np.zeros((MODEL.height, MODEL.width, 3), np.uint8))
    taken = []
    for _ in range(11):
        began = clock.now()
        process(frame)
        taken.append(clock.now() - began)
    return statistics.median(taken[2:])


class ThreadTime(SystemClock):
    """Tells the processor time of the thread that asks."""

    def now(self) -> float:
        """``time.thread_time``."""
        return time.thread_time()


class CameraPictures(Source):
    """Photographs at a camera's pace, the same few in turn; giving them costs nothing, which is the driver's part."""

    live = True

    def __init__(self, clock: SystemClock) -> None:
        whole = cv2.resize(load_photograph("china.jpg"), (CAMERA.width, CAMERA.height), interpolation=cv2.INTER_CUBIC)
        self._pictures = [np.roll(np.asarray(whole, np.uint8), 8 * step, axis=1) for step in range(4)]
        self._clock, self._next, self._began = clock, 0, 0.0

    def open(self) -> SourceInfo:
        self._began = self._clock.now()
        return SourceInfo("photographs", CAMERA, FPS)

    def read(self) -> Captured | None:
        self._next += 1
        self._clock.sleep(max(0.0, self._began + self._next / FPS - self._clock.now()))
        return Captured(self._pictures[self._next % len(self._pictures)], self._next / FPS)

    def close(self) -> None:
        """Nothing is held."""


def processor_time(setup: Setup) -> Iterator[Row]:
    """From a 720p frame to a 256x256 network and back to 720p, without the network; the sink does nothing.

    In several runs, because a shared machine's speed wanders: medians over them, and the fastest and the slowest.
    """
    cv2.setNumThreads(1)
    runs = [one_run(setup, setup.few(200, 40)) for _ in range(setup.few(8, 2))]
    whole = [run["process"] for run in runs]
    yield {
        "camera": str(CAMERA),
        "network": str(MODEL),
        "runs": len(runs),
        "frames_a_run": setup.few(200, 40),
        **{f"{stage}_p50_ms": round(statistics.median(run[stage] for run in runs), 3) for stage in runs[0]},
        "process_fastest_run_ms": min(whole),
        "process_slowest_run_ms": max(whole),
    }


def one_run(setup: Setup, frames: int) -> dict[str, float]:
    """Medians of processor time in milliseconds: of the stages' own threads, and of the process less the network."""
    clock = SystemClock()
    sink = TimedSink(clock)
    translator = edge_i2i.load(setup.identity, engine="onnxruntime", threads=1)
    process = TranslatorProcess(translator, clock=ThreadTime())
    with LiveSession(SourceSpec("photographs", True, lambda: CameraPictures(clock)), process, [sink]) as session:
        while len(sink.settled) < frames and not session.wait(0.1):
            pass
    taken = sink.settled
    whole = [after.cpu - before.cpu - after.stages["model"] for before, after in pairwise(taken)]
    stages = {"prepare": "prepare", "finish": "finish", "network_left_out": "model"}
    return {
        "process": median_ms(whole),
        **{name: median_ms([item.stages[stage] for item in taken]) for name, stage in stages.items()},
    }


def median_ms(seconds: list[float]) -> float:
    """Milliseconds."""
    return milliseconds(seconds, 50)["p50_ms"]
