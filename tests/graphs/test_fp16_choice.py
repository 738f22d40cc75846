"""Which nodes run in FP16: statistics never, what only moves values wherever FP16 reads it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from edge_i2i.graphs.fp16 import emulate_fp16, to_fp16
from samples.graphs.tiny import Array, GraphMaker, check, node_types, operations, random, run

X = {"x": random(1, 4, 6, 7, seed=5)}
CONV = "Conv <pads=[1,1,1,1]>"
graph = GraphMaker("float[1,4,6,7] x", "float[1,4,6,7] y", w=random(4, 4, 3, 3), b=random(4))


def _types_of(made: onnx.ModelProto, operation: str) -> list[set[str]]:
    """The float types that the nodes of one kind read."""
    types = node_types(made)
    nodes = [node for node in made.graph.node if node.op_type == operation]
    return [{types[name] for name in node.input if name} & {"FLOAT", "FLOAT16"} for node in nodes]


def _kinds(body: str, *kinds: str, **more: Array) -> dict[str, list[set[str]]]:
    """The float types that the nodes of each kind read in the FP16 graph; FP16 must be close to FP32 all the same."""
    model = graph(body, **more)
    wanted = run(model, X)["y"]
    to_fp16(model)
    made = check(model)
    emulate_fp16(model)
    np.testing.assert_allclose(run(model, X)["y"], wanted, rtol=0.02, atol=0.02 * np.abs(wanted).max())
    return {kind: _types_of(made, kind) for kind in kinds}


FULL, HALF = {"FLOAT"}, {"FLOAT16"}
AXES = np.array([2, 3], np.int64)
VECTOR = random(1, 4, 1, 1, seed=9)
END = f"y = {CONV} (e, w, b)"
LAYER_NORM = """m = ReduceMean (c, axes) d = Sub (c, m) q = Mul (d, d) v = ReduceMean (q, axes) r = Sqrt (v)
    s = Add (r, eps) n = Div (d, s) h = Mul (n, gamma) i = Add (h, beta)"""
CHAIN = {"axes": AXES, "eps": np.array(1e-5, np.float32), "gamma": VECTOR, "beta": random(1, 4, 1, 1)}


def test_statistics_stay_fp32_and_what_follows_them_does_not() -> None:
    body = f'c = {CONV} (x, w, b) {LAYER_NORM} o = Relu (i) p = Pad <mode="edge"> (o, pads) y = Conv (p, w, b)'
    kinds = ("ReduceMean", "Sub", "Mul", "Sqrt", "Div", "Add", "Relu", "Pad")
    found = _kinds(body, *kinds, pads=np.array([0, 0, 1, 1] * 2, np.int64), **CHAIN)
    for kind in kinds[:6]:
        assert all(types == FULL for types in found[kind]), kind
    assert found["Relu"] == found["Pad"] == [HALF]


@pytest.mark.parametrize("operation", ["Sigmoid", "Exp", "Tanh", "Softplus", "Erf"])
def test_curved_functions_stay_fp32(operation: str) -> None:
    found = _kinds(f"c = {CONV} (x, w, b) t = Tanh (c) e = {operation} (t) {END}", operation)
    assert found[operation][-1] == FULL


def test_adains_scale_and_shift_belong_to_the_norm() -> None:
    """One rounding, behind them; no cast between the norm and its scale."""
    body = f"""c = {CONV} (x, w, b) n = InstanceNormalization (c, one, zero) v = GlobalAveragePool (x) h = Mul (n, v)
        i = Add (h, v) r = Relu (i) {END.replace("e,", "r,")}"""
    weights = {"one": np.ones(4, np.float32), "zero": np.zeros(4, np.float32)}
    found = _kinds(body, "InstanceNormalization", "Mul", "Add", "Relu", **weights)
    assert found == {"InstanceNormalization": [FULL], "Mul": [FULL], "Add": [FULL], "Relu": [HALF]}
    model = graph(body, **weights)
    to_fp16(model)
    names = [name for name in operations(model) if name != "GlobalAveragePool"]
    assert names == [
        *("Cast", "Conv", "Cast", "InstanceNormalization", "Mul", "Add", "Cast", "Relu", "Conv", "Cast"),
    ]


def test_a_group_norms_own_scale_belongs_to_it_too() -> None:
    body = f"""c = {CONV} (x, w, b) f = Reshape (c, flat) n = InstanceNormalization (f, one, zero) u = Reshape (n, back)
        h = Mul (u, gamma) e = Add (h, beta) {END}"""
    weights = {"flat": np.array([1, 1, -1], np.int64), "back": np.array([1, 4, 6, 7], np.int64)}
    weights |= {"one": np.ones(1, np.float32), "zero": np.zeros(1, np.float32), "gamma": VECTOR, "beta": VECTOR}
    found = _kinds(body, "InstanceNormalization", "Mul", "Add", "Reshape", **weights)
    assert found == {"InstanceNormalization": [FULL], "Mul": [FULL], "Add": [FULL], "Reshape": [HALF, FULL]}


def test_spades_maps_are_combined_in_fp16() -> None:
    body = f"""c = {CONV} (x, w, b) n = InstanceNormalization (c, one, zero) g = {CONV} (x, w, b) k = Add (g, ones)
        h = Mul (n, k) s = {CONV} (x, w, b) e = Add (h, s) {END}"""
    weights = {"one": np.ones(4, np.float32), "zero": np.zeros(4, np.float32), "ones": np.array(1, np.float32)}
    found = _kinds(body, "InstanceNormalization", "Mul", "Add", **weights)
    assert found == {"InstanceNormalization": [FULL], "Mul": [HALF], "Add": [HALF, HALF]}


def test_a_residual_sum_is_fp16_where_one_side_is_and_a_product_follows() -> None:
    body = f"c = {CONV} (x, w, b) t = Sigmoid (c) d = {CONV} (t, w, b) e = Add (t, d) {END}"
    assert _kinds(body, "Add") == {"Add": [HALF]}
    assert _kinds(body.replace(END, "y = Relu (e)"), "Add") == {"Add": [FULL]}


@pytest.mark.parametrize("tail", ["s = Add (c, one) y = Mul (s, grey)", "s = Mul (c, grey) y = LeakyRelu (s)"])
def test_behind_the_last_product_arithmetic_is_fp32(tail: str) -> None:
    """The picture's scaling to 0..255 would cost an eighth of a grey level in FP16."""
    weights = {"one": np.array(1, np.float32), "grey": np.array(127.5, np.float32)}
    found = _kinds(f"c = {CONV} (x, w, b) {tail}", "Add", "Mul", "LeakyRelu", **weights)
    assert all(types == FULL for kinds in found.values() for types in kinds)


def test_squares_and_products_that_are_summed_stay_fp32() -> None:
    """300² is more than FP16 can hold."""
    loud = 100 * random(4, 4, 3, 3)
    body = f"c = {CONV} (x, loud) q = Mul (c, c) m = ReduceMean (q, axes) r = Sqrt (m) e = Div (c, r) {END}"
    assert _kinds(body, "Mul", loud=loud, axes=AXES) == {"Mul": [FULL]}
    body = f"c = {CONV} (x, loud) d = {CONV} (x, loud) q = Mul (c, d) m = GlobalAveragePool (q) e = Div (c, m) {END}"
    assert _kinds(body, "Mul", loud=loud) == {"Mul": [FULL]}


@pytest.mark.parametrize("constant", [1e-8, -1e9, float("inf")])
def test_constants_that_fp16_cannot_hold_keep_their_node_fp32(constant: float) -> None:
    body = (
        f"c = {CONV} (x, w, b) e = Max (c, k) {END}" if constant < 1 else f"c = {CONV} (x, w, b) e = Min (c, k) {END}"
    )
    assert _kinds(body, "Max", "Min", k=np.array(constant, np.float32)) in (
        {"Max": [FULL], "Min": []},
        {"Max": [], "Min": [FULL]},
    )


def test_moves_are_fp16_where_only_fp16_reads_them() -> None:
    """Rounding before or after a move gives the same values, and FP16 moves half the bytes."""
    body = f"t = Sigmoid (x) p, q = Split <axis=1, num_outputs=2> (t) k = Concat <axis=1> (q, p) e = Relu (k) {END}"
    assert _kinds(body, "Split", "Concat", "Relu") == {"Split": [HALF], "Concat": [HALF], "Relu": [HALF]}
    kept = body.replace(END, f"f = {CONV} (e, w, b) g = Tanh (e) y = Add (f, g)")
    assert _kinds(kept, "Split", "Concat", "Relu") == {"Split": [FULL], "Concat": [FULL], "Relu": [FULL]}


@pytest.mark.parametrize(
    ("move", "more"),
    [
        ('e = DepthToSpace <blocksize=2, mode="DCR"> (z)', {}),
        ("i = Neg (c) j = Abs (i) e = Clip (j, low, high)", {"low": np.float32(0.125), "high": np.float32(2)}),
        ("i = Gather <axis=1> (c, four) j = Tile (i, ones) e = Expand (j, shape)", {}),
        ("i = Squeeze (c, zero) e = Unsqueeze (i, zero)", {}),
        ("p = Greater (x, half) e = Where (p, c, half)", {"half": np.float32(0.5)}),
        ('j = Resize <mode="nearest"> (c, , , shape) e = Identity (j)', {}),
    ],
)
def test_what_only_moves_values_follows(move: str, more: dict[str, Array]) -> None:
    moved = [part.partition("=")[2].split()[0] for part in move.replace(") ", ")\n").split("\n")]
    weights = {"four": np.array([3, 2, 1, 0], np.int64), "shape": np.array([1, 4, 6, 7], np.int64)}
    weights |= {"ones": np.ones(4, np.int64), "zero": np.array([0], np.int64), "w4": random(16, 4, 3, 3)}
    weights |= {name: np.asarray(value) for name, value in more.items()}
    body = f"c = {CONV} (x, w, b) {'z = Conv <pads=[1,1,1,1]> (x, w4)' if '(z)' in move else ''} {move}"
    output = "float[1,4,12,14] y" if "(z)" in move else "float[1,4,6,7] y"
    model = graph(f"{body} {END}", output, **weights)
    to_fp16(model)
    made = check(model)
    for kind in moved:
        expected = FULL if kind == "Greater" else HALF
        assert _types_of(made, kind) == [expected], kind


def test_every_output_of_a_condition_graph_keeps_its_type() -> None:
    model = graph(
        f"c = {CONV} (x, w, b) p, q = Split <axis=1, num_outputs=2> (c) m = ReduceMean (c, axes) k = Cast <to=7> (c)",
        "float[1,2,6,7] p, float[1,2,6,7] q, float[1,4,1,1] m, int64[1,4,6,7] k",
        axes=AXES,
    )
    wanted = run(model, X)
    to_fp16(model)
    check(model)
    got = run(model, X)
    assert list(got) == ["p", "q", "m", "k"]
    for name, value in wanted.items():
        assert got[name].dtype == value.dtype
        if name != "k":  # a whole number may tip over
            np.testing.assert_allclose(got[name], value, atol=0.05)
