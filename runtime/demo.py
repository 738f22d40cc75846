#!/usr/bin/env python
"""The whole road in one run: demo network → bundle → TensorRT engine → translated photographs and video.

Example: python runtime/demo.py --output demo
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

import edge_i2i
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.cli.main import run_program
from edge_i2i.cli.show.console import Bar, BuildBar, StageLines, result, say
from edge_i2i.contract import Size
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.errors import MissingRequirementError
from edge_i2i.export.onnx import ExportSummary, default_size, export_bundle
from edge_i2i.export.tensorrt import build_engines, choose_runtime
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.media.films.video_writer import VideoWriter
from edge_i2i.media.photographs import load_photograph
from edge_i2i.media.pictures import write_picture
from edge_i2i.media.sheet import side_by_side
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.translate.files import translate_path
from edge_i2i.translate.translator import Translator, default_engine_folder

Picture = NDArray[np.uint8]

HELD_OUT = ("chelsea.png", "coffee.png")  # the network was never trained on these two
PHOTOGRAPHS = (*HELD_OUT, "astronaut.png", "china.jpg")
PANNED = ("china.jpg", "coffee.png")
FPS, SECONDS, VIDEO_SIZE = 25, 5, Size(360, 480)


def demo(
    output: Annotated[
        Path, typer.Option("--output", help="Folder for the bundle, the pictures and the report.")
    ] = Path("demo"),
    engine: Annotated[str, typer.Option("--engine", help="Engine that translates; the embedded one by default.")] = (
        "onnxruntime"
    ),
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None,
) -> None:
    """Export the demo network, build an engine, translate four photographs and a five-second pan.

    Example: python runtime/demo.py --output demo --engine openvino
    """
    began = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    summary = export_demo(output / "pix2pixhd-demo.i2i", threads)
    built = build_engine(summary.bundle)
    with edge_i2i.load(summary.bundle, engine=engine, threads=threads) as translator:
        pictures = translate_photographs(translator, output)
        video = translate_pan(translator, output)
        info = asdict(translator.info)
    report = {
        "bundle": summary.bundle.name,
        "parity": summary.parity,
        "engine": built,
        "translator": {**info, "bundle": summary.bundle.name},
        "pictures": pictures,
        "video": video,
        "machine": describe_machine(),
        "versions": installed_versions(),
        "command": "python runtime/demo.py",
        "seconds": round(time.monotonic() - began, 1),
    }
    (output / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    tell(output, report)


def export_demo(target: Path, threads: int | None) -> ExportSummary:
    """The shipped demo network as a bundle of FP32 and FP16 graphs."""
    loaded = load_demo("pix2pixhd")
    options = ExportOptions(threads=threads)
    return export_bundle(loaded, default_size(loaded), target, options, command="make demo", on_stage=StageLines())


def build_engine(bundle: Path) -> dict[str, Any]:
    """A TensorRT engine beside the bundle, or why there is none."""
    try:
        runtime = choose_runtime("auto")
    except MissingRequirementError as error:
        say(str(error))
        return {"status": "unavailable", "reason": error.what}
    folder = default_engine_folder(bundle)
    first = build_engines(open_bundle(bundle), "fp16", runtime, BuildOptions(), folder, BuildBar())[0]
    return {**asdict(first), "path": f"{folder.name}/{first.path.name}"}


def translate_photographs(translator: Translator, output: Path) -> list[dict[str, Any]]:
    """Side-by-side PNGs of photographs and their translations."""
    done = []
    for name in PHOTOGRAPHS:
        photograph = load_photograph(name)
        began = time.perf_counter()
        translated = translator(photograph)
        seconds = time.perf_counter() - began
        stem = Path(name).stem
        write_picture(output / f"{stem}-painted.png", translated)
        sheet = side_by_side([photograph, translated], ["photograph", "translated"])
        write_picture(output / f"{stem}-side-by-side.png", sheet)
        done.append({"photograph": name, "held_out": name in HELD_OUT, "milliseconds": round(seconds * 1e3, 1)})
    return done


def translate_pan(translator: Translator, output: Path) -> dict[str, Any]:
    """A pan like a camera's over photographs, and its translation, frame by frame, as mp4 files."""
    source, target = output / "pan.mp4", output / "pan-painted.mp4"
    with VideoWriter(source, Fraction(FPS), VIDEO_SIZE) as writer:
        for frame in pan_frames():
            writer.write(frame)
    summary = translate_path(lambda inputs: translator(inputs["frame"]), {"frame": str(source)}, target, progress=Bar())
    return {
        "source": source.name,
        "translated": target.name,
        "frames": summary.frames,
        "fps": FPS,
        "milliseconds_per_frame": round(summary.seconds / max(summary.frames, 1) * 1e3, 1),
    }


def pan_frames() -> Iterator[Picture]:
    """A window that glides over each photograph in turn, slow at both ends as a hand would move a camera."""
    per_photograph = FPS * SECONDS // len(PANNED)
    remainder = FPS * SECONDS - per_photograph * len(PANNED)
    for number, name in enumerate(PANNED):
        photograph = load_photograph(name)
        count = per_photograph + (remainder if number == 0 else 0)
        for step in range(count):
            yield _window(photograph, (1 - math.cos(math.pi * step / (count - 1))) / 2)


def _window(photograph: Picture, progress: float) -> Picture:
    top = round((photograph.shape[0] - VIDEO_SIZE.height) * (1 - progress))
    left = round((photograph.shape[1] - VIDEO_SIZE.width) * progress)
    return photograph[top : top + VIDEO_SIZE.height, left : left + VIDEO_SIZE.width]


def tell(output: Path, report: dict[str, Any]) -> None:
    """Where everything is."""
    result(f"done in {report['seconds']} s; everything is in {output}/")
    for name in PHOTOGRAPHS:
        result(f"  picture  {output / Path(name).stem}-side-by-side.png")
    video, engine = report["video"], report["engine"]
    result(f"  video    {output / video['translated']}  ({video['frames']} frames)")
    result(f"  bundle   {output / report['bundle']}")
    built = f"{output / engine['path']}" if "path" in engine else engine["reason"]
    result(f"  engine   {built}")
    result(f"  report   {output / 'report.json'}")


if __name__ == "__main__":
    run_program(demo)
