#!/usr/bin/env python
"""What each optional step of the live picture path does to a clip, and what it costs at 720p.

The clip is a photograph seen by a camera with sensor noise: standing still, then panning by whole pixels, so that
motion is known exactly. The network is the shipped demo network. Times are of one step on its own, in turn with all the
others, on one thread. The ladder runs in real time, on a machine that becomes slower and recovers.

Example: python benchmarks/live_effects.py --output docs/figures/live-effects.json --images docs/images
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from shared import write_figures

import edge_i2i
from edge_i2i.export import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.learn.data import load_photograph
from edge_i2i.live.compare import Comparison, blend, side_by_side, split
from edge_i2i.live.decorator import Decorator
from edge_i2i.live.drops import DropCause
from edge_i2i.live.flip import Flip, flipped
from edge_i2i.live.frame import Frame, Origin, Picture, Result
from edge_i2i.live.hud import draw_hud, hud_lines
from edge_i2i.live.ladder import LadderProcess, Rung
from edge_i2i.live.process import Process, Processed
from edge_i2i.live.region import Region, pasted
from edge_i2i.live.similarity import SimilarityOptions, SimilarityProcess, psnr, thumbnail_of
from edge_i2i.live.smoothing import SmoothedProcess, SmoothingOptions
from edge_i2i.live.stats import Quantiles, StatsSnapshot
from edge_i2i.live.translation import TranslatorProcess, translator_loader
from edge_i2i.live.upsampling import Upsampling, lifted
from edge_i2i.live.view import View, ViewSettings
from edge_i2i.measure.flicker import PanningClip, pan_clip, warp_error
from edge_i2i.measure.latency import time_interleaved
from edge_i2i.media.geometry import Fit, Placement, place, place_into, take_back
from edge_i2i.media.pictures import write_picture
from edge_i2i.models.contract import Size
from edge_i2i.models.loading import load_demo
from edge_i2i.progress import NullProgress
from edge_i2i.translator import Translator

FIGURES = Path(__file__).parents[1] / "docs" / "figures" / "live-effects.json"
CAMERA, MODEL = Size(720, 1280), Size(256, 256)
NETWORK = Size(256, 448)
"""Of the demo network: the camera's proportions, to the multiple of 32 that it takes."""
FPS, NOISE = 30, 5.0
"""Frames a second; standard deviation of the sensor's noise in grey levels."""
STILL, PAN = 45, 45
"""Frames that stand still, and that pan."""
STEP = (1, 3)
"""Pixels down and right from frame to frame."""
THREADS = 1
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
    command = f"python benchmarks/live_effects.py --rounds {arguments.rounds}"
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
    for name, size in {**RUNGS, "live": NETWORK, "camera": Size(CAMERA.height // 32 * 32, CAMERA.width)}.items():
        bundles[name] = folder / f"{name}.i2i"
        export_bundle(loaded, size, bundles[name], ExportOptions(precisions=("fp32",), threads=THREADS))
    return bundles


# --- clips


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


# --- effects


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


def recoloured(picture: Picture) -> Picture:
    """A look without detail of its own: mixed channels and more contrast."""
    mixed = picture.astype(np.float32) @ np.array([[0.2, 0.5, 0.3], [0.6, 0.1, 0.2], [0.1, 0.3, 0.9]], np.float32).T
    return np.asarray(np.clip(1.2 * mixed - 20, 0, 255), np.uint8)


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


# --- costs


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


# --- pictures


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
