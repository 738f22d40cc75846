"""What a graph may take: nodes, memory and work are bounded by the declared size."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto

from edge_i2i.errors import GraphFileError
from edge_i2i.gate import Limits, check_graph
from edge_i2i.gate.limits import GraphCost
from samples.graphs.hostile import DECLARATION, around, assert_refused, identity, kernel, model, node, weight

HUGE = 1 << 20
FLOAT, UINT8 = TensorProto.FLOAT, TensorProto.UINT8


def test_memory_is_bounded_by_the_declared_size() -> None:
    """Values that are alive at once count, whoever made them."""
    large = [weight("times", [1, 1, 100, 100])]
    assert_refused(
        around([node("Tile", "x times", "a"), node("Tile", "a times", "b"), node("ReduceMean", "b", "y")], large),
        "bytes",
    )
    many = [node("Tile", "x times", f"a{i}") for i in range(9)] + [
        node("Max", " ".join(f"a{i}" for i in range(8)), "y")
    ]
    assert_refused(around(many, [weight("times", [1, 1, 60, 60])]), "bytes")
    passing = [node("Tile", "x times", "l"), node("Slice", "l zero side axis", "c"), node("ReduceMean", "l all", "m")]
    numbers = [weight("zero", [0, 0]), weight("side", [16, 16]), weight("axis", [2, 3]), weight("all", [2, 3])]
    enough = weight("times", [1, 1, 60, 60])
    check_graph(around([*passing, node("Add", "c m", "y")], [enough, *numbers]), DECLARATION)


def test_work_is_bounded_by_the_declared_size() -> None:
    wide = kernel((512, 512, 9, 9))
    grow = [node("Concat", " ".join(["x"] * 64), "c0", axis=1)]
    weights = [kernel((512, 192, 1, 1))]
    weights[0].name = "g"
    repeated = [node("Conv", f"c{i} w", f"c{i + 1}", pads=[4, 4, 4, 4]) for i in range(1, 20)]
    last = [node("Slice", "c20 zero three one", "y")]
    numbers = [weight("zero", [0]), weight("three", [3]), weight("one", [1])]
    nodes = [*grow, node("Conv", "c0 g", "c1"), *repeated, *last]
    assert_refused(around(nodes, [wide, *weights, *numbers]), "multiplications")


def test_nodes_are_counted() -> None:
    nodes = [node("Identity", f"a{i}" if i else "frame", f"a{i + 1}") for i in range(50)]
    data = model([*nodes, node("Identity", "a50", "image")]).SerializeToString()
    check_graph(data, DECLARATION)
    with pytest.raises(GraphFileError, match="51 nodes"):
        check_graph(data, DECLARATION, Limits(nodes=50))


def test_shares_say_how_near_the_limits_are() -> None:
    limits, cost = Limits(), GraphCost(nodes=150, memory=1 << 25, work=1 << 34)
    shares = limits.shares(cost, DECLARATION)
    assert shares == {"nodes": 0.1, "memory": (1 << 25) / limits.memory(DECLARATION), "work": 1.0}


def test_what_engines_keep_beside_a_value_counts_as_memory() -> None:
    """ONNX Runtime asked for 17 GB here; the picture that comes out has 9 MB."""
    nodes = [node("Tile", "x times", "a"), node("ConvTranspose", "a w", "b"), node("ReduceMean", "b", "m")]
    weights = [weight("times", [1, 1, 4, 4]), kernel((3, 64, 127, 127))]
    assert_refused(around([*nodes, node("Add", "x m", "y")], weights), "bytes")


def test_what_engines_compute_beforehand_is_kept_all_at_once() -> None:
    """Each is freed where it is read, and yet engines fold all of them before the first run: 10 GB and more."""
    sizes = [weight("large", [1, 3, 1024, 1024]), weight("all", [2, 3])]
    nodes = [
        made
        for i in range(8)
        for made in (
            node("Expand", f"c{i} large", f"e{i}"),
            node("Mul", f"e{i} {f'm{i - 1}' if i else 'n'}", f"p{i}"),
            node("ReduceMean", f"p{i} all", f"m{i}"),
        )
    ]
    whole = [node("ReduceMean", "x all", "n"), *nodes, node("Add", "x m7", "y")]
    weights = [weight(f"c{i}", np.full((1, 3, 1, 1), i), "float32") for i in range(8)]
    assert_refused(around(whole, [*weights, *sizes]), "computed from weights")
    check_graph(around([*whole[:4], node("Add", "x m0", "y")], [*weights, *sizes]), DECLARATION)


def test_a_graph_says_what_it_takes() -> None:
    taken = check_graph(identity(), DECLARATION)
    assert (taken.nodes, taken.memory, taken.work) == (1, 768, 768)
