"""Scenes with known truth, frames, and a process that is a plain function, for the tests of the picture path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Processed

FPS = 30


def frame(image: Picture, seq: int = 0, *, epoch: int = 0, fps: float = FPS) -> Frame:
    """A frame of a steady camera."""
    return Frame(seq=seq, epoch=epoch, t_capture=seq / fps, t_source=None, image=image)


def noise(height: int, width: int, seed: int = 0) -> Picture:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def flat(height: int, width: int, colour: tuple[int, int, int]) -> Picture:
    return np.full((height, width, 3), colour, np.uint8)


def soft_shapes(seed: int, height: int = 48, width: int = 64) -> Picture:
    """Soft shapes of many colours, as in a photograph out of focus; others for every seed."""
    import cv2

    small = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def scene(height: int, width: int) -> Picture:
    """Patches of many colours with hard and slanted edges, and a fine texture over one half."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.full((height, width, 3), (90, 120, 60), np.uint8)
    picture[(rows - height * 0.4) ** 2 + (columns - width * 0.3) ** 2 < (height * 0.25) ** 2] = (200, 60, 40)
    picture[columns + rows // 2 > width * 0.8] = (40, 70, 190)
    picture[(abs(rows - height * 0.75) < height * 0.1) & (columns < width * 0.6)] = (230, 220, 120)
    texture = 14 * np.sin(columns * 1.3) * np.sin(rows * 0.9) * (columns > width / 2)
    return np.clip(picture + texture[..., None], 0, 255).astype(np.uint8)


class FunctionProcess:
    """Translates with a function, and keeps what it was given. ``failing``: raise at the next frame."""

    engine, effective_precision = "fake", "fp32"

    def __init__(self, translate: Callable[[Picture], Picture] = lambda image: 255 - image) -> None:
        self.translate = translate
        self.seen: list[Frame] = []
        self.looks: list[dict[str, Any]] = []
        self.closed = 0
        self.failing: Exception | None = None

    def __call__(self, given: Frame) -> Processed:
        self.seen.append(given)
        if self.failing is not None:
            error, self.failing = self.failing, None
            raise error
        return Processed(self.translate(given.image), seconds={"prepare": 1.0, "model": 2.0, "finish": 3.0})

    def condition(self, **inputs: Any) -> None:
        self.looks.append(inputs)

    def close(self) -> None:
        self.closed += 1
