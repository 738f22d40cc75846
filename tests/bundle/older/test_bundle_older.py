"""Bundles of every schema that was ever written open, pass the gate, verify and run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_i2i.bench.verify import verify_bundle
from edge_i2i.bundle.manifest import SCHEMA_VERSION
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.translate.translator import load

FIXTURES = Path(__file__).parent / "fixtures"


def test_there_is_one_of_each_schema() -> None:
    assert len(list(FIXTURES.glob("schema-*.i2i"))) == SCHEMA_VERSION


@pytest.mark.parametrize("version", range(1, SCHEMA_VERSION + 1))
def test_it_opens_verifies_and_runs(version: int) -> None:
    bundle = open_bundle(FIXTURES / f"schema-{version}.i2i")
    assert bundle.manifest.schema_version == version
    bundle.verify_checksums()
    bundle.verify_graphs()
    verdicts = verify_bundle(bundle, "onnxruntime", (), EngineOptions(threads=1))
    assert [(verdict.variant, verdict.problem) for verdict in verdicts] == [("fp32", ""), ("fp16", "")]
    with load(bundle.path, engine="onnxruntime", threads=1) as translator:
        assert translator(np.zeros((40, 60, 3), np.uint8)).shape == (40, 60, 3)


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_one_with_a_fine_tuned_variant_of_the_older_shape_does_too(engine: str) -> None:
    bundle = open_bundle(FIXTURES / "qat-older.i2i")
    variant, recipe = "int8-openvino-qat", bundle.manifest.recipe
    assert variant in recipe and "quantize" not in recipe
    (record,) = (record for record in bundle.manifest.evidence if record.variant == variant)
    assert record.engine == "onnxruntime" and "golden_psnr_db" not in record.figures
    bundle.verify_checksums()
    bundle.verify_graphs()
    verdicts = verify_bundle(bundle, engine, (), EngineOptions(threads=1))
    expected = ["fp32", variant] if engine == "openvino" else ["fp32"]
    assert [(verdict.variant, verdict.problem) for verdict in verdicts] == [(name, "") for name in expected]
    for name in expected:
        with load(bundle.path, engine=engine, variant=name, threads=1) as translator:
            assert translator(np.zeros((40, 60, 3), np.uint8)).shape == (40, 60, 3)
