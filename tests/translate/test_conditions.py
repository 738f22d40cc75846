"""What is set once: chained condition graphs, new looks for old ones, mixes, stacks, attributes, defaults."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from edge_i2i.contract import (
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    TensorSpec,
    attributes_spec,
    picture_spec,
)
from edge_i2i.errors import BadInputError, PictureError, UsageError
from edge_i2i.media.geometry import Fit
from edge_i2i.translate.conditions import Conditions

SIZE = Size(32, 32)
INF = float("inf")
EXEMPLAR = np.full((32, 32, 3), 100, np.uint8)


def style(name: str, shape: tuple[int, ...] = (4,), **more: Any) -> TensorSpec:
    return TensorSpec(name, Role.STYLE, shape, DType.FLOAT32, -INF, INF, f"the tensor {name}", **more)


FRAME = picture_spec("frame", Role.FRAME, SIZE, "the camera picture")
IMAGE = picture_spec("image", Role.IMAGE, SIZE, "the result")
CODE = style("style", drawn=True, mixable=True)


def graph(name: str, inputs: tuple[TensorSpec, ...], outputs: tuple[TensorSpec, ...]) -> GraphDeclaration:
    kind = GraphKind.FRAME if name == "frame" else GraphKind.CONDITION
    return GraphDeclaration(name, kind, inputs, outputs)


class Recorder:
    """Runs condition graphs: every output is the mean of all inputs; remembers which graphs ran."""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def __call__(self, declaration: GraphDeclaration, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        self.ran.append(declaration.name)
        assert list(inputs) == [spec.name for spec in declaration.inputs]
        mean = float(np.mean([array.mean() for array in inputs.values()]))
        return {spec.name: np.full(spec.shape, mean, np.float32) for spec in declaration.outputs}


def exemplar_network() -> tuple[GraphDeclaration, ...]:
    exemplar = picture_spec("exemplar", Role.EXEMPLAR, SIZE, "whose look is taken")
    return (
        graph("frame", (FRAME, style("adain")), (IMAGE,)),
        graph("modulate", (CODE,), (style("adain"),)),  # before the graph that feeds it: order is found, not given
        graph("encode", (exemplar,), (style("style"),)),
    )


def attribute_network(blend: bool = False) -> tuple[GraphDeclaration, ...]:
    labels = ("Smiling", "Bangs", "Male")
    source = attributes_spec("source_attributes", labels, "what the frame shows", default=0.0)
    target = attributes_spec("attributes", labels, "what the result shows", fallback="source_attributes")
    exemplar = picture_spec("exemplar", Role.EXEMPLAR, SIZE, "a reference")
    frame = [FRAME, target, source, style("style")]
    if blend:
        mix = TensorSpec("mix", Role.MIX, (1,), DType.FLOAT32, 0, 1, "share of the second", default=0.0)
        frame += [style("second_style", second_of="style"), mix]
    return (
        graph("frame", tuple(frame), (IMAGE,)),
        graph("draw", (style("noise", drawn=True), target, source), (style("style"),)),
        graph("encode", (exemplar, target, source), (style("style"),)),
    )


def made(graphs: tuple[GraphDeclaration, ...]) -> tuple[Conditions, Recorder]:
    run = Recorder()
    return Conditions(graphs, run, Fit.LETTERBOX), run


def value(conditions: Conditions, name: str) -> np.ndarray:
    return conditions.value(conditions.specs[name])


def test_an_exemplar_runs_every_graph_behind_it_in_order() -> None:
    conditions, run = made(exemplar_network())
    conditions.set({"exemplar": EXEMPLAR})
    assert run.ran == ["encode", "modulate"]
    assert np.array_equal(value(conditions, "adain"), np.full(4, 100, np.float32))


def test_a_seed_draws_the_style_and_gives_the_same_again() -> None:
    conditions, run = made(exemplar_network())
    conditions.set({"style_seed": 7})
    first = value(conditions, "style").copy()
    conditions.set({"style_seed": 8})
    assert not np.array_equal(value(conditions, "style"), first)
    conditions.set({"style_seed": 7})
    assert np.array_equal(value(conditions, "style"), first)
    assert set(run.ran) == {"modulate"}


def test_a_new_look_replaces_the_old_one_and_nothing_runs_twice() -> None:
    conditions, run = made(exemplar_network())
    conditions.set({"style_seed": 7})
    conditions.set({"exemplar": EXEMPLAR})
    assert value(conditions, "adain")[0] == 100
    ran = list(run.ran)
    conditions.set({"exemplar": EXEMPLAR.copy()})
    assert run.ran == ran
    conditions.set({"adain": np.full(4, 3, np.float32)})
    assert (run.ran, value(conditions, "adain")[0]) == (ran, 3)


def test_styles_are_mixed_where_they_are_mixable() -> None:
    conditions, _ = made(exemplar_network())
    ends = ({"exemplar": EXEMPLAR}, {"exemplar": EXEMPLAR * 0 + 200})
    conditions.mix(*ends, 0.25)
    assert np.allclose(value(conditions, "adain"), 125)
    for share, end in ((0.0, 100), (1.0, 200)):
        conditions.mix(*ends, share)
        assert np.allclose(value(conditions, "adain"), end)
    with pytest.raises(UsageError, match="out of range"):
        conditions.mix(*ends, 1.5)


def test_a_slider_of_the_frame_graph_is_fed_both_ends() -> None:
    conditions, _ = made(attribute_network(blend=True))
    conditions.set({"attributes": {"Smiling": 1}})
    conditions.set({"style_seed": 1})
    assert np.array_equal(value(conditions, "second_style"), value(conditions, "style"))
    assert value(conditions, "mix") == 0
    conditions.mix({"style_seed": 1}, {"exemplar": EXEMPLAR}, 0.75)
    assert value(conditions, "mix") == 0.75
    first, second = value(conditions, "style").copy(), value(conditions, "second_style").copy()
    assert second.mean() > 10 > first.mean()
    conditions.set({"exemplar": EXEMPLAR})
    assert value(conditions, "mix") == 0
    assert np.array_equal(value(conditions, "style"), second)


def test_attributes_are_given_by_name_and_stay_when_the_look_changes() -> None:
    conditions, run = made(attribute_network())
    conditions.set({"source_attributes": {"male": 1}, "attributes": {"Bangs": 0.5}})
    assert value(conditions, "source_attributes").tolist() == [0, 0, 1]
    assert value(conditions, "attributes").tolist() == [0, 0.5, 1], "what is not named stays as in the source"
    assert run.ran == []
    conditions.set({"style_seed": 3})
    conditions.set({"exemplar": EXEMPLAR})
    assert run.ran == ["draw", "encode"]
    conditions.set({"attributes": {"Smiling": 1}})
    assert run.ran == ["draw", "encode", "encode"]
    assert value(conditions, "attributes").tolist() == [1, 0, 1]


def test_defaults_fill_what_is_not_given() -> None:
    conditions, _ = made(attribute_network())
    assert value(conditions, "source_attributes").tolist() == [0, 0, 0]
    assert value(conditions, "attributes").tolist() == [0, 0, 0]


def test_what_is_missing_is_told_with_every_way_to_set_it() -> None:
    conditions, _ = made(attribute_network())
    with pytest.raises(BadInputError, match="needs 'style'") as error:
        value(conditions, "style")
    assert "noise (or style_seed); or exemplar" in error.value.remedy
    conditions, _ = made(exemplar_network())
    with pytest.raises(BadInputError, match="needs 'adain'") as error:
        value(conditions, "adain")
    assert error.value.remedy == "Call condition() first, with style (or style_seed) or exemplar."
    assert [spec.name for spec in conditions.missing] == ["adain"]
    conditions.set({"style_seed": 1})
    assert not conditions.missing


def stack_network() -> tuple[GraphDeclaration, ...]:
    objects = style("object_styles", (3, 4), drawn=True, stack_of="style")
    adain = style("object_adain", (3, 4))
    return (*_with_input(exemplar_network(), adain), graph("modulate_objects", (objects,), (adain,)))


def _with_input(graphs: tuple[GraphDeclaration, ...], spec: TensorSpec) -> tuple[GraphDeclaration, ...]:
    frame = graphs[0]
    return (graph("frame", (*frame.inputs, spec), frame.outputs), *graphs[1:])


def test_objects_take_styles_of_their_own_and_the_frames_otherwise() -> None:
    conditions, _ = made(stack_network())
    conditions.set({"exemplar": EXEMPLAR})
    assert np.allclose(value(conditions, "object_styles"), 100)
    conditions.set_stack([{"exemplar": EXEMPLAR * 0 + 50}, {}])
    assert value(conditions, "object_styles")[:, 0].tolist() == [50, 100, 100]
    assert value(conditions, "adain")[0] == 100, "the frame keeps its own look"
    with pytest.raises(BadInputError, match="room for 3"):
        conditions.set_stack([{}] * 4)
    with pytest.raises(UsageError, match="no styles of objects"):
        made(exemplar_network())[0].set_stack([{}])


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"colour": EXEMPLAR}, UsageError, "cannot be conditioned on colour"),
        ({}, UsageError, "cannot be conditioned on nothing"),
        ({"attributes": {"Smilling": 1}}, UsageError, "has no 'Smilling'"),
        ({"attributes": {"Smiling": 2}}, UsageError, "Smiling=2 is out of range"),
        ({"attributes": np.zeros(2, np.float32)}, BadInputError, r"must be float32\[3\], not float32\[2\]"),
        ({"attributes": np.full(3, np.nan, np.float32)}, BadInputError, "holds values nan"),
        ({"style_seed": -1}, UsageError, "style_seed=-1 is out of range"),
        ({"attributes": [1, 0]}, BadInputError, r"must be float32\[3\], not int64\[2\]"),
        ({"exemplar": np.zeros((32, 32), np.uint8)}, PictureError, "must be uint8"),
        ({"exemplar": np.zeros((32, 32, 4), np.uint8)}, PictureError, "must be uint8"),
        ({"exemplar": np.zeros((32, 32, 3), np.float32)}, PictureError, "must be uint8"),
        ({"exemplar": np.zeros((8, 300, 3), np.uint8)}, PictureError, "too small to take a look from"),
        ({"exemplar": EXEMPLAR, "style_seed": 1}, UsageError, "set in two ways at once"),
    ],
)
def test_bad_conditions_are_refused(given: dict[str, Any], kind: type[Exception], message: str) -> None:
    conditions, _ = made(attribute_network())
    with pytest.raises(kind, match=message):
        conditions.set(given)


def test_an_error_leaves_the_look_as_it_was() -> None:
    conditions, _ = made(attribute_network())
    conditions.set({"exemplar": EXEMPLAR})
    before = value(conditions, "style").copy()
    with pytest.raises(UsageError, match="two ways"):
        conditions.set({"exemplar": EXEMPLAR * 0, "style_seed": 1})
    assert np.array_equal(value(conditions, "style"), before)


def test_a_misspelt_attribute_suggests_the_nearest() -> None:
    conditions, _ = made(attribute_network())
    with pytest.raises(UsageError) as error:
        conditions.set({"attributes": {"smilin": 1}})
    assert error.value.remedy.startswith("Did you mean 'Smiling'?")


def test_a_network_without_styles_says_so() -> None:
    conditions, _ = made((graph("frame", (FRAME,), (IMAGE,)),))
    with pytest.raises(UsageError, match="style_seed"):
        conditions.set({"style_seed": 1})
    with pytest.raises(UsageError, match="cannot mix two looks"):
        conditions.mix({"style_seed": 1}, {"style_seed": 2}, 0.5)
