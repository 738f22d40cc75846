"""INIT: mode A is MUNIT's networks; mode B, ours, gives boxes styles of their own and is exact where it must be."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from edge_i2i.contract import Role, Size
from edge_i2i.errors import CheckpointError, UsageError
from edge_i2i.models.family import Fidelity
from edge_i2i.models.init.boxes import box_shares, spread_modulations
from edge_i2i.models.init.model import FAMILY, INIT, InitConfig
from edge_i2i.models.munit import model as munit
from edge_i2i.models.munit.model import ADAIN_AS_INPUT

SIZE = Size(32, 48)
FULL_BOX = (0.0, 0.0, 48.0, 32.0)
TINY = replace(FAMILY.tiny(InitConfig()), n_res=2)
BOXED = replace(TINY, box_aware=True)


@pytest.fixture(scope="module")
def plain() -> INIT:
    return FAMILY.random(TINY, seed=7)


@pytest.fixture(scope="module")
def boxed() -> INIT:
    return FAMILY.random(BOXED, seed=7)


def _frame() -> Tensor:
    return torch.rand(1, 3, SIZE.height, SIZE.width, generator=torch.Generator().manual_seed(0)) * 2 - 1


def _styles(count: int) -> Tensor:
    return torch.randn(1, count, TINY.style_dim, generator=torch.Generator().manual_seed(1)) * 2


def _boxes(*boxes: tuple[float, float, float, float]) -> Tensor:
    rows = torch.zeros(1, TINY.slots, 4)
    for row, box in enumerate(boxes):
        rows[0, row] = torch.tensor(box)
    return rows


def _translate(model: INIT, style: Tensor) -> Tensor:
    translate, _, modulate = (graph.module for graph in model.graphs(SIZE))
    picture: Tensor = translate(_frame(), modulate(style))
    return picture


def _translate_boxed(model: INIT, boxes: Tensor, style: Tensor, objects: Tensor) -> Tensor:
    translate, _, modulate, modulate_objects = (graph.module for graph in model.graphs(SIZE))
    picture: Tensor = translate(_frame(), boxes, modulate(style), modulate_objects(objects))
    return picture


def test_nothing_was_published_and_it_says_so() -> None:
    assert FAMILY.fidelity is Fidelity.OURS
    assert list(FAMILY.architectures().values()) == [InitConfig(), InitConfig(box_aware=True)]
    assert not FAMILY.full_config().box_aware


@torch.no_grad()
def test_mode_a_computes_what_munit_computes(plain: INIT) -> None:
    state = plain.pair.state_dict()
    twin = munit.FAMILY.load({"generators": state}, munit.FAMILY.infer_config({"generators": state}, {}))
    ours, theirs = plain.graphs(SIZE), twin.graphs(SIZE)
    assert [graph.declaration for graph in ours] == [graph.declaration for graph in theirs]
    adain = theirs[2].module(_styles(1)[0])
    torch.testing.assert_close(ours[0].module(_frame(), adain), theirs[0].module(_frame(), adain), rtol=0, atol=0)


def test_munit_files_load_and_both_modes_read_the_same(plain: INIT) -> None:
    states = {"generators": plain.pair.state_dict()}
    assert FAMILY.infer_config(states, {}) == replace(TINY, slots=InitConfig.slots)
    told = FAMILY.parse_overrides({"box_aware": "true", "slots": "3"})
    config = FAMILY.infer_config(states, told)
    assert config == BOXED
    assert len(FAMILY.load(states, config).graphs(SIZE)) == 4


def test_files_with_munits_keys_are_left_to_munit(plain: INIT) -> None:
    assert FAMILY.recognise(plain.pair.state_dict()) is None
    assert FAMILY.recognise({}) is None


def test_unshared_object_networks_are_recognised_and_refused(plain: INIT) -> None:
    state = dict(plain.pair.state_dict())
    state |= {key.replace(".mlp.", ".mlp_o."): value for key, value in state.items() if ".mlp." in key}
    state |= {key.replace(".dec.", ".dec_o."): value for key, value in state.items() if ".dec." in key}
    assert FAMILY.recognise(state) == "generators with networks of their own for objects (dec_o, mlp_o)"
    for read in (
        lambda: FAMILY.infer_config({"generators": state}, {}),
        lambda: FAMILY.load({"generators": state}, TINY),
    ):
        with pytest.raises(CheckpointError, match=r"of their own for objects \(dec_o, mlp_o\)") as refusal:
            read()
        assert "shared weights" in refusal.value.remedy


@pytest.mark.parametrize("slots", [0, 257])
def test_impossible_slots_are_refused(slots: int) -> None:
    with pytest.raises(UsageError, match=f"slots={slots}"):
        InitConfig(slots=slots)


def test_the_box_aware_graphs_and_their_tensors(boxed: INIT) -> None:
    graphs = {graph.declaration.name: graph.declaration for graph in boxed.graphs(SIZE)}
    assert list(graphs) == ["frame", "encode_style", "modulate", "modulate_objects"]
    frame, objects = graphs["frame"], graphs["modulate_objects"]
    assert [(spec.name, spec.role, spec.shape) for spec in frame.inputs] == [
        ("frame", Role.FRAME, (32, 48, 3)),
        ("boxes", Role.BOXES, (3, 4)),
        ("adain", Role.STYLE, (128,)),
        ("object_adain", Role.STYLE, (3, 128)),
    ]
    assert objects.outputs == frame.inputs[3:]
    assert graphs["modulate"].outputs == frame.inputs[2:3]
    styles = objects.inputs[0]
    assert (styles.name, styles.shape, styles.stack_of, styles.drawn) == ("object_styles", (3, 8), "style", True)
    assert (frame.inputs[1].default, frame.inputs[1].high) == (0, 48)


@torch.no_grad()
def test_without_boxes_mode_b_is_mode_a(plain: INIT, boxed: INIT) -> None:
    style = _styles(1)[0]
    got = _translate_boxed(boxed, _boxes(), style, _styles(3))
    torch.testing.assert_close(got, _translate(plain, style), rtol=0, atol=1e-5)


@pytest.mark.parametrize("slot", [0, 2])
@torch.no_grad()
def test_a_box_over_the_whole_frame_is_mode_a_with_its_style(plain: INIT, boxed: INIT, slot: int) -> None:
    objects = _styles(3)
    boxes = _boxes(*[(0.0, 0.0, 0.0, 0.0)] * slot, FULL_BOX)
    got = _translate_boxed(boxed, boxes, torch.ones(1, TINY.style_dim), objects)
    torch.testing.assert_close(got, _translate(plain, objects[:, slot]), rtol=0, atol=1e-5)


@torch.no_grad()
def test_boxes_with_the_frames_own_style_change_nothing(plain: INIT, boxed: INIT) -> None:
    style = _styles(1)[0]
    boxes = _boxes((4, 4, 30, 20), (20, 10, 48, 32), (0, 0, 11, 32))
    got = _translate_boxed(boxed, boxes, style, style.expand(3, -1)[None])
    torch.testing.assert_close(got, _translate(plain, style), rtol=0, atol=1e-5)


@torch.no_grad()
def test_objects_styles_show_inside_their_boxes(boxed: INIT) -> None:
    style, objects = _styles(1)[0], _styles(3)[:, 1:2].expand(1, 3, -1)
    left = _translate_boxed(boxed, _boxes((0, 0, 16, 32)), style, objects)
    right = _translate_boxed(boxed, _boxes((32, 0, 48, 32)), style, objects)
    assert (left - right).abs().max() > 0.02
    other = _translate_boxed(boxed, _boxes((0, 0, 16, 32)), style, _styles(3)[:, 2:3].expand(1, 3, -1))
    assert (left - other).abs().max() > 0.02


@torch.no_grad()
def test_modulations_outside_a_box_are_the_frames(boxed: INIT) -> None:
    decoder = boxed.pair.target.dec
    shares = box_shares(torch.tensor([[8.0, 4.0, 20.0, 12.0]]), 8, 12, 4)
    vectors = torch.randn(2, decoder.adain_size, generator=torch.Generator().manual_seed(4))
    inside = torch.zeros(8, 12, dtype=torch.bool)
    inside[1:3, 2:5] = True
    spread = spread_modulations(decoder, vectors, shares, 8, 12)
    for background, box, maps in zip(
        decoder.modulations(vectors[:1]), decoder.modulations(vectors[1:]), spread, strict=True
    ):
        for outer, inner, got in zip(background, box, maps, strict=True):
            torch.testing.assert_close(got, torch.where(inside, inner, outer), rtol=0, atol=1e-6)


def _shares(*boxes: tuple[float, float, float, float]) -> Tensor:
    return box_shares(torch.tensor(boxes), 4, 6, 4).reshape(-1, 4, 6)


def test_a_position_belongs_to_the_box_that_holds_its_centre() -> None:
    background, box = _shares((2.0, 4.0, 10.1, 13.9))
    assert box.nonzero().tolist() == [[row, column] for row in (1, 2) for column in (0, 1, 2)]
    torch.testing.assert_close(background, 1 - box)


def test_overlapping_boxes_share_a_position_in_equal_parts() -> None:
    background, first, second, third = _shares((0, 0, 16, 16), (8, 0, 24, 16), (8, 8, 16, 16))
    assert first[0].tolist() == [1, 1, 0.5, 0.5, 0, 0]
    assert second[0].tolist() == [0, 0, 0.5, 0.5, 1, 1]
    torch.testing.assert_close(third[2], torch.tensor([0, 0, 1 / 3, 1 / 3, 0, 0]))
    assert not background.any()
    torch.testing.assert_close(background + first + second + third, torch.ones(4, 6))


def test_the_order_of_boxes_does_not_matter() -> None:
    boxes = ((0.0, 0.0, 16.0, 16.0), (8.0, 0.0, 24.0, 16.0))
    torch.testing.assert_close(_shares(*boxes)[[0, 2, 1]], _shares(*reversed(boxes)))


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (8, 8, 8, 16), (12, 4, 4, 12), (-20, -20, -1, -1), (3, 3, 5, 5)])
def test_boxes_that_hold_no_centre_count_for_nothing(box: tuple[float, float, float, float]) -> None:
    background, inside = _shares(box)
    assert not inside.any()
    assert background.all()


@torch.no_grad()
def test_the_mlp_inside_the_box_aware_frame_graph_changes_nothing(boxed: INIT) -> None:
    style, objects, boxes = _styles(1)[0], _styles(3), _boxes((4, 4, 30, 20), (20, 10, 48, 32))
    inside = boxed.graphs(SIZE, ())
    assert [graph.declaration.name for graph in inside] == ["frame", "encode_style"]
    assert [spec.name for spec in inside[0].declaration.inputs] == ["frame", "boxes", "style", "object_styles"]
    assert [rewrite.name for rewrite in boxed.rewrites] == [ADAIN_AS_INPUT.name]
    got = inside[0].module(_frame(), boxes, style, objects)
    torch.testing.assert_close(got, _translate_boxed(boxed, boxes, style, objects), rtol=0, atol=1e-6)
