"""Scaling 720p down: ours beside OpenCV's averages of areas, in picture and in time.

A picture's distance is to the nearest of three Gaussians, from sharp to soft, sampled at the small picture's pixel
centres: what an ideal filter gives is a matter of taste within those, and aliasing is in none of them.

Example: python -m benchmarks.live.scaling
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.figures import FOLDER, write_figures
from edge_i2i.arrays import Array
from edge_i2i.contract import Size
from edge_i2i.media.geometry import resized
from edge_i2i.metrics.latency import time_interleaved
from edge_i2i.metrics.picture import psnr

FIGURES = FOLDER / "scaling.json"
CAMERA = Size(720, 1280)
SIZES = ("655x1164", "562x1000", "480x853", "405x720", "360x640", "338x600", "288x512", "256x455", "225x400", "191x340")
SMALLER = ("180x320", "144x256", "256x256", "112x200", "96x170")
WIDTHS = (0.35, 0.425, 0.5)
"""Standard deviations of the Gaussians, in pixels of the small picture."""


def main() -> None:
    """Every size, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--output", type=Path, default=FIGURES)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    rows = [measure(Size.parse(size), arguments.rounds) for size in (*SIZES, *SMALLER)]
    write_figures(arguments.output, rows, "python -m benchmarks.live.scaling", 1, source=str(CAMERA))


def measure(size: Size, rounds: int) -> dict[str, Any]:
    """Both ways to one size."""
    ways = {"ours": lambda picture: resized(picture, size), "areas": lambda picture: by_areas(picture, size)}
    pictures = {"photographs": photographs(), "zone plate": zone_plate()}
    wanted = {name: [gaussian(picture, size, width) for width in WIDTHS] for name, picture in pictures.items()}
    timings = time_interleaved(
        {name: lambda way=way: way(pictures["photographs"]) for name, way in ways.items()}, rounds
    )
    return {
        "size": str(size),
        "factor": round(CAMERA.width / size.width, 2),
        **{
            f"{way}, {name}, dB": round(max(psnr(make(picture), ideal) for ideal in wanted[name]), 2)
            for way, make in ways.items()
            for name, picture in pictures.items()
        },
        "speed_to_areas": timings["ours"].speed_to(timings["areas"]).median,
        "p50_ms": timings["ours"].p50 * 1e3,
    }


def by_areas(picture: Array, size: Size) -> Array:
    """OpenCV's own."""
    return np.asarray(cv2.resize(picture, (size.width, size.height), interpolation=cv2.INTER_AREA), np.uint8)


def gaussian(picture: Array, size: Size, width: float) -> Array:
    """The picture through a Gaussian of so many of the small picture's pixels, where those have their centres."""
    across, down = CAMERA.width / size.width, CAMERA.height / size.height
    soft = cv2.GaussianBlur(
        picture.astype(np.float32), (0, 0), sigmaX=width * across, sigmaY=width * down, borderType=cv2.BORDER_REFLECT
    )
    xs, ys = ((np.arange(count) + 0.5) * by - 0.5 for count, by in ((size.width, across), (size.height, down)))
    return cv2.remap(soft, *np.meshgrid(xs.astype(np.float32), ys.astype(np.float32)), cv2.INTER_CUBIC)


def photographs() -> Array:
    """Three photographs at their own sharpness, side by side and in two rows: 720p."""
    import skimage.data

    first, second = (np.asarray(getattr(skimage.data, name)(), np.uint8) for name in ("astronaut", "coffee"))
    above = np.concatenate([first[:360], second[:360], first[:360, 100:268]], 1)
    below = np.concatenate([second[40:400, :500], first[150:510, :400], second[20:380, 200:580]], 1)
    return np.ascontiguousarray(np.concatenate([above, below]))


def zone_plate() -> Array:
    """Rings that become finer down to two pixels: what aliases shows as rings of its own."""
    ys, xs = np.mgrid[0 : CAMERA.height, 0 : CAMERA.width]
    phase = np.pi * ((xs / CAMERA.width) ** 2 * CAMERA.width / 2 + (ys / CAMERA.height) ** 2 * CAMERA.height / 2)
    return np.repeat((128 + 127 * np.cos(phase)).astype(np.uint8)[..., None], 3, axis=2)


if __name__ == "__main__":
    main()
