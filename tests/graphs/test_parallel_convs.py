"""Convolutions side by side become one, and only those that may."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest

from edge_i2i.graphs.passes import merge_parallel_convs
from samples.graphs.tiny import GraphMaker, check, operations, random, run

WEIGHTS = {"v": random(4, 3, 3, 3), "w": random(4, 3, 3, 3, seed=1), "b": random(4, seed=2), "c": random(4, seed=3)}
X = {"x": random(1, 3, 6, 7, seed=4)}
CONV = "Conv <pads=[1,1,1,1]>"
graph = GraphMaker("float[1,3,6,7] x", "float[1,4,6,7] y", **WEIGHTS)


def _merged(model: ir.Model, count: int = 1) -> None:
    wanted = run(model, X)
    assert merge_parallel_convs(model) == count
    check(model)
    got = run(model, X)
    assert list(got) == list(wanted)
    for name, value in wanted.items():
        np.testing.assert_allclose(got[name], value, rtol=1e-6, atol=1e-6)


def test_spades_gamma_and_beta_become_one() -> None:
    model = graph(f"g = {CONV} (x, v, b) s = {CONV} (x, w, c) m = Mul (g, g) y = Add (m, s)")
    _merged(model)
    assert operations(model) == ["Conv", "Split", "Mul", "Add"]
    assert set(model.graph.initializers) == {"v_merged", "v_merged_bias", "const_4_4"}


def test_different_numbers_of_channels_and_a_missing_bias() -> None:
    model = graph(
        f"y = {CONV} (x, v) z = {CONV} (x, u, d) q = {CONV} (x, w, c)",
        "float[1,4,6,7] y, float[1,2,6,7] z, float[1,4,6,7] q",
        u=random(2, 3, 3, 3),
        d=random(2),
    )
    _merged(model)
    assert operations(model) == ["Conv", "Split"]


def test_without_any_bias_there_is_none() -> None:
    model = graph(f"g = {CONV} (x, v) s = {CONV} (x, w) y = Add (g, s)")
    _merged(model)
    conv = next(node for node in model.graph if node.op_type == "Conv")
    assert len(conv.inputs) == 2


def test_strides_and_dilations_stay() -> None:
    conv = "Conv <strides=[2,2], dilations=[1,2], pads=[1,2,1,2]>"
    _merged(graph(f"g = {conv} (x, v, b) s = {conv} (x, w, c) y = Add (g, s)", "float[1,4,3,4] y"))


def test_only_those_that_are_alike_are_grouped() -> None:
    body = f"a = {CONV} (x, v) b0 = {CONV} (x, w) c0 = Conv (x, v) d0 = Conv (x, w) e = Add (a, b0) f = Add (c0, d0)"
    model = graph(f"{body} y = Relu (e) z = Relu (f)", "float[1,4,6,7] y, float[1,4,4,5] z")
    _merged(model, count=2)
    assert operations(model).count("Conv") == 2


@pytest.mark.parametrize(
    "body",
    [
        f"r = Relu (x) g = {CONV} (x, v, b) s = {CONV} (r, w, c) y = Add (g, s)",
        f"g = {CONV} (x, v, b) s = Conv <pads=[2,2,2,2], dilations=[2,2]> (x, w, c) y = Add (g, s)",
        f"g = {CONV} (x, v, b) s = Conv <pads=[2,2,2,2]> (x, five, c) y = Add (g, s)",
        f"g = {CONV} (x, v, b) k = Mul (v, w) s = {CONV} (x, k, c) y = Add (g, s)",
        f"g = {CONV} (x, v, b) y = Relu (g)",
    ],
    ids=["other inputs", "other dilations", "other kernels", "computed weights", "one alone"],
)
def test_others_are_left(body: str) -> None:
    model = graph(body, five=random(4, 3, 5, 5))
    before = operations(model)
    assert merge_parallel_convs(model) == 0
    assert operations(model) == before


def test_grouped_convolutions_are_left() -> None:
    conv = "Conv <pads=[1,1,1,1], group=3>"
    text = f"y = {conv} (x, k) z = {conv} (x, l)"
    model = graph(text, "float[1,3,6,7] y, float[1,3,6,7] z", k=random(3, 1, 3, 3), l=random(3, 1, 3, 3, seed=1))
    assert merge_parallel_convs(model) == 0
