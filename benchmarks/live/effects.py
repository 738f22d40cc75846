"""What each optional step of the live picture path does to a clip, and what it costs at 720p.

The clip is a photograph seen by a camera with sensor noise: standing still, then panning by whole pixels, so that
motion is known exactly. The network is the shipped demo network. Times are of one step on its own, in turn with all the
others, on one thread. The ladder runs in real time, on a machine that becomes slower and recovers.

Example: python -m benchmarks.live.effects --output docs/figures/live-effects.json --images docs/images
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import edge_i2i
from benchmarks.figures import FOLDER, write_figures
from benchmarks.live.clips import (
    CAMERA,
    FPS,
    NOISE,
    THREADS,
    Replayed,
    clips,
    frames,
    photograph,
    recoloured,
    still_clip,
    translated,
)
from benchmarks.live.costs import SNAPSHOT, times
from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.live.frame import Frame, Origin, Result
from edge_i2i.live.model.process import Process, Processed
from edge_i2i.live.model.translation import TranslatorProcess, translator_loader
from edge_i2i.live.model.upsampling import Upsampling, lifted
from edge_i2i.live.outlets.compare import Comparison
from edge_i2i.live.outlets.view import View, ViewSettings
from edge_i2i.live.steps.ladder import LadderProcess, Rung
from edge_i2i.live.steps.similarity import SimilarityOptions, SimilarityProcess, psnr, thumbnail_of
from edge_i2i.live.steps.smoothing import SmoothedProcess, SmoothingOptions
from edge_i2i.live.steps.step import Decorator
from edge_i2i.media.geometry import Fit, Placement, place, place_into
from edge_i2i.media.pictures import write_picture
from edge_i2i.metrics.flicker import PanningClip, warp_error
from edge_i2i.metrics.latency import time_interleaved
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.progress import NullProgress
from edge_i2i.translate.translator import Translator

FIGURES = FOLDER / "live-effects.json"
NETWORK = Size(256, 448)
"""Of the demo network: the camera's proportions, to the multiple of 32 that it takes."""
RUNGS = {"large": Size(192, 320), "middle": Size(128, 224), "small": Size(64, 96)}
"""Sizes of the ladder's networks."""
PHASES = ((8.0, 1), (8.0, 3), (12.0, 1))
"""Seconds, and how many times slower the machine is: so many times is every frame translated."""


def main() -> None:
    """Measure every effect, keep the figures, and draw the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=FIGURES)
    parser.add_argument("--images", type=Path, help="folder for the pictures of the comparisons and the HUD")
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    cv2.setNumThreads(THREADS)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        bundles = export_demo(Path(folder))
        for measure in (smoothing, similarity, upsampling, ladder):
            rows += told(measure(bundles))
        with edge_i2i.load(bundles["camera"], engine="onnxruntime", threads=THREADS) as translator:
            if arguments.images is not None:
                draw(translator, arguments.images)
    rows += told(times(arguments.rounds))
    about = {"camera": str(CAMERA), "network": str(NETWORK), "noise": NOISE, "fps": FPS, "rounds": arguments.rounds}
    command = f"python -m benchmarks.live.effects --rounds {arguments.rounds}"
    write_figures(arguments.output, rows, command, THREADS, **about)


def told(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows, said as they come."""
    for row in rows:
        sys.stderr.write(f"{row}\n")
        yield row


def export_demo(folder: Path) -> dict[str, Path]:
    """The demo network at the size that it runs live with, and at the camera's own."""
    loaded = load_demo("pix2pixhd")
    bundles = {}
    camera, _ = loaded.model.size_rule.neighbours(CAMERA)
    for name, size in {**RUNGS, "live": NETWORK, "camera": camera}.items():
        bundles[name] = folder / f"{name}.i2i"
        export_bundle(loaded, size, bundles[name], ExportOptions(precisions=("fp32",), threads=THREADS))
    return bundles


def smoothing(bundles: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """Flicker without and with it: the warp error, and the temporal deviation where the camera stands still.

    A camera of 720p hides most of its noise when it is reduced to the network's size; one of that size hides nothing.
    """
    for camera, name, clip in ((size, *item) for size in (CAMERA, NETWORK) for item in clips(size).items()):
        given = frames(clip)
        plain = translated(bundles["live"], given)
        smooth = SmoothedProcess(Replayed(plain), SmoothingOptions())
        before = PanningClip(tuple(plain.values()), clip.step)
        after = PanningClip(tuple(smooth(frame).image for frame in given), clip.step)
        row = {
            "effect": "smoothing",
            "clip": name,
            "camera": str(camera),
            "share": SmoothingOptions().share,
            "warp_error_before": warp_error(settled(before)),
            "warp_error_after": warp_error(settled(after)),
            "camera_warp_error": warp_error(settled(clip)),
        }
        if name == "still":
            row |= {"std_before": deviation(settled(before)), "std_after": deviation(settled(after))}
        yield row


def settled(clip: PanningClip) -> PanningClip:
    """Without the first frames, over which the average builds up."""
    return PanningClip(clip.frames[10:], clip.step)


def deviation(clip: PanningClip) -> float:
    """Over time, of a still clip, in grey levels: the mean over all pixels."""
    total, squares = np.zeros(clip.frames[0].shape), np.zeros(clip.frames[0].shape)
    for frame in clip.frames:
        total += frame
        squares += np.square(frame, dtype=np.float64)
    count = len(clip.frames)
    return float(np.sqrt(np.maximum(squares / count - (total / count) ** 2, 0)).mean())


def similarity(bundles: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """Share of frames that are skipped, and how far what is shown lies from what would have been translated."""
    for name, clip in clips(CAMERA).items():
        given = frames(clip)
        plain = translated(bundles["live"], given)
        process = SimilarityProcess(Replayed(plain), SimilarityOptions())
        done = [process(frame) for frame in given]
        reused = [frame.seq for frame, item in zip(given, done, strict=True) if item.origin is Origin.REUSED]
        thumbnails = [thumbnail_of(frame.image) for frame in given]
        yield {
            "effect": "similarity",
            "clip": name,
            "frames": len(given),
            "skipped_share": len(reused) / len(given),
            "psnr_of_reused_db": mean_or_none([psnr(done[seq].image, plain[seq]) for seq in reused]),
            "psnr_of_next_fresh_db": mean_or_none([psnr(a, b) for a, b in pairwise(plain.values())]),
            "least_thumbnail_psnr_db": min(psnr(thumbnails[0], other) for other in thumbnails[1:8]),
        }


def mean_or_none(values: list[float]) -> float | None:
    """Nothing is reused of a moving clip."""
    return float(np.mean(values)) if values else None


def upsampling(bundles: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """How near each way up comes to a picture whose truth is known at the camera's size."""
    full = photograph()
    source, placement, result = reduced(full)
    for how in (Upsampling.LINEAR, Upsampling.CUBIC, Upsampling.GUIDED):
        image = lifted(result, source, full, placement, how)
        yield upsampling_row("a recolouring", how, image, recoloured(full), full)
    with (
        edge_i2i.load(bundles["live"], engine="onnxruntime", threads=THREADS) as small,
        edge_i2i.load(bundles["camera"], engine="onnxruntime", threads=THREADS) as large,
    ):
        truth = large(full)
        for how in (Upsampling.LINEAR, Upsampling.CUBIC, Upsampling.GUIDED):
            image = TranslatorProcess(small, upsample=how)(Frame(0, 0, 0.0, None, full)).image
            yield upsampling_row("demo network at the camera's size", how, image, truth, full)


def reduced(full: Picture) -> tuple[Picture, Placement, Picture]:
    """What a network that recolours would be given, where it lies, and what it would give."""
    placement = place(CAMERA, NETWORK, Fit.LETTERBOX)
    pair = np.zeros((2, NETWORK.height, NETWORK.width, 3), np.uint8)
    for target, picture in zip(pair, (full, recoloured(full)), strict=True):
        place_into(picture, placement, target)
    return pair[0], placement, pair[1]


def upsampling_row(truth: str, how: Upsampling, image: Picture, expected: Picture, full: Picture) -> dict[str, Any]:
    """PSNR over the whole picture, and within three pixels of the camera's edges."""
    edges = cv2.Canny(cv2.cvtColor(full, cv2.COLOR_RGB2GRAY), 100, 200)
    near = cv2.dilate(edges, np.ones((7, 7), np.uint8)) > 0
    return {
        "effect": "upsampling",
        "truth": truth,
        "how": how.value,
        "psnr_db": psnr(image, expected),
        "psnr_at_edges_db": psnr(image[near], expected[near]),
    }


class Slowed(Decorator):
    """A network on a machine that is ``times`` slower."""

    times = 1

    def __call__(self, frame: Frame) -> Processed:
        for _ in range(self.times - 1):
            self._inner(frame)
        return self._inner(frame)


def ladder(bundles: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """Whether the rate is held where the best network alone does not hold it, and whether the best picture returns."""
    loaders = [translator_loader(bundles[name], engine="onnxruntime", threads=THREADS) for name in RUNGS]
    rungs = [Slowed(loader(NullProgress())) for loader in loaders]
    costs = [cost_of(rung) for rung in rungs]
    fps = 0.6 / costs[0]  # the best one has room, and a machine half as fast has none for it
    process = LadderProcess([Rung(*rung) for rung in zip(rungs, costs, strict=True)], fps)
    for name, runner in (("ladder", process), ("best network alone", rungs[0])):
        for seconds, slower in PHASES:
            Slowed.times = slower
            taken, lasted, chosen = run_for(seconds, fps, runner)
            yield {
                "effect": "ladder",
                "what": name,
                "target_fps": fps,
                "rungs_ms": [cost * 1e3 for cost in costs],
                "times_slower": slower,
                "seconds": seconds,
                "fps": len(taken) / lasted,
                "frames_within_budget": float(np.mean([cost <= 1 / fps for cost in taken])),
                "rung_at_last": chosen,
            }
    process.close()


def cost_of(process: Process) -> float:
    """Seconds a frame: the median of ten."""
    frame = frames(still_clip(count=1))[0]
    timing = time_interleaved({"frame": lambda: process(frame)}, 10, warm_up=2)["frame"]
    return timing.p50


def run_for(seconds: float, fps: float, process: Process) -> tuple[list[float], float, int]:
    """Seconds of each frame, of a camera of ``fps`` whose newest frame waits; those of all of it; the last rung."""
    frame, taken, began = frames(still_clip(count=1))[0], list[float](), time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        process(frame)
        taken.append(time.perf_counter() - now)
        time.sleep(max(0.0, 1 / fps - taken[-1]))
    return taken, time.perf_counter() - began, process.rung if isinstance(process, LadderProcess) else 0


def draw(translator: Translator, folder: Path) -> None:
    """The views, as they are shown; half the camera's size."""
    folder.mkdir(parents=True, exist_ok=True)
    picture = photograph(Size(360, 640))
    frame = Frame(0, 0, 0.0, None, picture)
    image = TranslatorProcess(translator)(frame).image
    result = Result(image, frame, 0.03)
    for compare in (Comparison.SPLIT, Comparison.SIDE, Comparison.BLEND):
        view = View(ViewSettings(compare, hud=compare is Comparison.SPLIT))
        write_picture(folder / f"live-{compare.value}.jpg", view.compose(result, SNAPSHOT, for_display=True))


if __name__ == "__main__":
    main()
