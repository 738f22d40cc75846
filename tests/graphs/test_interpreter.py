"""Every operation of the torch reference against ONNX Runtime, on tiny graphs."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.engines.torch.interpreter import OPERATIONS, TorchGraph
from edge_i2i.errors import GraphError
from samples.graphs.tiny import Array, parse, proto, random, run

INT = np.int64


def _agree(model: ir.Model, inputs: dict[str, Array], tolerance: float = 1e-5) -> None:
    wanted = run(model, inputs)
    got = TorchGraph(proto(model)).run({name: torch.from_numpy(value) for name, value in inputs.items()})
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        array = got[name].numpy()
        assert (array.shape, array.dtype) == (value.shape, value.dtype)
        if np.issubdtype(value.dtype, np.floating):
            np.testing.assert_allclose(array, value, atol=tolerance, rtol=1e-5)
        else:
            np.testing.assert_array_equal(array, value)


def _int(*numbers: int) -> Array:
    return np.array(numbers, INT)


FOUR = "float[1,4,6,7] x"  # every graph below that says nothing else reads this
# operation → cases of (body, outputs, inputs, weights)
CASES: dict[str, list[tuple[str, str, str, dict[str, Array]]]] = {}


def _case(operation: str, body: str, output: str = "float[1,4,6,7] y", inputs: str = FOUR, **weights: Array) -> None:
    CASES.setdefault(operation, []).append((body, output, inputs, weights))


W = random(5, 4, 3, 3)
TWO = "float[1,4,6,7] x, float[1,4,6,7] z"

for name in ("Add", "Sub", "Mul", "Div"):
    _case(name, f"y = {name} (x, z)", inputs=TWO)
    _case(name, f"y = {name} (x, w)", w=1 + np.abs(random(4, 1, 1)))
_case("Mul", "y = Mul (x, x)")
_case("Div", "y = Div (x, w)", "int64[6] y", "int64[6] x", w=_int(2, -2, 3, -3, 5, 7))
for name in ("Max", "Min"):
    _case(name, f"y = {name} (x, z)", inputs=TWO)
    _case(name, f"y = {name} (x, z, w)", inputs=TWO, w=random(1))
    _case(name, f"y = {name} (x)")
_case("Equal", "y = Equal (x, w)", "bool[2,4] y", "int32[2,1] x", w=np.array([-1, 0, 1, 2], np.int32))
_case("Not", "b = Cast <to=9> (x) y = Not (b)", "bool[1,4,6,7] y")
for name in ("Identity", "Relu", "Round", "Tanh"):
    _case(name, f"y = {name} (x)")
_case("Round", "h = Mul (x, w) r = Round (h) y = Mul (r, w)", w=np.array(0.5, np.float32))
_case("LeakyRelu", "y = LeakyRelu (x)")
_case("LeakyRelu", "y = LeakyRelu <alpha=0.2> (x)")
for to, kind in (
    (1, "float"),
    (2, "uint8"),
    (3, "int8"),
    (6, "int32"),
    (7, "int64"),
    (9, "bool"),
    (10, "float16"),
    (11, "double"),
):
    _case(
        "Cast", f"a = Mul (x, x) y = Cast <to={to}> (a)" if to == 2 else f"y = Cast <to={to}> (x)", f"{kind}[1,4,6,7] y"
    )
_case("Clip", "y = Clip (x, low, high)", low=np.array(-0.5, np.float32), high=np.array(0.3, np.float32))
_case("Clip", "y = Clip (x, low)", low=np.array(-0.5, np.float32))
_case("Clip", "y = Clip (x, , high)", high=np.array(0.3, np.float32))
_case("Clip", "y = Clip (x)")
_case("Concat", "y = Concat <axis=1> (x, z, x)", "float[1,12,6,7] y", TWO)
_case("Concat", "y = Concat <axis=-1> (x, z)", "float[1,4,6,14] y", TWO)
_case("Conv", "y = Conv (x, w)", "float[1,5,4,5] y", w=W)
_case("Conv", "y = Conv <pads=[1,1,1,1], strides=[2,2]> (x, w, b)", "float[1,5,3,4] y", w=W, b=random(5))
_case("Conv", "y = Conv <pads=[0,1,2,3]> (x, w)", "float[1,5,6,9] y", w=W)
_case("Conv", "y = Conv <dilations=[2,2]> (x, w)", "float[1,5,2,3] y", w=W)
_case("Conv", "y = Conv <group=2> (x, w, b)", "float[1,6,4,5] y", w=random(6, 2, 3, 3), b=random(6))
_case("ConvTranspose", "y = ConvTranspose (x, w)", "float[1,3,8,9] y", w=random(4, 3, 3, 3))
_case(
    "ConvTranspose",
    "y = ConvTranspose <pads=[1,1,1,1], strides=[2,2], output_padding=[1,1]> (x, w, b)",
    *("float[1,3,12,14] y", FOUR),
    w=random(4, 3, 3, 3),
    b=random(3),
)
_case(
    "ConvTranspose", "y = ConvTranspose <group=2, dilations=[2,2]> (x, w)", "float[1,6,10,11] y", w=random(4, 3, 3, 3)
)
_case("InstanceNormalization", "y = InstanceNormalization (x, s, b)", s=random(4), b=random(4))
_case("InstanceNormalization", "y = InstanceNormalization <epsilon=0.1> (x, s, b)", s=random(4), b=random(4))
for mode in ("constant", "reflect", "edge"):
    _case("Pad", f'y = Pad <mode="{mode}"> (x, p)', "float[1,4,9,12] y", p=_int(0, 0, 1, 2, 0, 0, 2, 3))
    _case("Pad", f'y = Pad <mode="{mode}"> (x, p)', "float[1,4,9,7] y", p=_int(0, 0, 1, 0, 0, 0, 2, 0))
    _case("Pad", f'y = Pad <mode="{mode}"> (x, p, , a)', "float[1,4,9,7] y", p=_int(1, 2), a=_int(2))
    _case("Pad", f'y = Pad <mode="{mode}"> (x, p, , a)', "float[1,4,7,8] y", p=_int(1, 0, 0, 1), a=_int(-1, -2))
_case("Pad", "y = Pad (x, p, f)", "float[2,5,6,7] y", p=_int(0, 1, 0, 0, 1, 0, 0, 0), f=np.array(2.5, np.float32))
_case("Pad", "y = Pad (x, p)", "float[1,4,4,6] y", p=_int(0, 0, -1, 0, 0, 0, -1, -1))
_case("AveragePool", "y = AveragePool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]> (x)", "float[1,4,3,4] y")
_case("AveragePool", "y = AveragePool <kernel_shape=[2,3]> (x)", "float[1,4,5,5] y")
_case("AveragePool", "y = AveragePool <kernel_shape=[3,3], pads=[1,1,1,1], count_include_pad=1> (x)")
_case("AveragePool", "y = AveragePool <kernel_shape=[2,2], strides=[2,2], ceil_mode=1> (x)", "float[1,4,3,4] y")
_case("Slice", "y = Slice (x, s, e)", "float[1,2,6,7] y", s=_int(0, 1), e=_int(1, 3))
_case("Slice", "y = Slice (x, s, e, a)", "float[1,4,6,3] y", s=_int(-4), e=_int(-1), a=_int(-1))
_case("Slice", "y = Slice (x, s, e, a, t)", "float[1,4,3,7] y", s=_int(0), e=_int(99), a=_int(2), t=_int(2))
_case("Slice", "y = Slice (x, s, e, a, t)", "float[1,4,6,7] y", s=_int(-1), e=_int(-(2**63)), a=_int(3), t=_int(-1))
_case("Slice", "y = Slice (x, s, e, a, t)", "float[1,4,6,3] y", s=_int(3), e=_int(0), a=_int(3), t=_int(-1))
_case("Slice", "y = Slice (x, s, e, a, t)", "float[1,4,6,4] y", s=_int(3), e=_int(-99), a=_int(3), t=_int(-1))
_case("Reshape", "y = Reshape (x, s)", "float[4,42] y", s=_int(4, -1))
_case("Reshape", "y = Reshape (x, s)", "float[1,4,42] y", s=_int(0, 0, -1))
_case("Transpose", "y = Transpose <perm=[0,2,3,1]> (x)", "float[1,6,7,4] y")
_case("Transpose", "y = Transpose (x)", "float[7,6,4,1] y")
_case("Unsqueeze", "y = Unsqueeze (x, a)", "float[1,1,4,6,7,1] y", a=_int(-1, 0))
_case("Squeeze", "y = Squeeze (x, a)", "float[4,6,7] y", a=_int(0))
_case("Squeeze", "y = Squeeze (x)", "float[4,6,7] y")
_case("Expand", "y = Expand (x, s)", "float[2,3,4] y", "float[3,1] x", s=_int(2, 1, 4))
_case("Gather", "y = Gather <axis=1> (x, i)", "float[1,2,2,6,7] y", i=np.array([[0, 3], [1, 1]], INT))
_case("Gather", "y = Gather (x, i)", "float[4,6,7] y", i=np.array(0, np.int32))
_case("Gather", "y = Gather <axis=-1> (x, i)", "float[1,4,6,2] y", i=_int(-1, -7))
_case(
    "GatherElements",
    "y = GatherElements <axis=1> (x, i)",
    "float[2,2] y",
    "float[2,4] x",
    i=np.array([[0, 3], [2, 2]], INT),
)
_case(
    "GatherElements",
    "y = GatherElements <axis=-1> (x, i)",
    "float[2,1] y",
    "float[2,4] x",
    i=np.array([[-1], [-4]], INT),
)
_case(
    "ScatterElements",
    'y = ScatterElements <axis=1, reduction="add"> (x, i, u)',
    *("float[2,4] y", "float[2,4] x"),
    i=np.array([[0, 0, 3], [1, -1, 1]], INT),
    u=random(2, 3),
)
_case("MatMul", "y = MatMul (x, w)", "float[1,4,6,3] y", w=random(7, 3))
_case("MatMul", "y = MatMul (x, z)", "float[2,5,5] y", "float[2,5,3] x, float[2,3,5] z")

# --- what the networks beside pix2pixHD are made of

for name in ("Abs", "Ceil", "Elu", "Erf", "Exp", "Floor", "Neg", "Sigmoid", "Sign", "Softplus"):
    _case(name, f"y = {name} (x)")
_case("Elu", "y = Elu <alpha=0.3> (x)")
for name in ("Log", "Sqrt", "Reciprocal"):
    _case(name, f"s = Mul (x, x) a = Add (s, w) y = {name} (a)", w=np.array(0.25, np.float32))
_case("Pow", "y = Pow (x, w)", w=np.array(2, np.float32))
_case("Pow", "y = Pow (x, w)", w=np.array(3, INT))
_case("Pow", "a = Abs (x) y = Pow (a, z)", inputs=TWO)
_case("PRelu", "y = PRelu (x, w)", w=random(4, 1, 1))
for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual"):
    _case(name, f"y = {name} (x, z)", "bool[1,4,6,7] y", TWO)
    _case(name, f"y = {name} (x, w)", "bool[6] y", "int64[6] x", w=_int(0, 1, 2, -1, -2, 3))
for name in ("And", "Or"):
    _case(name, f"p = Greater (x, w) q = Less (x, z) y = {name} (p, q)", "bool[1,4,6,7] y", TWO, w=random(1))
_case("Where", "p = Greater (x, w) y = Where (p, x, z)", inputs=TWO, w=random(1))
_case("Where", "p = Greater (x, w) y = Where (p, w, x)", w=random(4, 1, 1))
for name in ("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"):
    _case(name, f"y = {name} (x, a)", "float[1,4,1,1] y", a=_int(2, 3))
    _case(name, f"y = {name} <keepdims=0> (x, a)", "float[1,6,7] y", a=_int(-3))
    _case(name, f"y = {name} <keepdims=0> (x)", "float y")
    _case(name, f"y = {name} <noop_with_empty_axes=1> (x)")
for name in ("ArgMax", "ArgMin"):
    _case(name, f"y = {name} <axis=1> (x)", "int64[1,1,6,7] y")
    _case(name, f"y = {name} <axis=-1, keepdims=0> (x)", "int64[1,4,6] y")
    ties = np.array([2, 1, 2, 1, 2, 1], np.float32)
    _case(name, f"c = Mul (x, zero) t = Add (c, w) y = {name} (t)", "int64[1] y", "float[6] x", w=ties, zero=0 * ties)
    _case(
        name,
        f"c = Mul (x, zero) t = Add (c, w) y = {name} <select_last_index=1> (t)",
        *("int64[1] y", "float[6] x"),
        w=ties,
        zero=0 * ties,
    )
_case("Softmax", "y = Softmax (x)")
_case("Softmax", "y = Softmax <axis=1> (x)")
_case("Gemm", "y = Gemm (x, w)", "float[5,3] y", "float[5,4] x", w=random(4, 3))
_case(
    "Gemm",
    "y = Gemm <transB=1, alpha=0.5, beta=2.0> (x, w, b)",
    *("float[5,3] y", "float[5,4] x"),
    w=random(3, 4),
    b=random(3),
)
_case("Gemm", "y = Gemm <transA=1> (x, w, b)", "float[4,3] y", "float[5,4] x", w=random(5, 3), b=random(4, 1))
_case("Einsum", 'y = Einsum <equation="bchw,cd->bdhw"> (x, w)', "float[1,3,6,7] y", w=random(4, 3))
_case("Flatten", "y = Flatten (x)", "float[1,168] y")
_case("Flatten", "y = Flatten <axis=0> (x)", "float[1,168] y")
_case("Flatten", "y = Flatten <axis=-1> (x)", "float[24,7] y")
_case("Tile", "y = Tile (x, r)", "float[1,8,6,21] y", r=_int(1, 2, 1, 3))
_case("Split", "y, z = Split <axis=1, num_outputs=2> (x)", "float[1,2,6,7] y, float[1,2,6,7] z")
_case("Split", "y, z = Split <axis=-1, num_outputs=2> (x)", "float[1,4,6,4] y, float[1,4,6,3] z")
_case("Split", "a, y = Split <axis=1> (x, s)", "float[1,3,6,7] y", s=_int(1, 3))
for mode in ("DCR", "CRD"):
    _case("DepthToSpace", f'y = DepthToSpace <blocksize=2, mode="{mode}"> (x)', "float[1,1,12,14] y")
    _case("DepthToSpace", f'y = DepthToSpace <blocksize=3, mode="{mode}"> (x)', "float[2,3,6,9] y", "float[2,27,2,3] x")
_case("SpaceToDepth", "y = SpaceToDepth <blocksize=2> (x)", "float[1,12,2,4] y", "float[1,3,4,8] x")
_case("ConstantOfShape", "c = ConstantOfShape (s) y = Add (x, c)", s=_int(1, 4, 6, 7))
_case(
    "ConstantOfShape",
    "n = Shape (x) c = ConstantOfShape <value: tensor = float[1] {2.5}> (n) y = Mul (x, c)",
)
_case("Shape", "y = Shape (x)", "int64[4] y")
_case("Shape", "y = Shape <start=1, end=-1> (x)", "int64[2] y")
_case("Range", "y = Range (s, e, t)", "int64[3] y", s=np.array(2, INT), e=np.array(8, INT), t=np.array(2, INT))
_case(
    "Range",
    "r = Range (s, e, t) y = Add (x, r)",
    "float[7] y",
    "float[7] x",
    s=np.array(0, np.float32),
    e=np.array(7, np.float32),
    t=np.array(1, np.float32),
)
_case("CumSum", "y = CumSum (x, a)", a=np.array(1, INT))
_case("GatherND", "y = GatherND (x, i)", "float[2,4] y", "float[3,2,4] x", i=np.array([[2, 0], [-1, 1]], INT))
_case("GatherND", "y = GatherND (x, i)", "float[2,2,4] y", "float[3,2,4] x", i=np.array([[2], [0]], INT))
NORM = {"s": random(4), "b": random(4), "m": random(4), "v": np.abs(random(4))}
_case("BatchNormalization", "y = BatchNormalization (x, s, b, m, v)", **NORM)
_case("BatchNormalization", "y = BatchNormalization <epsilon=0.1> (x, s, b, m, v)", **NORM)
_case("GroupNormalization", "y = GroupNormalization <num_groups=2> (x, s, b)", s=random(2), b=random(2))
_case("GroupNormalization", "y = GroupNormalization <num_groups=4, epsilon=0.1> (x, s, b)", s=random(4), b=random(4))
_case("LayerNormalization", "y = LayerNormalization (x, s, b)", s=random(7), b=random(7))
_case("LayerNormalization", "y = LayerNormalization <axis=1, epsilon=0.1> (x, s)", s=random(4, 6, 7))
_case("GlobalAveragePool", "y = GlobalAveragePool (x)", "float[1,4,1,1] y")
_case("MaxPool", "y = MaxPool <kernel_shape=[3,3], strides=[2,2], pads=[1,1,1,1]> (x)", "float[1,4,3,4] y")
_case("MaxPool", "y = MaxPool <kernel_shape=[1,3], pads=[0,0,0,2]> (x)")
_case("MaxPool", "y = MaxPool <kernel_shape=[2,2], strides=[2,2], ceil_mode=1> (x)", "float[1,4,3,4] y")
DOUBLE = np.array([1, 1, 2, 2], np.float32)
for mode in ("nearest", "linear"):
    for place in ("asymmetric", "half_pixel", "align_corners", "pytorch_half_pixel"):
        how = f'mode="{mode}", coordinate_transformation_mode="{place}", nearest_mode="floor"'
        _case("Resize", f"y = Resize <{how}> (x, , s)", "float[1,4,12,14] y", s=DOUBLE)
        _case("Resize", f"y = Resize <{how}> (x, , , n)", "float[1,4,9,1] y", n=_int(1, 4, 9, 1))
        _case("Resize", f"y = Resize <{how}> (x, , , n)", "float[1,4,3,7] y", n=_int(1, 4, 3, 7))
for rounding in ("ceil", "round_prefer_floor", "round_prefer_ceil"):
    how = f'mode="nearest", nearest_mode="{rounding}"'
    _case("Resize", f"y = Resize <{how}> (x, , , n)", "float[1,4,15,5] y", n=_int(1, 4, 15, 5))
_case("Resize", "y = Resize <axes=[3]> (x, , s)", "float[1,4,6,14] y", s=np.array([2], np.float32))
_case(
    "ConvTranspose",
    "y = ConvTranspose <pads=[0,0,1,1], strides=[2,2]> (x, w)",
    "float[1,3,12,14] y",
    w=random(4, 3, 3, 3),
)
_case("ConvTranspose", "y = ConvTranspose <pads=[2,0,1,3]> (x, w)", "float[1,3,5,6] y", w=random(4, 3, 3, 3))


def _inputs(model: ir.Model) -> dict[str, Array]:
    made = {}
    for seed, value in enumerate(model.graph.inputs):
        assert value.shape is not None
        assert value.dtype is not None
        numbers = random(*value.shape.numpy(), seed=seed + 1)
        made[str(value.name)] = (numbers * 4 if value.dtype.numpy() != np.float32 else numbers).astype(
            value.dtype.numpy()
        )
    return made


@pytest.mark.parametrize(
    ("operation", "number"), [(name, i) for name, cases in CASES.items() for i in range(len(cases))]
)
def test_the_operation_computes_what_onnx_runtime_does(operation: str, number: int) -> None:
    body, output, inputs, weights = CASES[operation][number]
    model = parse(f"g ({inputs}) => ({output}) {{ {body} }}", **weights)
    _agree(model, _inputs(model))


def test_every_operation_has_a_case() -> None:
    assert CASES.keys() == OPERATIONS.keys()


@given(st.integers(-9, 9), st.integers(-9, 9), st.sampled_from([-3, -2, -1, 1, 2, 3]))
@settings(max_examples=60, deadline=None)
def test_slices_of_any_bounds_agree(start: int, end: int, step: int) -> None:
    text = "g (float[6] x) => (float[n] y) { y = Slice (x, s, e, a, t) }"
    model = parse(text, s=_int(start), e=_int(end), a=_int(0), t=_int(step))
    _agree(model, {"x": random(6)})


def test_a_traced_network_agrees(traced: ir.Model) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8)
    _agree(traced, {"frame": picture}, tolerance=1e-5)


def test_values_are_freed_but_outputs_and_reused_ones_are_kept() -> None:
    text = "g (float[2] x) => (float[2] y, float[2] a) { a = Neg (x) b = Add (a, x) c = Mul (b, b) y = Add (c, a) }"
    _agree(parse(text.replace("Neg", "Tanh")), {"x": random(2)})


def test_an_input_that_is_an_output_is_passed_on() -> None:
    _agree(parse("g (float[2] x) => (float[2] y) { y = Identity (x) }"), {"x": random(2)})


def test_unknown_operations_are_named() -> None:
    model = parse("g (float[2] x) => (float[2] y) { a = Asin (x) b = Acos (a) y = Relu (b) }")
    with pytest.raises(GraphError, match="does not know the operations Acos, Asin"):
        TorchGraph(proto(model))


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ('y = Conv <auto_pad="SAME_UPPER"> (x, w)', "float[1,5,6,7] y"),
        ('y = AveragePool <kernel_shape=[3,3], auto_pad="SAME_LOWER"> (x)', "float[1,4,6,7] y"),
        ("y = ConvTranspose <output_shape=[9,9]> (x, v)", "float[1,3,9,9] y"),
        ("y = AveragePool <kernel_shape=[2,2], pads=[0,0,1,1]> (x)", "float[1,4,6,7] y"),
        ("y = AveragePool <kernel_shape=[2,2], dilations=[2,2]> (x)", "float[1,4,4,5] y"),
        ('y = ScatterElements <reduction="max"> (x, i, u)', "float[1,4,6,7] y"),
        ('y = Resize <mode="cubic"> (x, , d)', "float[1,4,12,14] y"),
        ('y = Resize <mode="linear", antialias=1> (x, , d)', "float[1,4,12,14] y"),
        ('y = Resize <coordinate_transformation_mode="half_pixel_symmetric"> (x, , d)', "float[1,4,12,14] y"),
        ("y = CumSum <reverse=1> (x, i0)", "float[1,4,6,7] y"),
        ("y = Cast <to=17> (x)", "float8e4m3fn[1,4,6,7] y"),
    ],
)
def test_what_it_cannot_compute_is_refused_not_guessed(body: str, output: str) -> None:
    weights: dict[str, Any] = {
        "w": W,
        "v": random(4, 3, 3, 3),
        "i": np.zeros((1, 1, 1, 1), INT),
        "u": random(1, 1, 1, 1),
        "d": DOUBLE,
        "i0": np.array(1, INT),
    }
    model = parse(f"g ({FOUR}) => ({output}) {{ {body} }}", **{k: v for k, v in weights.items() if f" {k}" in body})
    with pytest.raises(GraphError):
        TorchGraph(proto(model)).run({"x": torch.from_numpy(random(1, 4, 6, 7))})


def test_fp16_convolutions_accumulate_in_fp32() -> None:
    """2048 products of 1 and one of 2048: FP16 accumulation would stop counting at 2048."""
    text = "g (float16[1,2049,1,1] x) => (float16[1,1,1,1] y) { y = Conv (x, w) }"
    weights = np.ones((1, 2049, 1, 1), np.float16)
    weights[0, 0] = 2048
    model = parse(text, w=weights)
    x = torch.ones(1, 2049, 1, 1, dtype=torch.float16)
    assert float(TorchGraph(proto(model)).run({"x": x})["y"]) == 4096


def test_fp16_average_pools_accumulate_in_fp32() -> None:
    model = parse("g (float16[1,1,64,64] x) => (float16[1,1,1,1] y) { y = AveragePool <kernel_shape=[64,64]> (x) }")
    x = torch.full((1, 1, 64, 64), 60.0, dtype=torch.float16)
    assert float(TorchGraph(proto(model)).run({"x": x})["y"]) == 60


def test_weights_of_the_file_are_not_changed() -> None:
    model = proto(parse("g (float[2] x) => (float[2] y) { y = Add (x, w) }", w=np.ones(2, np.float32)))
    before = model.SerializeToString()
    graph = TorchGraph(model)
    for _ in range(2):
        assert graph.run({"x": torch.ones(2)})["y"].tolist() == [2, 2]
    assert model.SerializeToString() == before
    assert onnx.numpy_helper.to_array(model.graph.initializer[0]).tolist() == [1, 1]
