"""Quantization-aware fine-tuning on tiny networks, through to the Q/DQ graph that ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
import torch

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphKind
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.errors import BadInputError, GraphError, UsageError
from edge_i2i.graphs.model_bytes import model_to_bytes
from edge_i2i.graphs.passes import DEFAULT_PASSES, get_passes, keep_declared_outputs
from edge_i2i.graphs.passes.rewriting import constant
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.scheme import Range, Scheme
from edge_i2i.graphs.running import run_onnxruntime
from edge_i2i.graphs.samples import sample_network
from edge_i2i.graphs.trace import trace
from edge_i2i.metrics.parity import psnr
from edge_i2i.models.family import ModelGraph
from edge_i2i.models.registry import get_family
from edge_i2i.quantize.calibration.statistics import collect_statistics
from edge_i2i.quantize.qat.network import GraphNetwork, put_weights, with_float_picture
from edge_i2i.quantize.qat.plan import QatOptions, QatResult, Run, Stream
from edge_i2i.quantize.qat.quantizers import FakeQuantizers
from edge_i2i.quantize.qat.tuning import fine_tune

pytest.importorskip("nncf")

Graphs = tuple[tuple[ModelGraph, ...], ir.Model]
QUICK = QatOptions(steps=8, checking_frames=2, keep_best_every=4, log_every=1, threads=1)


def tiny(name: str) -> Graphs:
    """A tiny network of a family with random weights, and its exported frame graph."""
    family = get_family(name)
    config = family.tiny(family.full_config())
    graphs = family.random(config, seed=3).graphs(family.tiny_size)
    model = trace(next(graph for graph in graphs if graph.declaration.kind is GraphKind.FRAME))
    for item in get_passes(DEFAULT_PASSES):
        item.apply(model)
    keep_declared_outputs(model)
    return graphs, model


@pytest.fixture(scope="module")
def pix2pixhd() -> Graphs:
    return tiny("pix2pixhd")


@pytest.fixture(scope="module")
def munit() -> Graphs:
    return tiny("munit")


def draw_from(graphs: tuple[ModelGraph, ...]) -> Callable[[Stream, int], Mapping[str, Array]]:
    frame = next(graph.declaration.name for graph in graphs if graph.declaration.kind is GraphKind.FRAME)
    made: dict[int, Mapping[str, Array]] = {}

    def draw(stream: Stream, index: int) -> Mapping[str, Array]:
        seed = 1000 * stream + index % 6
        return made.setdefault(seed, sample_network(graphs, seed)[frame])

    return draw


def inner_layers(model: ir.Model) -> list[str]:
    return [layer.name for layer in find_layers(model) if not layer.last]


def tune(network: Graphs, folder: Path, options: QatOptions = QUICK, **given: Any) -> QatResult:
    graphs, model = network
    scheme = given.pop("scheme", Scheme.SYMMETRIC)
    ranges = given.pop("ranges", None) or observed(network)
    return fine_tune(model, ranges, scheme, draw_from(graphs), options, Run(folder, **given))


def observed(network: Graphs) -> dict[str, Range]:
    """What the inner layers reach on three inputs."""
    graphs, model = network
    frame = next(graph.declaration for graph in graphs if graph.declaration.kind is GraphKind.FRAME)
    samples = [draw_from(graphs)(Stream.TRAINING, index) for index in range(3)]
    reached = collect_statistics(GraphInMemory(frame, model_to_bytes(model)), samples, "", threads=1).inputs
    return {name: reached[name].whole for name in inner_layers(model)}


def quantized(model: ir.Model, result: QatResult, scheme: Scheme) -> ir.Model:
    """The Q/DQ graph that a fine-tuning leads to, ending in the float picture."""
    copy = with_float_picture(model)
    put_weights(copy, result.weights)
    insert_qdq(copy, result.ranges, scheme, list(result.ranges), result.weight_scales)
    return copy


def run_onnx(model: ir.Model, path: Path, inputs: Mapping[str, Array]) -> Array:
    ir.save(model, path)
    return next(iter(next(run_onnxruntime(path, [dict(inputs)], threads=1)).values()))


# What is trained is what runs -------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["pix2pixhd", "munit"])
def test_every_layer_has_its_step_and_the_module_computes_the_graph(
    family: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    graphs, model = request.getfixturevalue(family)
    graph = with_float_picture(model)
    network = GraphNetwork(graph)
    inputs = draw_from(graphs)(Stream.TRAINING, 0)
    assert psnr(run_torch(network, inputs), run_onnx(graph, tmp_path / "float.onnx", inputs)) > 90
    assert set(network.weights()) >= {str(layer.weight.name) for layer in find_layers(model)}


@pytest.mark.parametrize("scheme", list(Scheme))
@pytest.mark.parametrize("family", ["pix2pixhd", "munit"])
def test_onnxruntime_runs_what_was_trained(
    family: str, scheme: Scheme, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Equal but for float rounding, unless that tips a value over to the next step, which then tips others.

    Such an avalanche is the network's own: noise of 3e-7 on its float convolutions sets it off just so.
    """
    network: Graphs = request.getfixturevalue(family)
    graphs, model = network
    result = tune(network, tmp_path / "run", scheme=scheme)
    fake, written = fake_quantized(model, result, scheme), quantized(model, result, scheme)
    agreement = []
    for index in range(4):
        inputs = draw_from(graphs)(Stream.CHECKING, index)
        ours, theirs = run_torch(fake, inputs), run_onnx(written, tmp_path / "int8.onnx", inputs)
        reference = run_onnx(with_float_picture(model), tmp_path / "fp32.onnx", inputs)
        assert abs(psnr(ours, reference) - psnr(theirs, reference)) < 0.5
        agreement.append(psnr(ours, theirs))
    assert max(agreement) > 100
    assert np.median(agreement) >= 55


def fake_quantized(model: ir.Model, result: QatResult, scheme: Scheme) -> GraphNetwork:
    """The network as it was trained, in torch."""
    trained = with_float_picture(model)
    put_weights(trained, result.weights)
    network = GraphNetwork(trained)
    FakeQuantizers(network, trained, result.ranges, scheme, result.weight_scales)
    return network


def run_torch(network: GraphNetwork, inputs: Mapping[str, Array]) -> Array:
    with torch.no_grad():
        result: Array = network(*(torch.tensor(inputs[name]) for name in network.input_names)).numpy()
    return result


def test_the_int8_weights_are_those_of_the_fake_quantizers(pix2pixhd: Graphs, tmp_path: Path) -> None:
    """Step by step, so that nothing hides in the noise of a whole network."""
    _, model = pix2pixhd
    result = tune(pix2pixhd, tmp_path / "run")
    network = fake_quantized(model, result, Scheme.SYMMETRIC)
    written = quantized(model, result, Scheme.SYMMETRIC)
    checked = 0
    for layer in find_layers(model):
        quantizer = network.layer(layer.name).weight_quantizer
        if quantizer is None:
            continue
        with torch.no_grad():
            expected = quantizer(torch.tensor(result.weights[str(layer.weight.name)])).numpy()
        steps = constant(written.graph.initializers[f"{layer.weight.name}_quantized"])
        shape = [1] * 4
        shape[layer.output_axis] = -1
        scales = result.weight_scales[layer.name].reshape(shape)
        assert np.mean(np.abs(steps * scales - expected) > scales / 2) < 1e-3  # ties, which round either way
        checked += 1
    assert checked == len(result.ranges)


# Learning ---------------------------------------------------------------------------------------------------------


def test_ranges_that_are_far_too_narrow_recover(pix2pixhd: Graphs, tmp_path: Path) -> None:
    """A stand-in for a network whose calibration went wrong: PTQ is bad, and training must repair most of it."""
    graphs, model = pix2pixhd
    narrow = {name: Range(0.3 * ends.low, 0.3 * ends.high) for name, ends in observed(pix2pixhd).items()}
    options = replace(QUICK, steps=40, learning_rate=5e-4, range_learning_rate=8e-2, keep_best_every=20)
    result = tune(pix2pixhd, tmp_path / "run", options, ranges=narrow)
    losses = [record["loss"] for record in result.history if "loss" in record]
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert result.psnr_after > result.psnr_before + 4
    before = with_float_picture(model)
    insert_qdq(before, narrow, Scheme.SYMMETRIC, list(narrow))
    inputs = draw_from(graphs)(Stream.CHECKING, 0)
    reference = run_onnx(with_float_picture(model), tmp_path / "fp32.onnx", inputs)
    ptq = psnr(run_onnx(before, tmp_path / "ptq.onnx", inputs), reference)
    qat = psnr(run_onnx(quantized(model, result, Scheme.SYMMETRIC), tmp_path / "qat.onnx", inputs), reference)
    assert qat > ptq + 4


def test_a_training_that_does_harm_gives_the_calibrated_graph_back(pix2pixhd: Graphs, tmp_path: Path) -> None:
    result = tune(pix2pixhd, tmp_path, replace(QUICK, learning_rate=0.3))
    assert (result.best_step, result.psnr_after) == (0, result.psnr_before)
    _, model = pix2pixhd
    original = GraphNetwork(with_float_picture(model)).weights()
    assert all(np.array_equal(result.weights[name], array) for name, array in original.items())


def test_ranges_are_frozen_in_the_second_half(pix2pixhd: Graphs, tmp_path: Path) -> None:
    options = replace(QUICK, range_learning_rate=1e-2)
    half = tune(pix2pixhd, tmp_path / "half", options, should_stop=stop_after(4))
    whole = tune(pix2pixhd, tmp_path / "half", options, resume=True)
    assert half.step == 4 and whole.step == 8
    frozen = torch.load(tmp_path / "half" / "checkpoint.pt", weights_only=True)
    ranges = [group["params"] for group in frozen["optimiser"]["param_groups"]][1]
    assert {int(frozen["optimiser"]["state"][index]["step"]) for index in ranges} == {4}


# Stopping and going on --------------------------------------------------------------------------------------------


def stop_after(steps: int) -> Callable[[], bool]:
    asked = iter(range(1, 1_000_000))
    return lambda: next(asked) >= steps


def test_a_run_that_was_stopped_ends_as_one_that_was_not(munit: Graphs, tmp_path: Path) -> None:
    whole = tune(munit, tmp_path / "whole")
    part = tune(munit, tmp_path / "parts", should_stop=stop_after(3))
    assert not part.finished and part.step == 3
    parts = tune(munit, tmp_path / "parts", resume=True)
    assert parts.finished and parts.history == whole.history
    assert all(np.array_equal(parts.weights[name], whole.weights[name]) for name in whole.weights)
    assert parts.ranges == whole.ranges and parts.psnr_after == whole.psnr_after
    assert (tmp_path / "parts" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()


def test_a_folder_with_a_run_is_not_overwritten_and_an_empty_one_not_resumed(pix2pixhd: Graphs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing to resume"):
        tune(pix2pixhd, tmp_path / "run", resume=True)
    tune(pix2pixhd, tmp_path / "run", replace(QUICK, steps=1))
    with pytest.raises(UsageError, match="already holds"):
        tune(pix2pixhd, tmp_path / "run", replace(QUICK, steps=1))


def test_another_run_is_not_resumed(pix2pixhd: Graphs, tmp_path: Path) -> None:
    tune(pix2pixhd, tmp_path, should_stop=stop_after(1))
    with pytest.raises(UsageError, match="another fine-tuning"):
        tune(pix2pixhd, tmp_path, replace(QUICK, learning_rate=1e-3), resume=True)


def test_a_damaged_checkpoint_is_named(pix2pixhd: Graphs, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.pt").write_bytes(b"PK nonsense")
    with pytest.raises(BadInputError, match=r"checkpoint\.pt cannot be read"):
        tune(pix2pixhd, tmp_path, resume=True)


# Refusals ---------------------------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_names_the_step(pix2pixhd: Graphs, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"loss of step \d+ is nan"):
        tune(pix2pixhd, tmp_path, replace(QUICK, range_learning_rate=1e5))


def test_a_network_that_makes_nan_is_refused(pix2pixhd: Graphs, tmp_path: Path) -> None:
    graphs, model = pix2pixhd
    broken = model.clone()
    layer = find_layers(broken)[1]
    weight = constant(layer.weight).copy()
    weight[0, 0, 0, 0] = np.nan
    layer.weight.const_value = ir.tensor(weight, name=layer.weight.name)
    with pytest.raises(BadInputError, match="FP32 network gives values that are not finite"):
        tune((graphs, broken), tmp_path, ranges=observed(pix2pixhd))


def test_unknown_layers_and_graphs_without_a_picture_are_refused(
    pix2pixhd: Graphs, munit: Graphs, tmp_path: Path
) -> None:
    graphs, model = pix2pixhd
    draw = draw_from(graphs)
    with pytest.raises(UsageError, match="no layer nonsense"):
        fine_tune(model, {"nonsense": Range(0, 1)}, Scheme.SYMMETRIC, draw, QUICK, Run(tmp_path))
    with pytest.raises(UsageError, match="No layer"):
        fine_tune(model, {}, Scheme.SYMMETRIC, draw, QUICK, Run(tmp_path))
    encoder = next(graph for graph in munit[0] if graph.declaration.kind is GraphKind.CONDITION)
    with pytest.raises(GraphError, match="rounding a picture"):
        with_float_picture(trace(encoder))


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"frames": 0}, {"learning_rate": 0.0}, {"learning_rate": np.nan}])
def test_options_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        QatOptions(**wrong)
