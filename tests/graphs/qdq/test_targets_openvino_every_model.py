"""OpenVINO computes every architecture, quantized for it, as it is written: what it reads differently is misread.

Networks are tiny and random; their ranges are measured. ``pytest -m every_architecture`` runs those
that are left out by default.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edge_i2i.arrays import Array
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions, GraphSource
from edge_i2i.engines.registry import get_engine
from edge_i2i.graphs.model_bytes import model_to_bytes
from edge_i2i.graphs.passes import DEFAULT_PASSES, get_passes, keep_declared_outputs
from edge_i2i.graphs.qdq.targets import get_target
from edge_i2i.graphs.samples import sample_network
from edge_i2i.graphs.trace import trace
from edge_i2i.metrics.picture import psnr
from edge_i2i.models.registry import get_family
from edge_i2i.quantize.calibration.statistics import collect_statistics
from edge_i2i.quantize.judging.emulation import EmulatingEngine
from edge_i2i.quantize.quantizer import Quantizer
from samples.architectures import every_architecture

TARGET = get_target("openvino")
OPTIONS = EngineOptions(threads=2)
SAME_DB = 36.0
"""Rounding ties that fall the other way make random networks differ by 40 to 62 dB; a misread tensor makes it 18."""


def _image(engine: Any, graph: GraphSource, sample: dict[str, Array]) -> Array:
    with engine.load(graph, OPTIONS) as session:
        return np.array(session.run(sample)["image"])


@pytest.mark.parametrize(("name", "config"), every_architecture())
def test_it_computes_the_quantized_network_as_it_is_written(name: str, config: Any) -> None:
    pytest.importorskip("openvino", reason="needs OpenVINO: pip install 'edge-i2i[openvino]'")
    family = get_family(name)
    graphs = family.random(config, 5).graphs(family.tiny_size)
    model = trace(graphs[0])
    for rewrite in get_passes(DEFAULT_PASSES):
        rewrite.apply(model)
    keep_declared_outputs(model)
    graph = GraphInMemory(graphs[0].declaration, model_to_bytes(model))
    sample = sample_network(graphs, 3)[graphs[0].declaration.name]
    quantizer = Quantizer(graph, collect_statistics(graph, [sample], "", threads=2), TARGET)
    quantized = quantizer.quantize(quantizer.placement.quantized, "int8").source
    computed, written = (
        _image(engine, quantized, sample) for engine in (get_engine("openvino"), EmulatingEngine(TARGET))
    )
    assert psnr(computed, written) > SAME_DB
