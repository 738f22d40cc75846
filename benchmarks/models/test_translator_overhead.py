"""What the translator adds to the raw engine call at 512x512: both are timed in turn, on a graph that costs nothing.

A real network's call varies by more than the overhead, so the graph is an identity: what is left is ours.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_i2i
from benchmarks.inputs import identity_bundle
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.contract import Size
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine

SIZE = Size(512, 512)
ROUNDS = 400


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return identity_bundle(tmp_path_factory.mktemp("identity") / "identity.i2i", SIZE)


@pytest.mark.parametrize("form", ["call", "run_into"])
def test_translator_overhead(benchmark: Any, bundle: Path, form: str) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (SIZE.height, SIZE.width, 3), dtype=np.uint8)
    target = np.empty_like(frame)
    options = EngineOptions(threads=2)
    engine = get_engine("onnxruntime")
    raw_seconds: list[float] = []
    with (
        engine.load(open_bundle(bundle).graph("frame", "fp32"), options) as session,
        edge_i2i.load(bundle, engine="onnxruntime", threads=2) as translator,
    ):

        def raw_first() -> None:
            """Before each timed round, one raw call: the two are interleaved."""
            began = time.perf_counter()
            session.run_into({"frame": frame}, {"image": target})
            raw_seconds.append(time.perf_counter() - began)

        run = (lambda: translator(frame)) if form == "call" else (lambda: translator.run_into(frame, target))
        benchmark.pedantic(run, setup=raw_first, rounds=ROUNDS, warmup_rounds=20)
    raw = statistics.median(raw_seconds)
    benchmark.extra_info["raw_engine_call_p50_ms"] = raw * 1e3
    benchmark.extra_info["overhead_p50_ms"] = (benchmark.stats.stats.median - raw) * 1e3
