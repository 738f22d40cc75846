from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_i2i.bench.verify import verify_bundle
from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.golden import golden_output
from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.errors import GraphError, UsageError

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


# Quantized variants ---------------------------------------------------------------------------------------------


def with_quality(bundle: Path, target: Path, psnr_db: float, layers: int = 1) -> Path:
    """The bundle with a quantized variant of which this quality is stated."""
    from samples.qdq import quality, quantized

    source = open_bundle(bundle)
    onnx = quantized(source, target.parent, layers)
    with extend_bundle(shutil.copy(bundle, target)) as writer:
        writer.add_graph(source.frame_graph, variant="int8", precision="int8", opset=18, onnx=onnx)
        writer.add_evidence(quality("int8", "openvino", psnr_db))
        writer.finish_extended()
    return target


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_quantized_variants_are_held_to_their_stated_quality(quantized_bundle: Path, engine: str) -> None:
    skipped: list[tuple[str, str, str]] = []
    verdicts = verify_bundle(open_bundle(quantized_bundle), engine, (), OPTIONS, lambda *told: skipped.append(told))
    assert [verdict.variant for verdict in verdicts] == ["fp32", "fp16", f"int8-{engine}"]
    assert all(verdict.ok for verdict in verdicts), verdicts
    assert verdicts[-1].effective_precision.startswith("int8+")
    assert {variant for _, variant, _ in skipped} == {"int8-openvino", "int8-onnxruntime", "int8-tensorrt"} - {
        f"int8-{engine}"
    }
    assert all("was quantized for" in reason for _, _, reason in skipped)


def test_each_variant_runs_on_an_engine_that_reads_it(quantized_bundle: Path) -> None:
    verdicts = verify_bundle(open_bundle(quantized_bundle), "auto", (), OPTIONS)
    ran = {verdict.variant: verdict.engine for verdict in verdicts}
    assert (ran["int8-openvino"], ran["int8-onnxruntime"]) == ("openvino", "onnxruntime")


def test_a_variant_that_is_asked_for_is_not_skipped(quantized_bundle: Path) -> None:
    with pytest.raises(GraphError, match="was quantized for tensorrt"):
        verify_bundle(open_bundle(quantized_bundle), "openvino", ["int8-tensorrt"], OPTIONS)


@pytest.mark.parametrize(
    ("stated", "layers", "complaint"), [(55.0, 1, "is less than 54"), (12.0, 9, ""), (12.0, 1, "")]
)
def test_less_than_what_is_stated_of_the_golden_inputs_is_a_problem(
    rgb_bundle: Path, tmp_path: Path, stated: float, layers: int, complaint: str
) -> None:
    bundle = open_bundle(with_quality(rgb_bundle, tmp_path / "x.i2i", stated, layers))
    (verdict,) = verify_bundle(bundle, "openvino", ["int8"], OPTIONS)
    assert verdict.ok == (not complaint) and complaint in verdict.problem


def test_where_nothing_is_stated_of_the_golden_inputs_they_have_to_reach_40_db(
    rgb_bundle: Path, tmp_path: Path
) -> None:
    from samples.qdq import quantized

    source = open_bundle(rgb_bundle)
    onnx = quantized(source, tmp_path, 9)
    with extend_bundle(shutil.copy(rgb_bundle, tmp_path / "x.i2i")) as writer:
        writer.add_graph(source.frame_graph, variant="int8", precision="int8", opset=18, onnx=onnx)
        writer.finish_extended()
    (verdict,) = verify_bundle(open_bundle(tmp_path / "x.i2i"), "openvino", ["int8"], OPTIONS)
    assert not verdict.ok and "is less than 40" in verdict.problem


def test_a_forced_precision_is_verified(rgb_bundle: Path) -> None:
    options = EngineOptions(threads=1, precision="fp32")
    verdicts = verify_bundle(open_bundle(rgb_bundle), "openvino", (), options)
    assert all(verdict.ok and verdict.effective_precision == "fp32" for verdict in verdicts)


@pytest.mark.parametrize("names", [{"variants": ["nonsense"]}, {"variants": ["fp32", "fp23"]}, {"engine": "openvinno"}])
def test_a_name_that_is_none_is_wrong_usage_and_no_success(rgb_bundle: Path, names: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        verify_bundle(open_bundle(rgb_bundle), **{"engine": "onnxruntime", "variants": (), "options": OPTIONS, **names})
    assert caught.value.exit_code == 2
    assert "Known" in caught.value.remedy
