"""A seeded network loses about as much by INT8 as the trained one: what the share of input-aligned filters is for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from edge_i2i.arrays import Array
from edge_i2i.cards.seeded_weights import realistic
from edge_i2i.contract import Size
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.passes.outputs import keep_declared_outputs
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.scheme import Range, Scheme
from edge_i2i.graphs.trace import trace
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.media.photographs import load_photograph
from edge_i2i.metrics.parity import NETWORK_OUTPUT, psnr
from edge_i2i.models.checkpoints.loading import load_demo
from edge_i2i.models.family import TranslationModel
from edge_i2i.quantize.calibration.taps import TappedGraph

if TYPE_CHECKING:
    import onnx_ir as ir

SIZE = Size(96, 96)
CALIBRATED = ("rocket.jpg", "retina.jpg", "hubble_deep_field.jpg", "ihc.png", "china.jpg", "flower.jpg")
JUDGED = ("coffee.png", "chelsea.png", "astronaut.png")
SEEDS = (0, 1)
BAND_DB = 4.0
"""How far the mean of the seeds may lie from the trained network, which gives 44 dB here. These seeds give 42,
others up to 49; a share of 0.07 gives 34 to 35, an official initialisation 37."""


def photograph(name: str) -> Array:
    source, target = load_photograph(name), np.empty((SIZE.height, SIZE.width, 3), np.uint8)
    place_into(source, place(Size(*source.shape[:2]), SIZE, Fit.CROP), target)
    return target


def int8_psnr(model: TranslationModel[Any]) -> float:
    """Of the network's float output, in dB to FP32, with every layer in INT8 and no channels equalised."""
    graph = model.graphs(SIZE)[0]
    onnx = trace(graph)
    declared = model_from_bytes(model_to_bytes(onnx))
    keep_declared_outputs(declared)
    tapped = TappedGraph(GraphInMemory(graph.declaration, model_to_bytes(declared)), threads=1)
    seen = [tapped.run({"frame": photograph(name)}) for name in (*CALIBRATED, *JUDGED)]
    ranges = {
        layer: Range(
            float(min(found[tensor].min() for found in seen)), float(max(found[tensor].max() for found in seen))
        )
        for layer, tensor in tapped.inputs.items()
    }
    expected = outputs(onnx, JUDGED)
    insert_qdq(onnx, ranges, Scheme.ASYMMETRIC, ranges)
    return psnr(expected, outputs(onnx, JUDGED), data_range=2.0)


def outputs(onnx: ir.Model, names: Sequence[str]) -> Array:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model_to_bytes(onnx), options, providers=["CPUExecutionProvider"])
    return np.stack([session.run([NETWORK_OUTPUT], {"frame": photograph(name)})[0] for name in names])


def test_int8_costs_a_seeded_network_about_what_it_costs_the_trained_one() -> None:
    trained = load_demo("pix2pixhd")
    seeded = [int8_psnr(realistic(trained.family, trained.model.config, seed, SIZE)) for seed in SEEDS]
    assert abs(float(np.mean(seeded)) - int8_psnr(trained.model)) < BAND_DB, seeded
