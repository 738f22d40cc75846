"""A real bundle as a live process: the pictures of the translator itself, in stages, loaded and checked off-path."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import edge_i2i
from edge_i2i.bundle.manifest import ModelRecord
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.errors import BadInputError, PictureError, UsageError
from edge_i2i.live.frame import Origin
from edge_i2i.live.model.translation import TranslatorProcess, blank_frame, check_draws, translator_loader
from edge_i2i.live.model.upsampling import Upsampling
from edge_i2i.live.steps.flip import Flip, FlippedProcess, flipped
from edge_i2i.live.steps.ladder import LadderProcess
from edge_i2i.live.steps.picture_path import PicturePathOptions, build_process, picture_path_loader
from edge_i2i.live.steps.region import Region
from edge_i2i.live.steps.similarity import SimilarityOptions
from edge_i2i.live.steps.smoothing import SmoothingOptions
from edge_i2i.progress import NullProgress
from samples.pictures import frame, noise, scene

CAMERA = scene(120, 200)


class Heard(NullProgress):
    def __init__(self) -> None:
        self.steps: list[str] = []

    def start(self, total: int | None, what: str) -> None:
        self.steps.append(f"{total} {what}")

    def advance(self, n: int = 1, note: str = "") -> None:
        self.steps.append(note)

    def finish(self) -> None:
        self.steps.append("finished")


@pytest.fixture(scope="module")
def process(rgb_bundle: Path):
    process = translator_loader(rgb_bundle, engine="onnxruntime", threads=1)(NullProgress())
    yield process
    process.close()


@pytest.mark.parametrize("fit", ["letterbox", "stretch", "crop"])
def test_it_gives_what_the_translator_gives(rgb_bundle: Path, fit: str) -> None:
    with edge_i2i.load(rgb_bundle, engine="onnxruntime", threads=1, fit=fit) as translator:
        expected = translator(CAMERA)
        done = TranslatorProcess(translator)(frame(CAMERA))
    assert np.array_equal(done.image, expected)
    assert list(done.seconds) == ["prepare", "model", "finish"] and done.origin is Origin.TRANSLATED
    assert all(seconds >= 0 for seconds in done.seconds.values())


@pytest.mark.parametrize("how", list(Upsampling))
def test_the_size_of_results_is_chosen(rgb_bundle: Path, how: Upsampling) -> None:
    process = translator_loader(rgb_bundle, engine="onnxruntime", threads=1, upsample=how)(NullProgress())
    image = process(frame(CAMERA)).image
    process.close()
    assert image.shape == ((58, 96, 3) if how is Upsampling.NONE else (120, 200, 3))


def test_frames_are_not_written_to_and_results_are_the_receivers(process: TranslatorProcess) -> None:
    camera = CAMERA.copy()
    camera.setflags(write=False)
    first = process(frame(camera)).image
    kept = first.copy()
    process(frame(noise(120, 200)))
    assert np.array_equal(first, kept) and not np.shares_memory(first, camera)


def test_a_size_that_changes_between_frames_is_translated(process: TranslatorProcess) -> None:
    for size in ((120, 200), (33, 47), (64, 96), (1, 1)):
        assert process(frame(noise(*size))).image.shape == (*size, 3)


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))])
def test_what_is_no_picture_is_refused_and_the_next_one_is_translated(
    process: TranslatorProcess, image: np.ndarray
) -> None:
    with pytest.raises((BadInputError, PictureError)):
        process(frame(image))
    assert process(frame(CAMERA)).image.shape == CAMERA.shape


def test_the_loader_says_how_far_it_is_and_what_runs(rgb_bundle: Path) -> None:
    heard = Heard()
    process = translator_loader(rgb_bundle, engine="onnxruntime", variant="fp32", threads=1)(heard)
    process.close()
    assert heard.steps == ["3 steps", f"{rgb_bundle.name} is open", "its look is set", "it is warm", "finished"]
    assert (process.engine, process.effective_precision) == ("onnxruntime", "fp32")


def test_a_loader_that_fails_says_so_and_has_finished(rgb_bundle: Path) -> None:
    heard = Heard()
    with pytest.raises(UsageError):
        translator_loader(rgb_bundle, engine="none such")(heard)
    assert heard.steps == ["3 steps", "finished"]


def test_a_network_that_takes_maps_is_refused_with_the_reason(label_bundle: Path) -> None:
    with pytest.raises(UsageError, match=r"takes label_map.* for every frame; a live source gives pictures"):
        translator_loader(label_bundle, engine="onnxruntime", threads=1)(NullProgress())


def test_a_look_is_set_before_the_first_frame(rgb_bundle: Path) -> None:
    looked: list[object] = []
    process = translator_loader(rgb_bundle, engine="onnxruntime", threads=1, look=looked.append)(NullProgress())
    process.close()
    assert len(looked) == 1
    with pytest.raises(UsageError, match="takes no"):
        translator_loader(
            rgb_bundle, engine="onnxruntime", threads=1, look=lambda translator: translator.condition(style_seed=1)
        )(NullProgress())


def test_one_colour_all_over_is_taken_for_nan() -> None:
    check_draws(blank_frame(Size(8, 8)).image)
    with pytest.raises(BadInputError, match="NaN or infinities"):
        check_draws(np.full((8, 8, 3), (0, 0, 0), np.uint8))


@pytest.mark.parametrize("engine", ["onnxruntime", "openvino"])
def test_a_network_that_computes_nan_is_refused_when_it_is_warmed_up(engine: str, tmp_path: Path) -> None:
    bundle = scaling_bundle(tmp_path / "nan.i2i", factor=float("nan"))
    with pytest.raises(BadInputError, match="one colour all over"):
        translator_loader(bundle, engine=engine, threads=1)(NullProgress())


def scaling_bundle(target: Path, factor: float) -> Path:
    """A network that multiplies the picture by a number, with the ending that every frame graph has."""
    size = Size(16, 24)
    nodes = [
        helper.make_node("Cast", ["frame"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["float", "factor"], ["scaled"]),
        helper.make_node("Round", ["scaled"], ["round"]),
        helper.make_node("Clip", ["round", "low", "high"], ["clipped"]),
        helper.make_node("Cast", ["clipped"], ["image"], to=TensorProto.UINT8),
    ]
    values = {"factor": factor, "low": 0.0, "high": 255.0}
    tensors = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in values.items()]
    ends = [helper.make_tensor_value_info(name, TensorProto.UINT8, [16, 24, 3]) for name in ("frame", "image")]
    graph = helper.make_graph(nodes, "frame", ends[:1], ends[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    specs = [picture_spec(name, role, size, name) for name, role in (("frame", Role.FRAME), ("image", Role.IMAGE))]
    with BundleWriter(target) as writer:
        declaration = GraphDeclaration("frame", GraphKind.FRAME, (specs[0],), (specs[1],))
        content = model.SerializeToString()
        writer.add_graph(declaration, variant="fp32", precision="fp32", opset=18, onnx=content)
        record = ModelRecord(family="none", title="scaling", config={}, source="", licence="", weights="random")
        writer.finish(name="scaling", model=record, size=size, recipe={})
    return target


def test_every_step_together(rgb_bundle: Path) -> None:
    """Flip, region, similarity, smoothing and guided upsampling around one translator, on a camera's frames."""
    options = PicturePathOptions(
        upsample=Upsampling.GUIDED,
        flip=Flip.BOTH,
        region=Region.parse("0.25,0.25,0.5,0.5"),
        similarity=SimilarityOptions(),
        smoothing=SmoothingOptions(),
    )
    translator = edge_i2i.load(rgb_bundle, engine="onnxruntime", threads=1)
    process = build_process(translator, options)
    done = [process(frame(CAMERA, seq)) for seq in range(3)]
    process.close()
    assert [item.origin for item in done] == [Origin.TRANSLATED, Origin.REUSED, Origin.REUSED]
    for item in done:
        assert item.image.shape == CAMERA.shape
        assert np.array_equal(item.image[:30], CAMERA[:30]) and not np.array_equal(item.image, CAMERA)
    assert (process.engine, process.effective_precision) == ("onnxruntime", "fp32")


def test_a_camera_upside_down_is_translated_upright(process: TranslatorProcess) -> None:
    upright = process(frame(CAMERA)).image
    turned = FlippedProcess(process, Flip.BOTH)(frame(flipped(CAMERA, Flip.BOTH))).image
    assert np.array_equal(flipped(turned, Flip.BOTH), upright)


def test_variants_of_one_bundle_are_a_ladder(rgb_bundle: Path) -> None:
    rungs = [translator_loader(rgb_bundle, engine="onnxruntime", threads=1, variant=name) for name in ("fp32", "fp16")]
    process = picture_path_loader(rungs, PicturePathOptions(ladder_fps=5))(NullProgress())
    assert isinstance(process, LadderProcess) and process(frame(CAMERA)).image.shape == CAMERA.shape
    process.close()


def test_options_that_exclude_each_other_are_refused(rgb_bundle: Path) -> None:
    with pytest.raises(UsageError, match="camera's size"):
        PicturePathOptions(upsample=Upsampling.NONE, region=Region(0, 0, 9, 9))
    rung = translator_loader(rgb_bundle)
    with pytest.raises(UsageError, match="2 networks cannot translate one frame"):
        picture_path_loader([rung, rung])
    with pytest.raises(UsageError, match="two rungs"):
        picture_path_loader([rung], PicturePathOptions(ladder_fps=30))
