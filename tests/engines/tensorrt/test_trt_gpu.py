"""Real inference, on a machine that has the GPU; elsewhere each test skips with what is missing and the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edge_i2i.contract import Size
from edge_i2i.engines.protocol import Engine, EngineOptions, Session
from edge_i2i.engines.registry import get_engine
from edge_i2i.engines.tensorrt.cuda import load_cuda
from samples.tensorrt.toys import MemorySource, toy_declaration, toy_graph

pytestmark = pytest.mark.gpu

SIZE = Size(128, 192)
COMMAND = "pytest -m gpu tests/engines/tensorrt"


@pytest.fixture(scope="module", params=["tensorrt", "rtx"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found = get_engine(request.param)
    availability = found.availability()
    if not availability.ok:
        pytest.skip(f"{availability.reason} {availability.remedy} Then run on a machine with the GPU: {COMMAND}")
    return found


@pytest.fixture(scope="module")
def source() -> MemorySource:
    return MemorySource(toy_graph(SIZE), toy_declaration(SIZE))


@pytest.fixture(scope="module")
def session(engine: Engine, source: MemorySource, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with engine.load(source, EngineOptions(engine_folder=tmp_path_factory.mktemp("engines"))) as opened:
        yield opened


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (6, SIZE.height, SIZE.width, 3), np.uint8)


def reference(source: MemorySource, picture: np.ndarray) -> np.ndarray:
    runtime = onnxruntime.InferenceSession(source.content, providers=["CPUExecutionProvider"])
    return np.asarray(runtime.run(["image"], {"frame": picture})[0])


def test_agrees_with_onnx_runtime(session: Session, source: MemorySource, pictures: np.ndarray) -> None:
    for picture in pictures[:2]:
        found, wanted = session.run({"frame": picture})["image"], reference(source, picture)
        difference = np.abs(found.astype(int) - wanted.astype(int))
        assert difference.max() <= 1 and (difference == 0).mean() >= 0.999


def test_replays_are_not_stale(session: Session, pictures: np.ndarray) -> None:
    first, second = (session.run({"frame": picture})["image"] for picture in pictures[:2])
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(session.run({"frame": pictures[0]})["image"], first)


def test_says_how_frames_are_run(session: Session, engine: Engine) -> None:
    assert session.info.engine == engine.name and "compute capability" in session.info.device
    assert session.info.cache_hit is False and session.info.effective_precision == "fp32"
    assert "CUDA graphs" in session.info.notes[0] and "not used" not in session.info.notes[0]


def test_reuses_the_callers_buffers_and_its_own(session: Session, pictures: np.ndarray) -> None:
    wanted = [session.run({"frame": picture})["image"] for picture in pictures]
    output = {"image": np.zeros_like(pictures[0])}
    free_before = free_memory()
    for _ in range(50):
        for picture, expected in zip(pictures, wanted, strict=True):
            session.run_into({"frame": picture}, output)
            np.testing.assert_array_equal(output["image"], expected)
    assert free_memory() >= free_before - (8 << 20)


def test_a_stored_engine_is_loaded_the_second_time(engine: Engine, source: MemorySource, tmp_path: Path) -> None:
    options = EngineOptions(engine_folder=tmp_path)
    with engine.load(source, options) as built:
        assert built.info.cache_hit is False
    with engine.load(source, replace(options, build=False)) as stored:
        assert stored.info.cache_hit is True


def test_closing_gives_the_memory_back(engine: Engine, source: MemorySource, tmp_path: Path) -> None:
    options = EngineOptions(engine_folder=tmp_path)
    engine.load(source, options).close()
    before = free_memory()
    for _ in range(3):
        engine.load(source, options).close()
    assert free_memory() >= before - (8 << 20)


def free_memory() -> int:
    """Free bytes on the GPU."""
    runtime = load_cuda()._cuda
    code, free, _ = runtime.cudaMemGetInfo()
    assert code == runtime.cudaError_t.cudaSuccess
    return int(free)
