from __future__ import annotations

from pathlib import Path

import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.engines.choice import choose
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.errors import UsageError


def test_engine_names_are_unique_and_match_their_engines() -> None:
    assert [get_engine(name).name for name in engine_names()] == list(engine_names())


def test_an_unknown_engine_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'onnxruntime'") as error:
        get_engine("onxruntime")
    assert error.value.exit_code == 2


def test_auto_takes_the_most_preferred_engine_that_is_ready(rgb_bundle: Path) -> None:
    bundle = open_bundle(rgb_bundle)
    choice = choose(bundle, "frame", "auto", "auto", EngineOptions())
    ready = [
        engine
        for engine in map(get_engine, engine_names())
        if engine.preference and engine.availability().ok and engine.ready(choice.graph, EngineOptions())
    ]
    assert choice.engine.name == max(ready, key=lambda engine: engine.preference).name


def test_the_reference_engine_is_never_picked_by_itself() -> None:
    assert get_engine("torch").preference == 0


@pytest.mark.parametrize("name", ["onnxruntime", "openvino", "torch"])
def test_the_automatic_variant_is_the_engines_first_precision(rgb_bundle: Path, name: str) -> None:
    choice = choose(open_bundle(rgb_bundle), "frame", name, "auto", EngineOptions())
    assert choice.graph.precision == get_engine(name).precisions[0] == "fp32"


def test_gpu_engines_prefer_fp16() -> None:
    assert get_engine("tensorrt").precisions[0] == get_engine("rtx").precisions[0] == "fp16"


def test_an_unknown_variant_lists_what_there_is(rgb_bundle: Path) -> None:
    with pytest.raises(UsageError, match="no variant 'int8'") as error:
        choose(open_bundle(rgb_bundle), "frame", "onnxruntime", "int8", EngineOptions())
    assert "fp32" in error.value.remedy and "fp16" in error.value.remedy
