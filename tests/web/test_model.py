"""The translator behind the tabs: looks as tabs chose them, kept within bounds; networks that begin with nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

import edge_i2i
from edge_i2i.bundle.golden import golden_input
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec, picture_spec
from edge_i2i.errors import UsageError
from edge_i2i.translate.conditions import Look
from edge_i2i.web.looks import Base, BaseKind, ChosenLook
from edge_i2i.web.model import LOOKS_KEPT, TranslatorModel, model_loader
from edge_i2i.web.styles import LooksTaken, named_styles, own_styles
from edge_i2i.web.uploads import Exemplars
from samples.calibration import MODEL
from samples.web.page import write_tint
from samples.web.tab_client import photo

SIZE = Size(32, 32)


def model_of(bundle: Path, exemplars: Exemplars | None = None) -> TranslatorModel:
    opened = open_bundle(bundle)
    takes = LooksTaken.by(opened)
    find = (exemplars or Exemplars(1 << 20)).find
    load = model_loader(
        lambda: edge_i2i.load(bundle, engine="onnxruntime", threads=1), opened, takes, own_styles(opened, takes), find
    )
    model = load(lambda note: None)
    assert isinstance(model, TranslatorModel)
    return model


def seed(
    number: int, other: Base | None = None, mix: float = 1.0, attributes: tuple[tuple[str, float], ...] = ()
) -> ChosenLook:
    return ChosenLook(Base(BaseKind.SEED, str(number)), other, mix, attributes)


@pytest.fixture(scope="module")
def tint_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tint(tmp_path_factory.mktemp("tint") / "tint.i2i")


@pytest.fixture
def tint(tint_bundle: Path) -> Iterator[TranslatorModel]:
    model = model_of(tint_bundle)
    yield model
    model.close()


def test_a_look_is_found_again_and_holds_whatever_came_between(tint: TranslatorModel) -> None:
    first = tint.look(seed(1))
    before = tint.translate(photo(), first)
    second = tint.look(seed(2, attributes=(("Negative", 1.0),)))
    other = tint.translate(photo(), second)
    np.testing.assert_array_equal(tint.translate(photo(), first), before)
    np.testing.assert_array_equal(tint.translate(photo(), second), other)
    assert tint.look(seed(1)) is first
    assert np.abs(before.astype(int) - other).mean() > 5


def test_looks_are_kept_within_bounds_and_one_that_is_worn_stays_good(tint: TranslatorModel) -> None:
    worn = tint.look(seed(0))
    before = tint.translate(photo(), worn)
    for number in range(1, LOOKS_KEPT + 5):
        tint.look(seed(number))
    assert tint.look(seed(0)) is not worn  # forgotten, and computed again
    np.testing.assert_array_equal(tint.translate(photo(), worn), before)


def test_a_mix_lies_between_its_ends_with_the_attributes_of_both(tint: TranslatorModel) -> None:
    ends = seed(1), seed(2, other=Base(BaseKind.SEED, "1"))
    first, second = (tint.translate(photo(), tint.look(chosen)).astype(int) for chosen in ends)
    for share, wanted in ((0.0, first), (0.5, (first + second) / 2)):
        mixed = tint.look(seed(2, other=Base(BaseKind.SEED, "1"), mix=share))
        assert np.abs(tint.translate(photo(), mixed) - wanted).max() <= 1.5
    negative = seed(2, other=Base(BaseKind.SEED, "1"), mix=0.0, attributes=(("Negative", 1.0),))
    # rounded once by the network and once on the way back to the picture's size
    assert np.abs(tint.translate(photo(), tint.look(negative)) - (255 - first)).max() <= 2


def test_a_failed_look_leaves_the_next_one_whole(tint: TranslatorModel) -> None:
    before = tint.translate(photo(), tint.look(ChosenLook()))
    with pytest.raises(UsageError, match="no 'Smilling'"):
        tint.look(ChosenLook(attributes=(("Smilling", 1.0),)))
    tint.look(ChosenLook(attributes=(("Negative", 1.0),)))
    np.testing.assert_array_equal(tint.translate(photo(), tint.look(ChosenLook())), before)


def test_styles_offer_seeds_and_single_attributes(tint_bundle: Path) -> None:
    opened = open_bundle(tint_bundle)
    styles = own_styles(opened, LooksTaken.by(opened))
    assert [style.id for style in styles] == [f"seed-{n}" for n in range(8)] + [
        "attribute-negative",
        "attribute-mirrored",
    ]
    assert [style.title for style in styles[-2:]] == ["Negative", "Mirrored"]
    assert [style.id for style in named_styles({"Café 5": {}, "café?": {}})] == ["0-caf-5", "1-caf"]


# A network that begins with nothing -----------------------------------------------------------------------------

_FRAME = """<ir_version: 10, opset_import: ["" : 18]>
f (uint8[32,32,3] frame, uint8[32,32] mask, float[3] style) => (uint8[32,32,3] image)
<int64[1] last = {2}, float white = {255.0}> {
    picture = Cast<to=1>(frame)
    inside = Cast<to=1>(mask)
    where = Unsqueeze(inside, last)
    share = Div(where, white)
    added = Mul(share, style)
    sum = Add(picture, added)
    half = Constant<value = float {0.5}> ()
    scaled = Mul(sum, half)
    image = Cast<to=2>(scaled)
}"""
_ENCODE = """<ir_version: 10, opset_import: ["" : 18]>
e (uint8[32,32,3] exemplar) => (float[3] style) <int64[2] sides = {0, 1}> {
    floats = Cast<to=1>(exemplar)
    style = ReduceMean<keepdims=0>(floats, sides)
}"""


@pytest.fixture(scope="module")
def bare_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It needs an exemplar and a mask, and draws nothing by itself."""
    style = TensorSpec("style", Role.STYLE, (3,), DType.FLOAT32, 0, 255, "a colour")
    mask = TensorSpec("mask", Role.MASK, (32, 32), DType.UINT8, 0, 255, "where")
    exemplar = picture_spec("exemplar", Role.EXEMPLAR, SIZE, "whose colour is taken")
    frame = picture_spec("frame", Role.FRAME, SIZE, "the camera's picture")
    image = picture_spec("image", Role.IMAGE, SIZE, "the result")
    graphs = {
        GraphDeclaration("frame", GraphKind.FRAME, (frame, mask, style), (image,)): _FRAME,
        GraphDeclaration("encode", GraphKind.CONDITION, (exemplar,), (style,)): _ENCODE,
    }
    path = tmp_path_factory.mktemp("bare") / "bare.i2i"
    with BundleWriter(path) as writer:
        for declaration, text in graphs.items():
            stored = onnx.shape_inference.infer_shapes(onnx.parser.parse_model(text), strict_mode=True)
            writer.add_graph(declaration, variant="fp32", precision="fp32", opset=18, onnx=stored.SerializeToString())
        example = np.full((32, 32, 3), (200, 100, 0), np.uint8)
        writer.add_golden({golden_input("encode", 0, "exemplar"): example})
        writer.finish(name="bare", model=MODEL, size=SIZE, recipe={})
    return path


def test_a_network_that_needs_a_look_begins_with_the_bundles_own_example(bare_bundle: Path) -> None:
    model = model_of(bare_bundle)
    black = np.zeros((20, 20, 3), np.uint8)
    image = model.translate(black, model.look(ChosenLook()))
    assert image.shape == black.shape
    np.testing.assert_array_equal(image[0, 0], (100, 50, 0))  # everywhere: the mask is all of the frame
    model.close()


def test_an_exemplar_is_worn_also_when_it_is_not_kept_any_more(bare_bundle: Path) -> None:
    exemplars = Exemplars(1 << 20)
    model = model_of(bare_bundle, exemplars)
    number = exemplars.add(np.full((32, 32, 3), (0, 0, 80), np.uint8))
    look = model.look(ChosenLook(Base(BaseKind.EXEMPLAR, number)))
    assert isinstance(look, Look)
    np.testing.assert_array_equal(model.translate(np.zeros((32, 32, 3), np.uint8), look)[5, 5], (0, 0, 40))
    with pytest.raises(UsageError, match="cannot mix"):
        model.look(ChosenLook(Base(BaseKind.EXEMPLAR, number), mix=0.5))
    model.close()


def test_the_look_of_another_network_is_refused(bare_bundle: Path, tint_bundle: Path) -> None:
    with (
        edge_i2i.load(tint_bundle, engine="onnxruntime") as tint,
        edge_i2i.load(bare_bundle, engine="onnxruntime") as bare,
    ):
        tint.condition(style_seed=1, attributes={"Negative": 1})
        with pytest.raises(UsageError, match="another network's"):
            bare.use(tint.look)
