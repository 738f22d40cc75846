"""Clips of a camera with sensor noise, and what the demo network makes of them; for ``benchmarks.live.effects``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import edge_i2i
from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Processed
from edge_i2i.live.model.translation import TranslatorProcess
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.media.photographs import load_photograph
from edge_i2i.metrics.flicker import PanningClip, pan_clip

CAMERA, MODEL = Size(720, 1280), Size(256, 256)
FPS, NOISE = 30, 5.0
"""Frames a second; standard deviation of the sensor's noise in grey levels."""
STILL, PAN = 45, 45
"""Frames that stand still, and that pan."""
STEP = (1, 3)
"""Pixels down and right from frame to frame."""
THREADS = 1


def photograph(size: Size = CAMERA) -> Picture:
    """A city and its sky, cut to the camera's proportions."""
    picture = load_photograph("china.jpg")
    placement = place(Size(*picture.shape[:2]), size, Fit.CROP)
    target = np.empty((size.height, size.width, 3), np.uint8)
    place_into(picture, placement, target)
    return target


def still_clip(size: Size = CAMERA, count: int = STILL) -> PanningClip:
    """A camera that does not move."""
    return with_noise(PanningClip((photograph(size),) * count, (0, 0)))


def panning_clip(size: Size = CAMERA, count: int = PAN) -> PanningClip:
    """A camera that pans."""
    way = Size(size.height + STEP[0] * count, size.width + STEP[1] * count)
    return with_noise(pan_clip(photograph(way), size, STEP, count))


def clips(size: Size) -> dict[str, PanningClip]:
    """Both."""
    return {"still": still_clip(size), "pan": panning_clip(size)}


def with_noise(clip: PanningClip) -> PanningClip:
    """The sensor's, which does not move along."""
    generator = np.random.default_rng(0)
    return clip.through(
        lambda frame: np.clip(frame + generator.normal(0, NOISE, frame.shape), 0, 255).round().astype(np.uint8)
    )


def frames(clip: PanningClip, first: int = 0) -> list[Frame]:
    """As a steady camera gives them."""
    return [Frame(seq, 0, seq / FPS, None, image) for seq, image in enumerate(clip.frames, first)]


class Replayed:
    """A process that gives, frame by frame, what the network gave before: every effect sees the same results."""

    engine, effective_precision = "replayed", ""

    def __init__(self, results: dict[int, Picture]) -> None:
        self.results = results

    def __call__(self, frame: Frame) -> Processed:
        return Processed(self.results[frame.seq])

    def condition(self, **inputs: Any) -> None:
        """No look is set."""

    def close(self) -> None:
        """Nothing is held."""


def translated(bundle: Path, clip: list[Frame]) -> dict[int, Picture]:
    """What the network makes of each frame, at the camera's size."""
    with edge_i2i.load(bundle, engine="onnxruntime", threads=THREADS) as translator:
        process = TranslatorProcess(translator)
        return {frame.seq: process(frame).image for frame in clip}


def recoloured(picture: Picture) -> Picture:
    """A look without detail of its own: mixed channels and more contrast."""
    mixed = picture.astype(np.float32) @ np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.2], [0.1, 0.3, 0.9]], np.float32).T
    return np.asarray(np.clip(1.2 * mixed - 20, 0, 255), np.uint8)
