"""What OpenVINO computes in on this processor: found out here, and asked of nobody else.

Everybody calls ``capabilities.found()`` through this module, so that a test can answer for another processor by
replacing that one function. ``ONEDNN_MAX_CPU_ISA`` (``AVX2``, ``AVX512_CORE``, …) makes OpenVINO itself do with
fewer instructions than there are.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from edge_i2i.machine import describe_machine
from edge_i2i.requirements import require

_FLOATS = ("fp32", "bf16", "fp16")
_LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
_SIDE, _CHANNELS, _LARGEST_STEP, _LARGEST_WEIGHT = 4, 16, 255, 127


@dataclass(frozen=True)
class Capabilities:
    """What a processor, as OpenVINO sees it, has instructions for.

    ``floats``: float arithmetic, ``fp32`` always. ``amx``: matrix instructions. ``exact_integers``: INT8 products are
    added up in 32 bits (VNNI, AMX, ARM). Without them, two products are first added in 16 bits: where weights are
    large, that is cut off, and a convolution comes out as another.
    """

    floats: tuple[str, ...] = ("fp32",)
    amx: bool = False
    exact_integers: bool = True


@cache
def found() -> Capabilities:
    """What this processor has instructions for; found out once a process, with one tiny convolution."""
    ov = require("openvino", extra="cpu", purpose="The engine 'openvino'")
    core = ov.Core()
    told = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    floats = tuple(name for name in _FLOATS if name == "fp32" or name.upper() in told)
    return Capabilities(floats, _has_amx(), _adds_up_exactly(ov, core))


def limited_to() -> str:
    """The instructions that oneDNN is told to do with, by its environment variable; empty: all that there are."""
    return next((os.environ[name] for name in _LIMITS if os.environ.get(name)), "")


def _has_amx() -> bool:
    limit = limited_to().upper()
    allowed = limit in ("", "ALL", "DEFAULT") or "AMX" in limit
    return allowed and any(name.startswith("amx") for name in describe_machine()["instructions"])


def _adds_up_exactly(ov: Any, core: Any) -> bool:
    """Whether the largest steps times the largest weights come out as they should."""
    expected = float(_CHANNELS * _LARGEST_STEP * _LARGEST_WEIGHT)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(_largest_products(ov), "CPU", settings)
    sample = np.full((1, _CHANNELS, _SIDE, _SIDE), _LARGEST_STEP, np.float32)
    return bool(np.allclose(compiled(sample)[0], expected, rtol=1e-4))


def _largest_products(ov: Any) -> Any:
    """A 1x1 convolution of UINT8 by INT8, all of the same sign: every sum is as large as it can be."""
    ops = require("openvino.opset13", extra="cpu", purpose="The engine 'openvino'")
    given = ops.parameter([1, _CHANNELS, _SIDE, _SIDE], np.float32)
    low, high = np.float32(0), np.float32(_LARGEST_STEP)
    steps = ops.fake_quantize(given, low, high, low, high, _LARGEST_STEP + 1)
    integers = ops.constant(np.full((_CHANNELS, _CHANNELS, 1, 1), _LARGEST_WEIGHT, np.int8))
    weights = ops.multiply(ops.convert(integers, "f32"), np.float32(1))
    summed = ops.convolution(steps, weights, [1, 1], [0, 0], [0, 0], [1, 1])
    return ov.Model([summed], [given], "largest products")
