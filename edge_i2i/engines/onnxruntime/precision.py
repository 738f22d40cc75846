"""What ONNX Runtime really computes a quantized graph in: its optimizer fuses Q/DQ pairs into integer kernels, or not.

Nothing says so but the kernels that run. One frame is run with the profiler on; that needs no ``onnx`` package, writes
a few hundred kilobytes whatever the size of the weights, and doubles as the warm-up that the first frame needs anyway.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.contract import GraphDeclaration
from edge_i2i.engines.effective import INTEGER, Arithmetic

if TYPE_CHECKING:
    import onnxruntime


@contextmanager
def profiled(settings: onnxruntime.SessionOptions) -> Iterator[None]:
    """Make the session that is built in the block profile itself, until ``read_arithmetic`` has read what it ran."""
    with TemporaryDirectory(prefix="edge-i2i-", ignore_cleanup_errors=True) as folder:
        settings.enable_profiling = True
        settings.profile_file_prefix = str(Path(folder) / "kernels")
        yield


def read_arithmetic(session: onnxruntime.InferenceSession, declaration: GraphDeclaration) -> Arithmetic:
    """Run one frame of zeros, count its convolutions by their kernels, and switch the profiler off for good."""
    session.run(None, {spec.name: np.zeros(spec.shape, spec.dtype.value) for spec in declaration.inputs})
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    kernels = [event["args"]["op_name"] for event in events if event.get("name", "").endswith("_kernel_time")]
    return Arithmetic(dict(Counter(_arithmetic_of(kernel) for kernel in kernels if "Conv" in kernel)), rest="fp32")


def _arithmetic_of(kernel: str) -> str:
    """``QLinearConv`` and ``ConvInteger`` multiply integers; ``Conv``, ``FusedConv``, ``NhwcFusedConv`` … floats."""
    return INTEGER if kernel.startswith("QLinear") or "Integer" in kernel else "fp32"
