"""One quantized transposed convolution; as a program, how far OpenVINO is from what is written.

    cd tests; python -m samples.graphs.transposed 3 2 1 0

A program of its own, because OpenVINO writes beyond its memory in some of them.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from edge_i2i.engines.openvino.engine import OVERFLOW_SAFE
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.scheme import Range, Scheme, WeightMemo
from samples.graphs.tiny import parse, proto, random, run

CHANNELS, SIDE, LIMIT = 16, 16, 2.0


class Geometry(NamedTuple):
    """Of a square kernel."""

    kernel: int
    stride: int
    padding: int
    output_padding: int

    @property
    def result(self) -> int:
        """The side of what it makes."""
        return (SIDE - 1) * self.stride - 2 * self.padding + self.kernel + self.output_padding


def transposed(geometry: Geometry) -> ir.Model:
    """In float."""
    kernel, stride, padding, added = geometry
    options = f"strides=[{stride},{stride}], pads=[{padding},{padding},{padding},{padding}]"
    body = f"t = ConvTranspose <{options}, output_padding=[{added},{added}]> (x, w) y = LeakyRelu (t)"
    ends = f"(float[1,{CHANNELS},{SIDE},{SIDE}] x) => (float[1,{CHANNELS},{geometry.result},{geometry.result}] y)"
    return parse(f"g {ends} {{ {body} }}", w=random(CHANNELS, CHANNELS, kernel, kernel))


def in_int8(geometry: Geometry, *, low: float = -LIMIT) -> ir.Model:
    """With its input between ``low`` and ``LIMIT``: INT8 where that may be negative, else UINT8."""
    model = transposed(geometry)
    insert_qdq(model, {"w": Range(low, LIMIT)}, Scheme.ZERO_BASED, ["w"], memo=WeightMemo(OVERFLOW_SAFE))
    return model


def off_by(model: ir.Model, *, times: int = 8) -> float:
    """How far OpenVINO is from what is written at most, over some runs on two threads."""
    import openvino

    core, sample = openvino.Core(), {"x": np.clip(random(1, CHANNELS, SIDE, SIDE, seed=2), -LIMIT, LIMIT)}
    written = run(model, sample, optimise=False)["y"]
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 2}
    compiled = core.compile_model(core.read_model(proto(model).SerializeToString()), "CPU", settings)
    return max(float(np.abs(compiled(sample)["y"] - written).max()) for _ in range(times))


if __name__ == "__main__":
    print(off_by(in_int8(Geometry(*map(int, sys.argv[1:])))))
