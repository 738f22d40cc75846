"""The real TensorRT-RTX parser and builder take every architecture, quantized for TensorRT, without a warning.

Ranges are made up: what is built does not depend on them. ``pytest -m every_architecture`` builds
those that are left out by default.
"""

from __future__ import annotations

import logging
from typing import Any

import onnx_ir as ir
import pytest

from edge_i2i.engines.tensorrt.adapter import load_adapter
from edge_i2i.engines.tensorrt.builder import build_plan
from edge_i2i.engines.tensorrt.flavour import TENSORRT_RTX
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.graphs.passes import DEFAULT_PASSES, get_passes, keep_declared_outputs
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range
from edge_i2i.graphs.qdq.targets.tensorrt import TensorRtTarget
from edge_i2i.graphs.trace import trace
from edge_i2i.models.registry import get_family
from samples.architectures import every_architecture
from samples.graphs.tiny import proto

TARGET = TensorRtTarget()


@pytest.mark.parametrize(("name", "config"), every_architecture())
def test_quantized_for_tensorrt_it_builds_without_a_warning(
    name: str, config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'edge-i2i[rtx]'")
    family = get_family(name)
    model = trace(family.random(config, 5).graphs(family.tiny_size)[0])
    for rewrite in get_passes(DEFAULT_PASSES):
        rewrite.apply(model)
    keep_declared_outputs(model)
    layers = find_layers(model)
    everything = tuple(layer.name for layer in layers)
    with caplog.at_level(logging.WARNING, logger="edge_i2i"):
        for names in (TARGET.placement(layers).quantized, everything):
            _quantize_and_build(model.clone(), names)
    said = [record.getMessage() for record in caplog.records]
    assert not [text for text in said if "point" in text.lower() or "INT8" in text], said


def _quantize_and_build(model: ir.Model, names: tuple[str, ...]) -> None:
    assert names
    insert_qdq(model, {layer: Range(-1.0, 2.0) for layer in names}, TARGET.scheme, names)
    TARGET.legalise(model)
    TARGET.check(model)
    adapter = load_adapter(TENSORRT_RTX, TENSORRT_RTX.install_elsewhere)
    assert build_plan(adapter, proto(model).SerializeToString(), BuildOptions().resolved(TENSORRT_RTX))
