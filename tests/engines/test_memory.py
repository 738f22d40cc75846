"""An engine that gets no memory says so: a graph that passed the gate may still be too large for a machine."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_i2i.engines.registry import get_engine

PROGRAM = """
import resource, sys
from pathlib import Path
import numpy as np
from onnx import TensorProto, helper, numpy_helper
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.errors import GraphFileError
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec

def graph(side):
    size = Size(side, side)
    spec = [picture_spec("frame", Role.FRAME, size, "given"), picture_spec("image", Role.IMAGE, size, "made")]
    shape = [side, side, 3]
    ends = [[helper.make_tensor_value_info(item.name, TensorProto.UINT8, shape)] for item in spec]
    weights = np.random.default_rng(1).normal(size=(64, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["frame"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["f"], ["t"], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", ["t", "axes"], ["x"]),
        helper.make_node("Conv", ["x", "w1"], ["wide"], pads=[1, 1, 1, 1]),
        helper.make_node("Tanh", ["wide"], ["tanh"]),
        helper.make_node("Conv", ["tanh", "w2"], ["narrow"], pads=[1, 1, 1, 1]),
        helper.make_node("Squeeze", ["narrow", "axes"], ["s"]),
        helper.make_node("Transpose", ["s"], ["u"], perm=[1, 2, 0]),
        helper.make_node("Clip", ["u", "low", "high"], ["c"]),
        helper.make_node("Cast", ["c"], ["image"], to=TensorProto.UINT8),
    ]
    constants = {
        "w1": weights, "w2": np.ascontiguousarray(weights.swapaxes(0, 1)), "axes": np.array([0]),
        "low": np.float32(0), "high": np.float32(255),
    }
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    made = helper.make_graph(nodes, "frame", *ends, tensors)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    return GraphInMemory(GraphDeclaration("frame", GraphKind.FRAME, (spec[0],), (spec[1],)), model.SerializeToString())

def run(side):
    given = graph(side)
    with get_engine(sys.argv[1]).load(given, EngineOptions(threads=1)) as session:
        session.run({"frame": np.zeros((side, side, 3), np.uint8)})

run(64)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
try:
    run(2048)
except GraphFileError as error:
    print(error.exit_code, error, error.remedy)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="bounds memory as Linux does")
@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_an_engine_without_memory_says_so(name: str) -> None:
    """Of 1 GB, 256 MB are there."""
    if not get_engine(name).availability().ok:
        pytest.skip(f"{name} cannot run here: edge-i2i doctor")
    done = subprocess.run([sys.executable, "-c", PROGRAM, name], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.startswith("4 ") and "memory" in done.stdout and "smaller --size" in done.stdout
