"""How the float error, and the share of values that rounding turns over, grow with a picture's size.

    python -m benchmarks.models.parity_by_size

The demo network in torch and, traced, on ONNX Runtime. The table of docs/precision.md is from its figures.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import torch

from benchmarks.figures import FOLDER, write_figures
from edge_i2i.contract import Size
from edge_i2i.graphs.running import run_onnxruntime, run_torch_network
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.graphs.trace import DEFAULT_OPSET, trace
from edge_i2i.metrics.parity import NETWORK_OUTPUT, compare, expected_equal_share
from edge_i2i.models.checkpoints.loading import load_demo

SIZES = (Size(256, 256), Size(512, 1024), Size(1080, 1920))


def measure(size: Size, threads: int) -> dict[str, Any]:
    """One size: the figures of parity, the mean float error, and what share of values it turns over."""
    graph = load_demo("pix2pixhd").model.build_graphs(size, frozenset())[0]
    samples = [sample_inputs(graph.declaration, 2018)]
    (reference,) = run_torch_network(graph, samples)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frame.onnx"
        ir.save(trace(graph, DEFAULT_OPSET), path)
        (result,) = run_onnxruntime(path, samples, threads)
    mean = float(np.abs(reference[NETWORK_OUTPUT].astype(np.float64) - result[NETWORK_OUTPUT]).mean())
    figures = compare("trace", "ONNX Runtime, CPU", [reference], [result]).figures()
    return {"size": str(size), **figures, "mean_float_error": mean, "share_of_the_mean": expected_equal_share(mean)}


def main() -> None:
    """Measure every size and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=FOLDER / "parity-by-size.json")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = []
    for size in SIZES:
        rows.append(measure(size, options.threads))
        sys.stdout.write(f"{rows[-1]}\n")
        sys.stdout.flush()
        write_figures(options.output, rows, "python -m benchmarks.models.parity_by_size", options.threads)


if __name__ == "__main__":
    main()
