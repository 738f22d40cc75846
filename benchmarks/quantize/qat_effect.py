"""What fine-tuning adds to calibration: the demo network in symmetric INT8, with and without equalised channels.

Trained on crops of the demo's own photographs, judged on the photographs that it was never trained on.

Example: python -m benchmarks.quantize.qat_effect --steps 300
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from benchmarks.figures import FOLDER, ROOT, circumstances, write_json
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.contract import Size
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.learn.data import PairMaker
from edge_i2i.learn.recipe import Recipe, read_recipe
from edge_i2i.machine import installed_versions
from edge_i2i.media.photographs import load_photograph
from edge_i2i.media.pictures import write_picture
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.quantize.calibration.calibration_set import CalibrationOptions, CalibrationSet, load_calibration
from edge_i2i.quantize.qat.plan import QatOptions, Run
from edge_i2i.quantize.qat.run import QatJob, QatSummary, fine_tune_bundle

FIGURES = FOLDER / "qat.json"
RECIPE = ROOT / "training" / "recipes" / "demo.yaml"
TARGET = "tensorrt"
SIZE = Size(128, 128)
CROPS, THREADS = 160, 1


def main() -> None:
    """Fine-tune twice, from plain and from equalised channels, and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=300)
    steps = parser.parse_args().steps
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "demo.i2i"
        export_bundle(load_demo("pix2pixhd"), SIZE, source, ExportOptions(precisions=("fp32",), threads=THREADS))
        calibration = pictures(source, folder, read_recipe(RECIPE))
        for equalise in (False, True):
            run = Run(folder / f"run-{equalise}")
            job = QatJob(get_target(TARGET), equalise=equalise)
            options = QatOptions(steps=steps, threads=THREADS)
            rows.append(row(fine_tune_bundle(source, folder / "out.i2i", calibration, job, options, run), equalise))
    figures = {
        "network": "pix2pixhd demo",
        "size": str(SIZE),
        "target": TARGET,
        "scheme": get_target(TARGET).scheme.value,
        "trained_on": f"{CROPS} crops of the demo's photographs",
        "judged_on": "held-out photographs and their mirror images, against fp32, the target emulated in ONNX Runtime",
        "steps": steps,
        "threads": THREADS,
        "rows": rows,
        "command": f"python -m benchmarks.quantize.qat_effect --steps {steps}",
        **circumstances(),
    }
    figures["versions"] |= installed_versions(("torch", "nncf"))
    write_json(FIGURES, figures)


def pictures(source: Path, folder: Path, recipe: Recipe) -> CalibrationSet:
    """Crops to train and calibrate on; whole held-out photographs to judge by."""
    maker, bundle = PairMaker(recipe), open_bundle(source)
    crops, held_out = folder / "crops", folder / "held-out"
    for place in (crops, held_out):
        place.mkdir()
    for index in range(CROPS):
        write_picture(crops / f"{index:04d}.png", maker.pair(index)[0])
    for name in recipe.data.held_out:
        write_picture(held_out / f"{Path(name).stem}.png", load_photograph(name))
    options = CalibrationOptions(count=CROPS, threads=THREADS)
    judged = load_calibration(bundle, held_out, options)
    samples = [*judged.samples, *judged.held_out]
    return replace(load_calibration(bundle, crops, options), held_out=samples)


def row(summary: QatSummary, equalise: bool) -> dict[str, object]:
    """One fine-tuning as plain figures."""
    if summary.before is None or summary.after is None:
        raise RuntimeError("the fine-tuning was stopped")
    return {
        "equalised": equalise,
        "best_step": summary.best_step,
        "seconds": summary.seconds,
        "before": {name: round(value, 4) for name, value in summary.before.figures().items()},
        "after": {name: round(value, 4) for name, value in summary.after.figures().items()},
    }


if __name__ == "__main__":
    main()
