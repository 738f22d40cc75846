"""FP16 as a typed rewrite: types everywhere, sensitive operations in FP32, and its emulation."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from edge_i2i.engines.torch.interpreter import TorchGraph
from edge_i2i.errors import GraphError
from edge_i2i.graphs.fp16 import emulate_fp16, to_fp16
from edge_i2i.graphs.running import run_torch_network
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.metrics.parity import NETWORK_OUTPUT, psnr
from samples.graphs.tiny import (
    GraphMaker,
    check,
    node_types,
    operations,
    parse,
    picture_graph,
    random,
    run,
    small_network,
)

CONVOLUTIONS = ("Conv", "ConvTranspose")
WEIGHTS = {"w": random(4, 4, 3, 3), "b": random(4)}
X = {"x": random(1, 4, 6, 7, seed=5)}
graph = GraphMaker("float[1,4,6,7] x", "float[1,4,6,7] y", **WEIGHTS)


def _types_of(made: onnx.ModelProto, operation: str, *, of: str = "input") -> list[set[str]]:
    """The float types that the nodes of one kind read (or write)."""
    types = node_types(made)
    floats = {"FLOAT", "FLOAT16"}
    return [
        {types[name] for name in getattr(node, of) if name} & floats
        for node in made.graph.node
        if node.op_type == operation
    ]


CONV = "Conv <pads=[1,1,1,1]>"


def test_every_value_has_a_type_and_they_fit(traced: ir.Model) -> None:
    assert to_fp16(traced) > 0
    made = check(traced)
    types = node_types(made)
    assert {name for node in made.graph.node for name in node.output} <= types.keys()
    for operation in CONVOLUTIONS:
        assert all(
            kinds == {"FLOAT16"} for kinds in _types_of(made, operation) + _types_of(made, operation, of="output")
        )
    for operation in ("InstanceNormalization", "Tanh"):
        assert _types_of(made, operation)
        assert all(kinds == {"FLOAT"} for kinds in _types_of(made, operation) + _types_of(made, operation, of="output"))
    assert all(kinds == {"FLOAT16"} for kinds in _types_of(made, "Relu"))


def test_inputs_and_outputs_keep_their_types(traced: ir.Model) -> None:
    before = [(value.name, value.dtype, value.shape) for value in [*traced.graph.inputs, *traced.graph.outputs]]
    to_fp16(traced)
    assert [(value.name, value.dtype, value.shape) for value in [*traced.graph.inputs, *traced.graph.outputs]] == before


@pytest.mark.parametrize("full", [0, 1, 2, 99])
def test_the_first_convolutions_stay_full_on_request(full: int, traced: ir.Model) -> None:
    to_fp16(traced, full)
    made = check(traced)
    types = node_types(made)
    kinds = [types[node.input[0]] for node in made.graph.node if node.op_type in CONVOLUTIONS]
    assert kinds == (["FLOAT"] * min(full, len(kinds)) + ["FLOAT16"] * max(len(kinds) - full, 0))


def test_nothing_in_fp16_leaves_nothing_changed(traced: ir.Model) -> None:
    before = operations(traced)
    assert to_fp16(traced, full_convolutions=99) == 0
    assert operations(traced) == before


def test_clones_are_not_affected(traced: ir.Model) -> None:
    """Changing a value's dtype in place once leaked into every clone: they share type objects."""
    clone, emulated = traced.clone(), traced.clone()
    before = check(clone).SerializeToString()
    to_fp16(traced)
    assert check(clone).SerializeToString() == before
    half = traced.clone()
    kept = check(half).SerializeToString()
    emulate_fp16(traced)
    assert check(half).SerializeToString() == kept
    assert check(emulated).SerializeToString() == before


def test_an_unaligned_mixture_of_types_gets_casts() -> None:
    model = graph(f"c = {CONV} (x, w, b) y = Add (c, x)")
    wanted = run(model, X)["y"]
    to_fp16(model)
    made = check(model)
    assert _types_of(made, "Add") == [{"FLOAT"}]  # one side was never rounded, so the sum need not be
    np.testing.assert_allclose(run(model, X)["y"], wanted, atol=0.05)


def test_a_convolution_that_writes_a_graph_output_gets_a_cast() -> None:
    model = graph(f"y = {CONV} (x, w, b) z = Relu (y)", "float[1,4,6,7] y, float[1,4,6,7] z")
    wanted = run(model, X)
    to_fp16(model)
    check(model)
    got = run(model, X)
    assert list(got) == ["y", "z"]
    for name, value in wanted.items():
        assert got[name].dtype == np.float32
        np.testing.assert_allclose(got[name], value, atol=0.05)


def test_a_norm_that_writes_a_graph_output_keeps_it() -> None:
    model = graph(
        f"c = {CONV} (x, w, b) y = InstanceNormalization (c, b, b) z = {CONV} (y, w, b)",
        "float[1,4,6,7] y, float[1,4,6,7] z",
    )
    to_fp16(model)
    made = check(model)
    assert _types_of(made, "InstanceNormalization") == [{"FLOAT"}]
    assert _types_of(made, "Conv") == [{"FLOAT16"}] * 2


def test_a_value_is_cast_once_for_all_its_readers() -> None:
    model = graph(f"a = Sigmoid (x) c = {CONV} (a, w, b) d = {CONV} (a, w, b) e = Add (c, d) y = {CONV} (e, w, b)")
    to_fp16(model)
    check(model)
    assert operations(model).count("Cast") == 2  # into FP16 and back for the output
    halves = [name for name in model.graph.initializers if name.endswith("_fp16")]
    assert len(halves) == 2


def test_scales_of_a_resize_stay_fp32() -> None:
    """Resize takes FP16 values, but its scales must be FP32 in any case."""
    model = graph(
        f'c = {CONV} (x, w, b) r = Resize <mode="nearest"> (c, , scales) y = {CONV} (r, w, b)',
        "float[1,4,12,14] y",
        scales=np.array([1, 1, 2, 2], np.float32),
    )
    to_fp16(model)
    made = check(model)
    assert node_types(made)["scales"] == "FLOAT"
    run(model, X)


def test_the_fill_value_of_a_pad_follows() -> None:
    model = graph(
        f"c = {CONV} (x, w, b) p = Pad (c, pads, fill) y = Conv (p, w, b)",
        pads=np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64),
        fill=np.array(0.5, np.float32),
    )
    wanted = run(model, X)["y"]
    to_fp16(model)
    assert _types_of(check(model), "Pad") == [{"FLOAT16"}]
    np.testing.assert_allclose(run(model, X)["y"], wanted, atol=0.1)


def test_whole_numbers_are_left_alone() -> None:
    text = """g (uint8[1,4,6,7] x) => (float[1,4,6,7] y, int64[1,4,6,7] n) {
        f = Cast <to=1> (x) c = Conv <pads=[1,1,1,1]> (f, w, b) y = Relu (c) n = Cast <to=7> (c) }"""
    model = parse(text, **WEIGHTS)
    to_fp16(model)
    types = node_types(check(model))
    assert (types["x"], types["n"]) == ("UINT8", "INT64")


def test_positions_of_a_pool_stay_whole_numbers() -> None:
    model = graph(f"c = {CONV} (x, w, b) y, i = MaxPool <kernel_shape=[2,2]> (c)", "float[1,4,5,6] y, int64[1,4,5,6] i")
    to_fp16(model)
    types = node_types(check(model))
    assert (types["y"], types["i"]) == ("FLOAT", "INT64")


def test_products_of_two_activations_stay_fp32() -> None:
    """Such a product sums over a whole picture (instance pooling): more than FP16 can hold."""
    model = graph(f"c = {CONV} (x, w, b) t = Transpose <perm=[0,1,3,2]> (c) y = MatMul (c, t)", "float[1,4,6,6] y")
    to_fp16(model)
    assert _types_of(check(model), "MatMul") == [{"FLOAT"}]


@pytest.mark.parametrize("value", [65520.0, -1e6, np.inf])
def test_weights_beyond_fp16_are_refused(value: float) -> None:
    weights = random(4, 4, 3, 3)
    weights[1, 2, 0, 0] = value
    with pytest.raises(GraphError, match=r"The weight 'w' reaches .* more than FP16 can hold \(65504\)") as caught:
        to_fp16(graph(f"y = {CONV} (x, w, b)", w=weights))
    assert "--precision fp32" in caught.value.remedy


def test_the_largest_fp16_weight_is_taken() -> None:
    assert to_fp16(graph(f"y = {CONV} (x, w, b)", w=np.full((4, 4, 3, 3), 65504, np.float32))) == 1


# --- emulation


def test_the_emulation_is_a_fp32_graph(traced: ir.Model) -> None:
    to_fp16(traced)
    emulate_fp16(traced)
    made = check(traced)
    types = node_types(made)
    for node in made.graph.node:
        if node.op_type != "Cast":
            assert not {types[name] for name in [*node.input, *node.output] if name} & {"FLOAT16"}


def test_the_emulation_rounds_every_value_that_is_fp16() -> None:
    model = graph(
        f"c = {CONV} (x, w, b) r = Relu (c) y = Conv (r, u)",
        "float[1,4,6,7] y",
        u=np.eye(4, dtype=np.float32)[..., None, None],
    )
    to_fp16(model)
    half = check(model)
    emulate_fp16(model)
    got = run(model, X)["y"]
    np.testing.assert_array_equal(got, got.astype(np.float16).astype(np.float32))
    x, w, b = (torch.from_numpy(a).half().float() for a in (X["x"], WEIGHTS["w"], WEIGHTS["b"]))
    wanted = torch.conv2d(x, w, b, padding=1).half().relu().float().numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-3)
    assert np.mean(got == wanted) > 0.97
    assert half.graph.output[0].type.tensor_type.elem_type == onnx.TensorProto.FLOAT


def test_the_emulation_overflows_as_fp16_does() -> None:
    model = graph(f"c = {CONV} (x, w, b) y = Relu (c)", w=np.full((4, 4, 3, 3), 6e4, np.float32))
    to_fp16(model)
    emulate_fp16(model)
    assert np.isinf(run(model, {"x": np.full((1, 4, 6, 7), 6e4, np.float32)})["y"]).all()


def test_onnx_runtime_does_not_optimise_the_rounding_away(traced: ir.Model) -> None:
    to_fp16(traced)
    emulate_fp16(traced)
    inputs = sample_inputs(picture_graph(small_network()).declaration, 3)
    optimised, plain = run(traced, inputs), run(traced, inputs, optimise=False)
    np.testing.assert_allclose(optimised[NETWORK_OUTPUT], plain[NETWORK_OUTPUT], atol=2e-3)
    assert np.mean(optimised["image"] == plain["image"]) > 0.99


@pytest.mark.parametrize("full", [0, 2])
def test_two_independent_emulations_agree(full: int, traced: ir.Model) -> None:
    """ONNX Runtime on the rounded FP32 graph, and torch running the FP16 graph node by node."""
    to_fp16(traced, full)
    half = check(traced)
    emulate_fp16(traced)
    network = picture_graph(small_network())
    for seed in range(2):
        inputs = sample_inputs(network.declaration, seed)
        emulated = run(traced, inputs)["image"].astype(int)
        interpreted = TorchGraph(half).run({name: torch.from_numpy(value) for name, value in inputs.items()})["image"]
        difference = np.abs(emulated - interpreted.numpy().astype(int))
        assert difference.max() <= 1
        assert np.mean(difference == 0) >= 0.99


def test_fp16_is_close_to_the_network_but_not_equal(traced: ir.Model) -> None:
    network = picture_graph(small_network())
    inputs = sample_inputs(network.declaration, 1)
    (reference,) = run_torch_network(network, [inputs])
    to_fp16(traced)
    emulate_fp16(traced)
    got = run(traced, inputs)
    figure = psnr(reference[NETWORK_OUTPUT], got[NETWORK_OUTPUT], data_range=2.0)
    assert 50 < figure < 90
