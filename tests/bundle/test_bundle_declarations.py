"""Declarations that contradict themselves or each other are refused when a bundle is opened, whoever signed it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.bundle.declarations import check_declarations
from edge_i2i.bundle.reader import open_bundle
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
from edge_i2i.errors import BundleError
from samples.bundles import SIZE, EditHeader

SPECS = {
    "frame": picture_spec("frame", Role.FRAME, SIZE, "the frame"),
    "style": TensorSpec("style", Role.STYLE, (8,), DType.FLOAT32, -math.inf, math.inf, "a style", drawn=True),
    "second": TensorSpec("second", Role.STYLE, (8,), DType.FLOAT32, -math.inf, math.inf, "", second_of="style"),
    "stack": TensorSpec("stack", Role.STYLE, (3, 8), DType.FLOAT32, -math.inf, math.inf, "", stack_of="style"),
    "source": attributes_spec("source", ("a", "b"), "", default=0.0),
    "attributes": attributes_spec("attributes", ("a", "b"), "", fallback="source"),
    "boxes": TensorSpec("boxes", Role.BOXES, (5, 4), DType.FLOAT32, 0, 24, "", default=0),
    "mix": TensorSpec("mix", Role.MIX, (1,), DType.FLOAT32, 0, 1, "", default=0.0),
    "map": TensorSpec("map", Role.INSTANCE_MAP, (16, 24), DType.INT32, 0, 255, "", slots=256),
}
IMAGE = picture_spec("image", Role.IMAGE, SIZE, "the picture")
EXEMPLAR = picture_spec("exemplar", Role.EXEMPLAR, Size(8, 8), "of any size")
ENCODE = GraphDeclaration("encode", GraphKind.CONDITION, (EXEMPLAR,), (SPECS["style"],))


def graphs(change: str = "", **fields: Any) -> list[GraphDeclaration]:
    inputs = {**SPECS}
    if change:
        inputs[change] = replace(inputs[change], **fields)
    return [GraphDeclaration("frame", GraphKind.FRAME, tuple(inputs.values()), (IMAGE,)), ENCODE]


def test_what_models_declare_is_accepted() -> None:
    check_declarations(graphs(), SIZE)


@pytest.mark.parametrize(
    ("tensor", "fields", "reason"),
    [
        ("frame", {"shape": (0, 0, 3)}, "cannot have the shape"),
        ("frame", {"shape": (16, 24, 4)}, "three colours"),
        ("frame", {"shape": (16, 24)}, "cannot be a frame"),
        ("frame", {"shape": (16, 1 << 30, 3)}, "cannot have the shape"),
        ("frame", {"shape": (32, 48, 3)}, "another size"),
        ("frame", {"dtype": DType.FLOAT32}, "cannot be a frame"),
        ("frame", {"low": 255, "high": 0}, "reaches from"),
        ("frame", {"role": Role.EXEMPLAR}, "takes no frame"),
        ("style", {"shape": (1 << 20, 1 << 20)}, "numbers|in two ways|take after"),
        ("style", {"shape": (9,)}, "in two ways|take after"),
        ("style", {"dtype": DType.UINT8}, "cannot be a style|in two ways"),
        ("second", {"second_of": "nobody"}, "take after 'nobody'"),
        ("second", {"second_of": ""}, "take after ''"),
        ("second", {"second_of": "second"}, "takes after itself"),
        ("second", {"second_of": "mix"}, "take after 'mix'"),
        ("second", {"second_of": "stack"}, "take after 'stack'"),
        ("stack", {"shape": (3, 9)}, "take after"),
        ("stack", {"stack_of": "frame"}, "take after"),
        ("source", {"fallback": "attributes"}, "takes after itself"),
        ("source", {"default": 1e300}, "default"),
        ("source", {"default": math.inf}, "default"),
        ("source", {"labels": ("a",)}, "1 labels"),
        ("source", {"labels": ("a", "A")}, "twice"),
        ("source", {"labels": ()}, "0 labels"),
        ("boxes", {"shape": (5, 5)}, "cannot have the shape"),
        ("boxes", {"shape": (1 << 28, 4)}, "numbers"),
        ("mix", {"shape": (2,)}, "cannot have the shape"),
        ("mix", {"drawn": True}, "drawn"),
        ("map", {"slots": 0}, "slots"),
        ("map", {"slots": 1 << 40}, "slots"),
        ("map", {"shape": (16, 25)}, "another size"),
        ("map", {"role": Role.MASK}, "cannot be a mask"),
    ],
)
def test_a_tensor_that_cannot_be(tensor: str, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_declarations(graphs(tensor, **fields), SIZE)


def _wait_for_each_other() -> list[GraphDeclaration]:
    one, other = (replace(SPECS["style"], name=name) for name in ("one", "other"))
    first = GraphDeclaration("first", GraphKind.CONDITION, (one,), (other,))
    return [*graphs(), first, GraphDeclaration("second", GraphKind.CONDITION, (other,), (one,))]


def _twice() -> list[GraphDeclaration]:
    frame, *rest = graphs()
    return [replace(frame, inputs=(*frame.inputs, frame.inputs[0])), *rest]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (_wait_for_each_other, "wait for each other"),
        (_twice, "one twice"),
        (lambda: [replace(graphs()[0], outputs=())], "no outputs"),
        (lambda: [replace(graphs()[0], outputs=(IMAGE, replace(IMAGE, name="more")))], "one picture"),
        (lambda: [replace(graphs()[0], outputs=(SPECS["style"],))], "one picture|gives what it takes"),
        (lambda: [replace(graphs()[0], outputs=(replace(IMAGE, name="frame"),))], "gives what it takes|in two ways"),
        (lambda: [replace(graphs()[0], inputs=(SPECS["style"],))], "takes no frame"),
        (lambda: [replace(ENCODE, name=f"g{i}") for i in range(99)] + graphs(), "at most 64 graphs"),
    ],
)
def test_graphs_that_do_not_go_together(made: Callable[[], list[GraphDeclaration]], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_declarations(made(), SIZE)


def _style(header: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = header["graphs"][0]["declaration"]["inputs"][1]
    return found


@pytest.mark.parametrize(
    "edit",
    [
        lambda header: _style(header).update(second_of="nobody"),
        lambda header: _style(header).update(default=10**400),
        lambda header: _style(header).update(low="Infinity", high="-Infinity"),
        lambda header: header["graphs"][0]["declaration"]["inputs"][0].update(shape=[0, 0, 3]),
        lambda header: header.update(size="32x48"),
        lambda header: header.update(created="0001-01-01T00:00:00+14:00"),
        lambda header: header.update(created="9999-12-31T23:59:59-14:00"),
        lambda header: header["evidence"][0]["figures"].update(max_abs=10**400),
        lambda header: header["model"].update(config=_nested(500)),
        lambda header: header["recipe"].update(a=_nested(400)),
    ],
)
def test_a_signed_manifest_that_says_such_things_is_refused(
    edit_header: EditHeader, edit: Callable[[dict[str, Any]], None]
) -> None:
    with pytest.raises(BundleError):
        open_bundle(edit_header(edit))


def _nested(depth: int) -> dict[str, Any]:
    """So deep that parsers which call themselves would end badly."""
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {"a": found}
    return found


def test_brackets_inside_texts_are_no_depth(edit_header: EditHeader) -> None:
    open_bundle(edit_header(lambda header: header["model"].update(source='[["{' * 200 + '\\"')))


def test_a_bundle_of_no_fixed_size_is_read(edit_header: EditHeader) -> None:
    """The schema knows such axes; what cannot run them yet is the gate for graphs, which says so."""

    def loosen(header: dict[str, Any]) -> None:
        declaration = header["graphs"][0]["declaration"]
        for spec in (declaration["inputs"][0], declaration["outputs"][0]):
            spec["shape"][:2] = [-1, -1]

    assert open_bundle(edit_header(loosen)).frame_graph.inputs[0].shape == (-1, -1, 3)


def test_where_it_lies_is_said(edit_header: EditHeader, tmp_path: Path) -> None:
    path = edit_header(lambda header: header.update(size="32x48"))
    with pytest.raises(BundleError, match=f"{path.name}.*another size than the bundle"):
        open_bundle(path)
