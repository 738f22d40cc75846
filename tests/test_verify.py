from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_i2i.bundle.golden import golden_output
from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.verify import verify_bundle

OPTIONS = EngineOptions(threads=2)


def rewritten(bundle: Path, target: Path, golden: dict[str, np.ndarray]) -> Path:
    """The same bundle with other golden data (None: without any)."""
    source = open_bundle(bundle)
    manifest = source.manifest
    with BundleWriter(target) as writer:
        declaration = source.frame_graph
        for variant in source.variants("frame"):
            graph = source.graph("frame", variant)
            writer.add_graph(declaration, variant=variant, precision=graph.precision, opset=18, onnx=graph.read())
        if golden:
            writer.add_golden(golden)
        model = ModelRecord.model_validate(manifest.model.model_dump())
        writer.finish(name="again", model=model, size=manifest.size, recipe={})
    return target


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino", "torch"])
def test_every_variant_of_a_sound_bundle_is_within_tolerance(rgb_bundle: Path, engine: str) -> None:
    verdicts = verify_bundle(open_bundle(rgb_bundle), engine, (), OPTIONS)
    assert [verdict.variant for verdict in verdicts] == ["fp32", "fp16"]
    assert all(verdict.ok for verdict in verdicts), verdicts
    assert {verdict.engine for verdict in verdicts} == {engine}


def test_condition_graphs_are_verified_too(label_bundle: Path) -> None:
    verdicts = verify_bundle(open_bundle(label_bundle), "onnxruntime", (), OPTIONS)
    assert [(verdict.graph, verdict.ok) for verdict in verdicts] == [("frame", True), ("encode", True)]


def test_another_picture_is_a_problem_that_is_named(rgb_bundle: Path, tmp_path: Path) -> None:
    golden = open_bundle(rgb_bundle).golden()
    name = golden_output("frame", 1, "image")
    golden[name] = np.roll(golden[name], 1, axis=0)
    bundle = open_bundle(rewritten(rgb_bundle, tmp_path / "other.i2i", golden))
    (verdict,) = verify_bundle(bundle, "onnxruntime", ("fp32",), OPTIONS)
    assert not verdict.ok
    assert "fp32 on onnxruntime" in verdict.problem and "grey-level" in verdict.problem
