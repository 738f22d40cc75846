"""What each step of the live picture path costs at 720p; a part of ``benchmarks.live.effects``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.live.clips import CAMERA, MODEL, Replayed, frames, photograph, recoloured, still_clip
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import Quantiles, StatsSnapshot
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process
from edge_i2i.live.model.upsampling import Upsampling, lifted
from edge_i2i.live.outlets.compare import blend, side_by_side, split
from edge_i2i.live.outlets.hud import draw_hud, hud_lines
from edge_i2i.live.steps.flip import Flip, flipped
from edge_i2i.live.steps.region import Region, pasted
from edge_i2i.live.steps.similarity import SimilarityOptions, SimilarityProcess
from edge_i2i.live.steps.smoothing import SmoothedProcess
from edge_i2i.media.geometry import Fit, place, place_into, take_back
from edge_i2i.metrics.latency import time_interleaved


def times(rounds: int) -> Iterator[dict[str, Any]]:
    """Milliseconds of each step at 720p, with a network of 256x256 behind it."""
    timings = time_interleaved({**frame_steps(), **display_steps()}, rounds, warm_up=5)
    for name, timing in timings.items():
        yield {"effect": "time", "step": name, "p50_ms": timing.p50 * 1e3, "p90_ms": timing.p90 * 1e3}


def frame_steps() -> dict[str, Callable[[], object]]:
    """What is paid for a frame, before and behind the network."""
    full, placement = photograph(), place(CAMERA, MODEL, Fit.LETTERBOX)
    staged = np.zeros((MODEL.height, MODEL.width, 3), np.uint8)
    place_into(full, placement, staged)
    image = recoloured(staged)
    clip = frames(still_clip(count=8))
    smooth = SmoothedProcess(Replayed({frame.seq: recoloured(frame.image) for frame in clip}))
    alike = SimilarityProcess(Replayed({0: full}), SimilarityOptions(max_age_ms=1e9))
    region = Region.parse("0.25,0.25,0.5,0.5").within(CAMERA)
    patch = np.ascontiguousarray(region.of(full))
    return {
        "prepare: letterbox to 256x256": lambda: place_into(full, placement, staged),
        "finish: none": lambda: take_back(image, placement, keep_size=False),
        **{
            f"finish: {how.value}": lambda how=how: lifted(image, staged, full, placement, how)
            for how in (Upsampling.LINEAR, Upsampling.CUBIC, Upsampling.GUIDED)
        },
        "region 640x360: paste": lambda: pasted(patch, full, region),
        "smoothing": in_turn(smooth, clip),
        "similarity: a reused frame": lambda: alike(clip[0]),
        "flip": lambda: flipped(full, Flip.HORIZONTAL),
    }


def in_turn(process: Process, clip: list[Frame]) -> Callable[[], object]:
    """A process over the frames of a clip, again and again."""
    at = 0

    def step() -> object:
        nonlocal at
        at += 1
        return process(clip[at % len(clip)])

    return step


def display_steps() -> dict[str, Callable[[], object]]:
    """What is paid for a picture that people look at, on the sink's thread."""
    full = photograph()
    image, lines = recoloured(full), hud_lines(SNAPSHOT)
    return {
        "compare: side by side": lambda: side_by_side(full, image),
        "compare: split": lambda: split(full, image, 0.5),
        "compare: blend": lambda: blend(full, image, 0.5),
        "HUD": lambda: draw_hud(image, lines),
    }


SNAPSHOT = StatsSnapshot(
    frames=900,
    fps=29.9,
    age_ms=Quantiles(900, 31.0, 38.0, 45.0, 52.0),
    dropped={DropCause.NEWER_FRAME: 3},
    engine="openvino",
    effective_precision="int8+bf16",
)
"""What the HUD of the pictures shows: an example, not a measurement."""
