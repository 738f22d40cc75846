"""Transposed convolutions that OpenVINO computes as written, and those that stay in float because it may not."""

from __future__ import annotations

import pytest

from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.layers import find_layers
from edge_i2i.graphs.qdq.targets.openvino import OpenVinoTarget
from samples.graphs import transposed
from samples.graphs.transposed import Geometry

TARGET = OpenVinoTarget()

OF_GENERATORS = {
    "doubling": Geometry(3, 2, 1, 1),
    "doubling, 4x4": Geometry(4, 2, 1, 0),
    "doubling, 2x2": Geometry(2, 2, 0, 0),
    "cropped behind it, as TensorFlow's SAME": Geometry(3, 2, 0, 0),
    "without a stride": Geometry(3, 1, 1, 0),
}

RISKY = [Geometry(5, 2, 1, 0), Geometry(5, 3, 2, 0), Geometry(6, 3, 1, 0)]
"""Computed wrongly, or beyond the memory, on one processor or another: ``transposed.py`` shows it there."""


@pytest.mark.parametrize("geometry", OF_GENERATORS.values(), ids=OF_GENERATORS)
def test_those_of_generators_are_quantized_and_computed_as_written(geometry: Geometry) -> None:
    assert TARGET.placement(find_layers(transposed.transposed(geometry))).quantized == ("w",)
    model = transposed.in_int8(geometry)
    TARGET.check(model)
    assert transposed.off_by(model) < 1e-3


@pytest.mark.parametrize("geometry", RISKY)
def test_those_that_it_may_compute_wrongly_stay_in_float(geometry: Geometry) -> None:
    placement = TARGET.placement(find_layers(transposed.transposed(geometry)))
    assert placement.quantized == () and "no multiple of its stride" in placement.left_out["w"]
    with pytest.raises(GraphError, match="no multiple of its stride"):
        TARGET.check(transposed.in_int8(geometry))


@pytest.mark.parametrize("geometry", [Geometry(3, 2, 1, 0), *RISKY])
def test_of_what_is_never_negative_none_is_refused(geometry: Geometry) -> None:
    TARGET.check(transposed.in_int8(geometry, low=0.0))


@pytest.mark.parametrize(
    ("geometry", "kept"),
    [
        (Geometry(3, 2, 1, 0), False),
        (Geometry(4, 2, 2, 1), False),
        (Geometry(6, 2, 0, 1), False),
        (Geometry(4, 3, 0, 0), False),
        (Geometry(5, 3, 1, 0), True),
        (Geometry(4, 2, 2, 0), True),
    ],
)
def test_the_size_of_the_result_says_which(geometry: Geometry, kept: bool) -> None:
    assert bool(TARGET.placement(find_layers(transposed.transposed(geometry))).quantized) is kept
