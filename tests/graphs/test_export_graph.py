"""The whole road of one graph: trace, passes, FP32 and FP16 files, each held against torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from torch import Tensor, nn

from edge_i2i.contract import Size
from edge_i2i.engines.torch.interpreter import TorchGraph
from edge_i2i.errors import GraphError, ParityError, UsageError
from edge_i2i.graphs import export, passes
from edge_i2i.graphs.export import EMULATION, ONNXRUNTIME, ExportedGraph, ExportOptions, export_graph
from edge_i2i.graphs.passes import PASSES, GraphPass
from edge_i2i.graphs.running import run_torch_network
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.metrics.parity import EXACT, REDUCED_PRECISION, Parity, Tolerance, compare
from edge_i2i.models.checkpoints.loading import load_random
from edge_i2i.models.family import ModelGraph
from edge_i2i.models.pix2pixhd.model import Pix2PixHD
from samples.graphs.tiny import (
    Array,
    assert_portable,
    leftovers,
    node_types,
    picture_graph,
    run,
    run_many,
    small_network,
)

SMALL = {"ngf": "4", "n_blocks_global": "1", "n_downsample_global": "2"}
LABELS = {"label_nc": "6", "instance_edges": "true"}
NETWORKS = {
    "G1 RGB": SMALL,
    "G1 labels": SMALL | LABELS,
    "G2 RGB": SMALL | {"n_local_enhancers": "1", "n_blocks_local": "1"},
    "G2 labels and features": SMALL
    | LABELS
    | {"n_local_enhancers": "1", "n_blocks_local": "1", "feat_num": "3", "nef": "2", "n_downsample_E": "2"},
}
SIZES = ("smallest", "32x48", "64x40")


def _model(name: str) -> Pix2PixHD:
    """Random weights with biases, which the exporter does not optimise away as it does zeros."""
    model = load_random("pix2pixhd", NETWORKS[name], seed=3).model
    assert isinstance(model, Pix2PixHD)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for net in (model.generator, model.encoder):
            for key, parameter in net.named_parameters() if net is not None else ():
                parameter.normal_(0.0, 0.1 if key.endswith("weight") else 0.3, generator=generator)
    return model


@dataclass(frozen=True)
class _Export:
    graph: ModelGraph
    result: ExportedGraph
    folder: Path
    stages: tuple[str, ...]


def _export(graph: ModelGraph, folder: Path, options: ExportOptions) -> _Export:
    stages: list[str] = []
    return _Export(graph, export_graph(graph, options, folder, stages.append), folder, tuple(stages))


CASES = [(name, size, "frame") for name in NETWORKS for size in SIZES] + [("G2 labels and features", "32x48", "encode")]

WITH_INSTANCES = [case for case in CASES if "labels" in case[0] and case[2] == "frame"]


@pytest.fixture(scope="module", params=CASES, ids=" ".join)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Export]:
    """One graph of one network at one size, exported once for all the tests below."""
    name, text, kind = request.param
    model = _model(name)
    smallest = model.size_rule.minimum
    size = Size(smallest, smallest) if text == "smallest" else Size.parse(text)
    graph = next(graph for graph in model.graphs(size) if graph.declaration.name == kind)
    # The rewrite that is not on by default is tried on one size.
    names = tuple(PASSES) if text == "64x40" else passes.DEFAULT_PASSES
    yield _export(graph, tmp_path_factory.mktemp("export"), ExportOptions(passes=names, threads=1))


def _parity(exported: _Export, stage: str) -> Parity:
    return next(parity for parity in exported.result.parities if parity.stage == stage)


def test_every_stage_was_held_against_torch(exported: _Export) -> None:
    stages = [parity.stage for parity in exported.result.parities]
    assert stages[0] == "trace"
    assert stages[-3:] == ["fp32, as written", "fp16", "fp16, as written"]
    applied = [name for name, count in exported.result.rewrites.items() if count and name in PASSES]
    assert stages[1:-3] == applied
    assert all(parity.inputs >= 2 for parity in exported.result.parities if "as written" not in parity.stage)


def test_exact_stages_are_exact(exported: _Export) -> None:
    for parity in exported.result.parities:
        if parity.stage.startswith("fp16"):
            continue
        assert parity.evaluated_by == ONNXRUNTIME
        if parity.stage != "fp32, as written":
            assert parity.float_error is not None
        assert (parity.float_error or 0) <= 1e-4
        assert (parity.grey_levels or 0) <= 1
        assert (parity.picture_error or 0) <= 1e-4


def test_fp16_is_within_60_db_where_its_arithmetic_is_emulated(exported: _Export) -> None:
    parity = _parity(exported, "fp16")
    assert parity.evaluated_by == EMULATION
    assert parity.psnr_db is not None
    assert 60 <= parity.psnr_db < 130  # equal results would mean that nothing was rounded


def _fresh(graph: ModelGraph, count: int = 2) -> tuple[list[dict[str, Array]], list[dict[str, Array]]]:
    """Inputs that the export did not use, and the network's own outputs."""
    samples = [sample_inputs(graph.declaration, 77 + i) for i in range(count)]
    return samples, [dict(result) for result in run_torch_network(graph, samples)]


def test_the_fp32_file_gives_the_networks_picture_on_fresh_inputs(exported: _Export) -> None:
    samples, references = _fresh(exported.graph)
    results = run_many(onnx.load(exported.result.variants["fp32"]), samples)
    compare("fp32", "test", references, results).check(EXACT, "frame")


def test_the_fp16_file_run_by_the_reference_is_close_on_fresh_inputs(exported: _Export) -> None:
    samples, references = _fresh(exported.graph)
    graph = TorchGraph(onnx.load(exported.result.variants["fp16"]))
    results = [
        {name: value.numpy() for name, value in graph.run({k: torch.from_numpy(v) for k, v in sample.items()}).items()}
        for sample in samples
    ]
    compare("fp16", "test", references, results).check(REDUCED_PRECISION, "frame")


def test_the_files_are_valid_and_say_what_was_declared(exported: _Export) -> None:
    declaration = exported.graph.declaration
    for path in exported.result.variants.values():
        made = onnx.load(path)
        onnx.checker.check_model(made, full_check=True)
        assert [(item.domain, item.version) for item in made.opset_import] == [("", 18)]
        for values, specs in ((made.graph.input, declaration.inputs), (made.graph.output, declaration.outputs)):
            assert [value.name for value in values] == [spec.name for spec in specs]
            shapes = [tuple(side.dim_value for side in value.type.tensor_type.shape.dim) for value in values]
            assert shapes == [spec.shape for spec in specs]
            types = [onnx.helper.tensor_dtype_to_np_dtype(v.type.tensor_type.elem_type).name for v in values]
            assert types == [spec.dtype.value for spec in specs]


def test_the_fp16_file_is_strongly_typed_with_fp32_norms(exported: _Export) -> None:
    made = onnx.load(exported.result.variants["fp16"])
    onnx.shape_inference.infer_shapes(made, check_type=True, strict_mode=True, data_prop=True)
    types = node_types(made)
    assert {name for node in made.graph.node for name in node.output} <= types.keys()
    read = {node.op_type: types[node.input[0]] for node in made.graph.node}
    assert read["InstanceNormalization"] == read["Tanh"] == "FLOAT"
    halves = sum(types[n.input[0]] == "FLOAT16" for n in made.graph.node if n.op_type.startswith("Conv"))
    convolutions = sum(n.op_type.startswith("Conv") for n in made.graph.node)
    assert halves == convolutions - exported.result.rewrites["fp16-full-convolutions"]
    assert exported.result.variants["fp16"].stat().st_size < exported.result.variants["fp32"].stat().st_size


def test_nothing_of_this_machine_is_in_the_files(exported: _Export) -> None:
    for path in exported.result.variants.values():
        assert_portable(onnx.load(path), str(exported.folder))


def test_only_the_variants_are_left(exported: _Export) -> None:
    name = exported.graph.declaration.name
    assert leftovers(exported.folder) == [f"{name}.fp16.onnx", f"{name}.fp32.onnx"]


def test_golden_data_are_different_inputs_and_the_networks_outputs(exported: _Export) -> None:
    first, second = exported.result.golden_inputs
    assert all(not np.array_equal(first[name], second[name]) for name in first)
    output = exported.graph.declaration.outputs[0].name
    references = run_torch_network(exported.graph, [first, second])
    for golden, reference in zip(exported.result.golden_outputs, references, strict=True):
        np.testing.assert_array_equal(golden[output], reference[output])


def test_progress_is_announced_stage_by_stage(exported: _Export) -> None:
    name = exported.graph.declaration.name
    assert exported.stages[:2] == (f"{name}: reference run in torch", f"{name}: trace")
    assert f"{name}: fp32" in exported.stages
    assert f"{name}: fp16" in exported.stages


def test_the_passes_found_work(exported: _Export) -> None:
    """Random networks as we initialise them have biases of zero, which the exporter drops before our pass."""
    norms = sum(n.op_type == "InstanceNormalization" for n in onnx.load(exported.result.variants["fp32"]).graph.node)
    assert exported.result.rewrites["drop-bias-before-instance-norm"] == norms
    if "reflect-pad-as-slices" in exported.result.rewrites:
        assert exported.result.rewrites["reflect-pad-as-slices"] > 0
        nodes = onnx.load(exported.result.variants["fp32"]).graph.node
        pads = [onnx.helper.get_node_attr_value(node, "mode") for node in nodes if node.op_type == "Pad"]
        assert b"reflect" not in pads  # the edge map's own pads are constant


@pytest.mark.parametrize("exported", WITH_INSTANCES, ids=" ".join, indirect=True)
def test_large_instance_ids_keep_their_edges(exported: _Export) -> None:
    """Ids beyond 2^24 are equal to their neighbours as soon as anything turns them into floats."""
    sample = sample_inputs(exported.graph.declaration, 5)
    sample["instance_map"] = 2**24 + sample["instance_map"] % 2
    plain = sample | {"instance_map": sample["instance_map"] % 2}
    for variant in ("fp32", "fp16"):
        made = onnx.load(exported.result.variants[variant])
        np.testing.assert_array_equal(run(made, sample)["image"], run(made, plain)["image"])
    assert not np.array_equal(
        run(made, sample)["image"], run(made, sample | {"instance_map": 0 * plain["instance_map"]})["image"]
    )


# --- what goes wrong


class _Scale(nn.Module):
    """One convolution: enough for every stage, and quick to trace."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 3, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.conv(x))


@pytest.fixture
def graph() -> ModelGraph:
    return picture_graph(_Scale())


def _register(monkeypatch: pytest.MonkeyPatch, item: GraphPass) -> ExportOptions:
    monkeypatch.setattr(passes, "PASSES", MappingProxyType({**PASSES, item.name: item}))
    return ExportOptions(passes=(item.name,), threads=1)


def _double_the_weights(model: ir.Model) -> int:
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.dtype is ir.DataType.FLOAT and len(value.const_value.shape) == 4:
            value.const_value = ir.tensor(value.const_value.numpy() * 2, name=value.name)
    return 1


def _weights_of_nan(model: ir.Model) -> int:
    for value in model.graph.initializers.values():
        if value.const_value is not None and value.dtype is ir.DataType.FLOAT and len(value.const_value.shape) == 4:
            value.const_value = ir.tensor(value.const_value.numpy() * np.float32(np.nan), name=value.name)
    return 1


def _unknown_operation(model: ir.Model) -> int:
    next(node for node in model.graph if node.op_type == "Tanh").op_type = "Tannh"
    return 1


@pytest.mark.parametrize("broken", [_double_the_weights, _weights_of_nan])
def test_a_broken_pass_is_named_and_leaves_nothing(
    broken: object, graph: ModelGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = _register(monkeypatch, GraphPass("fold-something", "a pass with a bug", broken))  # type: ignore[arg-type]
    with pytest.raises(ParityError, match="The stage 'fold-something' broke the graph 'frame'") as caught:
        export_graph(graph, options, tmp_path)
    assert "float error" in caught.value.what
    assert caught.value.exit_code == 5
    assert leftovers(tmp_path) == []


def test_a_pass_that_makes_an_impossible_graph_is_named(
    graph: ModelGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = _register(monkeypatch, GraphPass("misspell", "a pass with a bug", _unknown_operation))
    with pytest.raises(GraphError, match=r"after the stage 'misspell'.*Tannh") as caught:
        export_graph(graph, options, tmp_path)
    assert "\n" not in caught.value.what
    assert leftovers(tmp_path) == []


def test_a_pass_that_finds_nothing_is_not_checked_again(graph: ModelGraph, tmp_path: Path) -> None:
    result = export_graph(graph, ExportOptions(passes=tuple(PASSES), threads=1, precisions=("fp32",)), tmp_path)
    assert result.rewrites == dict.fromkeys(PASSES, 0)
    assert [parity.stage for parity in result.parities] == ["trace", "fp32, as written"]
    assert leftovers(tmp_path) == ["frame.fp32.onnx"]


def test_fp16_alone_can_be_asked_for(graph: ModelGraph, tmp_path: Path) -> None:
    result = export_graph(graph, ExportOptions(precisions=("fp16",), threads=1), tmp_path)
    assert result.variants.keys() == {"fp16"}
    assert leftovers(tmp_path) == ["frame.fp16.onnx"]


def test_fp16_that_stays_too_far_off_is_given_up(
    graph: ModelGraph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "FP16_TOLERANCE", Tolerance(None, None, None, psnr_db=400.0))
    stages: list[str] = []
    with pytest.raises(ParityError, match=f"The stage 'fp16' broke .*{re.escape(EMULATION)}"):
        export_graph(picture_graph(small_network()), ExportOptions(threads=1), tmp_path, stages.append)
    assert stages[-1] == f"frame: fp16, the first {export.FULL_CONVOLUTIONS[-1]} convolutions in FP32"
    assert leftovers(tmp_path) == []


def test_leading_convolutions_stay_fp32_as_far_as_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The small network has four: with two in FP32, it is closer than with none."""
    graph = picture_graph(small_network())
    plain = export_graph(graph, ExportOptions(precisions=("fp16",), threads=1), tmp_path)
    figure = next(parity.psnr_db for parity in plain.parities if parity.stage == "fp16")
    assert figure is not None
    assert plain.rewrites["fp16-full-convolutions"] == 0
    monkeypatch.setattr(export, "FP16_TOLERANCE", Tolerance(None, None, None, psnr_db=figure + 0.5))
    better = export_graph(graph, ExportOptions(precisions=("fp16",), threads=1), tmp_path)
    full = better.rewrites["fp16-full-convolutions"]
    assert full > 0
    made = onnx.load(better.variants["fp16"])
    types = node_types(made)
    kinds = [types[node.input[0]] for node in made.graph.node if node.op_type.startswith("Conv")]
    assert kinds == ["FLOAT"] * full + ["FLOAT16"] * (4 - full)


def test_weights_beyond_fp16_name_the_way_out(tmp_path: Path) -> None:
    module = _Scale()
    module.conv.weight.fill_(1e5)
    with pytest.raises(GraphError, match="more than FP16 can hold") as caught:
        export_graph(picture_graph(module), ExportOptions(threads=1), tmp_path)
    assert "--precision fp32" in caught.value.remedy
    assert leftovers(tmp_path) == []


class _Unwilling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x if x.mean() > 0 else -x


def test_a_network_that_cannot_be_traced_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="cannot be traced to ONNX"):
        export_graph(picture_graph(_Unwilling()), ExportOptions(threads=1), tmp_path)
    assert leftovers(tmp_path) == []


class _Remembers(nn.Module):
    """What tracing bakes in silently: a value of the example input."""

    def forward(self, x: Tensor) -> Tensor:
        return x * float(x.detach().abs().max().numpy()) if not torch.compiler.is_compiling() else x * 0.5


def test_a_silently_wrong_trace_is_caught(tmp_path: Path) -> None:
    with pytest.raises(ParityError, match="The stage 'trace' broke the graph 'frame'") as caught:
        export_graph(picture_graph(_Remembers()), ExportOptions(threads=1), tmp_path)
    assert caught.value.exit_code == 5
    assert leftovers(tmp_path) == []


def test_an_interrupt_leaves_nothing(graph: ModelGraph, tmp_path: Path) -> None:
    def interrupt(stage: str) -> None:
        if "fp16" in stage:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_graph(graph, ExportOptions(threads=1), tmp_path, interrupt)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precisions": ("fp8",)}, "Unknown precision"),
        ({"precisions": ()}, "Unknown precision"),
        ({"passes": ("drop-bias",)}, "There is no graph pass 'drop-bias'"),
        ({"samples": 1}, "Parity on 1 inputs proves too little"),
        ({"samples": 0}, "Parity on 0 inputs proves too little"),
    ],
)
def test_options_that_no_stage_could_serve_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        ExportOptions(**options)  # type: ignore[arg-type]
    assert caught.value.remedy
    assert caught.value.exit_code == 2
