from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import edge_i2i
from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.golden import golden_input, golden_output
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import BadInputError, BundleError, MissingRequirementError, PictureError, UsageError
from edge_i2i.translate.tensor_checks import renumber_instances
from edge_i2i.translate.translator import Translator

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def translator(rgb_bundle: Path):
    with edge_i2i.load(rgb_bundle, engine="onnxruntime", threads=2) as translator:
        yield translator


@pytest.fixture(scope="module")
def label_translator(label_bundle: Path):
    with edge_i2i.load(label_bundle, engine="onnxruntime", threads=2) as translator:
        yield translator


def picture(height: int, width: int) -> np.ndarray:
    return RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_frame_of_the_networks_size_gives_the_engines_picture(translator: Translator, rgb_bundle: Path) -> None:
    golden = open_bundle(rgb_bundle).golden()
    result = translator(golden[golden_input("frame", 0, "frame")])
    expected = golden[golden_output("frame", 0, "image")]
    assert result.dtype == np.uint8
    assert np.abs(result.astype(int) - expected.astype(int)).max() <= 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 150), width=st.integers(1, 150))
def test_any_size_comes_back_in_its_own_size(translator: Translator, height: int, width: int) -> None:
    assert translator(picture(height, width)).shape == (height, width, 3)


@pytest.mark.parametrize(("fit", "size"), [("stretch", (64, 96)), ("crop", (64, 96)), ("letterbox", (64, 32))])
def test_results_at_the_networks_scale(rgb_bundle: Path, fit: str, size: tuple[int, int]) -> None:
    """Of a letterboxed picture the mirrored borders are cut away again."""
    with edge_i2i.load(rgb_bundle, engine="onnxruntime", keep_size=False, fit=fit) as translator:
        assert translator(picture(200, 100)).shape == (*size, 3)


@pytest.mark.parametrize("fit", ["stretch", "letterbox", "crop"])
def test_every_fit_translates(rgb_bundle: Path, fit: str) -> None:
    with edge_i2i.load(rgb_bundle, engine="onnxruntime", fit=fit) as translator:
        assert translator(picture(120, 90)).ndim == 3


def test_run_into_gives_the_same_picture_without_allocating(translator: Translator) -> None:
    frame, target = picture(64, 96), np.zeros((64, 96, 3), np.uint8)
    translator.run_into(frame, target)
    assert np.array_equal(target, translator(frame))
    again = target.copy()
    translator.run_into({"frame": frame}, target)
    assert np.array_equal(target, again)


def test_the_frame_handed_in_is_not_changed_and_the_result_is_the_callers(translator: Translator) -> None:
    frame = picture(64, 96)
    before = frame.copy()
    first = translator(frame)
    kept = first.copy()
    translator(picture(64, 96))
    assert np.array_equal(frame, before)
    assert np.array_equal(first, kept)


def test_info_says_what_runs(rgb_bundle: Path) -> None:
    with edge_i2i.load(rgb_bundle) as translator:
        assert translator.info.picked == "by rule"
        assert translator.info.model == "pix2pixhd"
        assert translator.info.weights == "random"
    with edge_i2i.load(rgb_bundle, engine="torch", variant="fp16") as translator:
        assert (translator.info.picked, translator.info.variant) == ("as asked", "fp16")
        assert translator.info.session.engine == "torch"


def test_info_says_when_figures_decided_and_in_what_it_computes(quantized_bundle: Path, tmp_path: Path) -> None:
    from samples.qdq import latency

    path = Path(shutil.copy(quantized_bundle, tmp_path / "x.i2i"))
    with extend_bundle(path) as writer:
        writer.add_evidence(latency("int8-openvino", "openvino", 1.0))
        writer.finish_extended()
    with edge_i2i.load(path, threads=1) as translator:
        info = translator.info
        assert (info.variant, info.picked) == ("int8-openvino", "by figures measured on this processor")
        assert info.session.effective_precision.startswith("int8+")
        assert translator(picture(64, 96)).shape == (64, 96, 3)


def test_a_precision_can_be_forced(rgb_bundle: Path) -> None:
    with edge_i2i.load(rgb_bundle, engine="openvino", variant="fp16", precision="fp32") as translator:
        assert translator.info.session.effective_precision == "fp32"
    with pytest.raises(UsageError, match="cannot be told to compute"):
        edge_i2i.load(rgb_bundle, engine="onnxruntime", variant="fp32", precision="bf16")


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros(5, np.uint8),
    ],
)
def test_what_is_no_rgb_picture_is_refused(translator: Translator, frame: np.ndarray) -> None:
    with pytest.raises(PictureError) as error:
        translator(frame)
    assert error.value.exit_code == 4


def test_missing_and_unknown_inputs_are_named(translator: Translator) -> None:
    with pytest.raises(BadInputError, match="takes frame for every frame; it was given nothing"):
        translator()
    with pytest.raises(BadInputError, match="label_map"):
        translator(picture(8, 8), label_map=np.zeros((8, 8), np.uint8))


# Label mode -----------------------------------------------------------------------------------------------------


def maps(height: int, width: int) -> dict[str, np.ndarray]:
    labels = RNG.integers(0, 8, (height, width), dtype=np.uint8)
    return {"label_map": labels, "instance_map": labels.astype(np.int32)}


def test_a_network_with_features_asks_for_its_condition(label_bundle: Path) -> None:
    with (
        edge_i2i.load(label_bundle, engine="onnxruntime") as translator,
        pytest.raises(BadInputError, match="condition") as error,
    ):
        translator(**maps(64, 64))
    assert "exemplar and exemplar_instance_map" in error.value.remedy


def test_a_condition_is_kept_over_frames_and_changes_the_picture(label_translator: Translator) -> None:
    given = maps(64, 64)
    instances = np.repeat(np.arange(8, dtype=np.int32) * 1001, 512).reshape(64, 64)
    label_translator.condition(exemplar=picture(64, 64), exemplar_instance_map=instances)
    first = label_translator(**given)
    assert np.array_equal(label_translator(**given), first)
    label_translator.condition(features=np.full((3, 64, 64), 0.9, np.float32))
    assert not np.array_equal(label_translator(**given), first)


def test_conditions_with_names_and_types_are_the_same_conditions(label_translator: Translator) -> None:
    given, features = maps(64, 64), np.full((3, 64, 64), 0.9, np.float32)
    label_translator.condition(features=features)
    by_keyword = label_translator(**given)
    instances = np.repeat(np.arange(8, dtype=np.int32) * 1001, 512).reshape(64, 64)
    exemplar = edge_i2i.ConditionInputs(exemplar=picture(64, 64), exemplar_instance_map=instances)
    label_translator.condition_with(exemplar)
    assert not np.array_equal(label_translator(**given), by_keyword)
    label_translator.condition_with(edge_i2i.ConditionInputs(tensors={"features": features}))
    assert np.array_equal(label_translator(**given), by_keyword)


def test_an_exemplar_of_another_size_is_fitted(label_translator: Translator) -> None:
    label_translator.condition(exemplar=picture(50, 90), exemplar_instance_map=np.ones((50, 90), np.int32))
    assert label_translator(**maps(40, 30)).shape == (40, 30, 3)


def test_a_label_id_beyond_the_networks_classes_is_refused(label_translator: Translator) -> None:
    label_translator.condition(features=np.zeros((3, 64, 64), np.float32))
    given = maps(64, 64)
    given["label_map"][3, 4] = 8
    with pytest.raises(PictureError, match=r"'label_map' holds values 0..8; legal are 0..7") as error:
        label_translator(**given)
    assert error.value.exit_code == 4
    with pytest.raises(PictureError, match="legal are 0"):
        label_translator.run_into(given, np.zeros((64, 64, 3), np.uint8))


def test_a_negative_instance_id_is_refused(label_translator: Translator) -> None:
    given = maps(64, 64)
    given["instance_map"][0, 0] = -1
    with pytest.raises(PictureError, match="'instance_map' holds values -1"):
        label_translator(**given)


def test_maps_of_different_sizes_are_refused(label_translator: Translator) -> None:
    given = {**maps(64, 64), "instance_map": np.zeros((32, 64), np.int32)}
    with pytest.raises(PictureError, match="label_map 64x64, instance_map 32x64") as error:
        label_translator(**given)
    assert error.value.exit_code == 4


def test_unknown_conditions_list_what_the_bundle_takes(label_translator: Translator, translator: Translator) -> None:
    with pytest.raises(UsageError, match="'exemplar' alone is not enough") as error:
        label_translator.condition(exemplar=picture(64, 64))
    assert error.value.remedy == "Give exemplar_instance_map with it."
    with pytest.raises(UsageError, match="cannot be conditioned on colour") as error:
        label_translator.condition(colour=picture(64, 64))
    assert "exemplar, exemplar_instance_map" in error.value.remedy
    with pytest.raises(UsageError) as error:
        translator.condition(exemplar=picture(64, 64))
    assert "takes no conditions" in error.value.remedy


def test_a_translator_says_what_may_be_set_once(label_translator: Translator, translator: Translator) -> None:
    assert {spec.name for spec in label_translator.takes} == {"features", "exemplar", "exemplar_instance_map"}
    assert translator.takes == ()


def test_a_style_of_the_wrong_shape_is_refused(label_translator: Translator) -> None:
    with pytest.raises(BadInputError, match=r"must be float32\[3, 64, 64\]"):
        label_translator.condition(features=np.zeros((3, 32, 64), np.float32))


@given(st.lists(st.integers(0, 40_000), min_size=1, max_size=40))
def test_instances_are_renumbered_in_order(ids: list[int]) -> None:
    instances = np.array([ids], np.int32)
    numbered = renumber_instances(instances, slots=64)
    assert numbered.dtype == np.int32
    assert set(numbered.ravel()) == set(range(len(set(ids))))
    assert np.array_equal(np.unique(instances)[numbered], instances)


def test_too_many_instances_are_refused() -> None:
    with pytest.raises(PictureError, match="100 instances; this network pools over at most 64"):
        renumber_instances(np.arange(100, dtype=np.int32).reshape(10, 10), slots=64)


# Loading --------------------------------------------------------------------------------------------------------


def test_an_engine_that_is_not_here_is_an_error(rgb_bundle: Path) -> None:
    with pytest.raises(MissingRequirementError) as error:
        edge_i2i.load(rgb_bundle, engine="tensorrt")
    assert error.value.exit_code == 3


def test_what_is_no_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError) as error:
        edge_i2i.load(tmp_path / "nothing.i2i")
    assert error.value.exit_code == 4


class _Image:
    """A picture of another library, by the name of its module."""


_Image.__module__ = "PIL.PngImagePlugin"


@pytest.mark.parametrize(
    ("given", "what", "remedy"),
    [
        ("a.jpg", "must be a NumPy array, not str", "read_picture(path)"),
        (Path("a.jpg"), "must be a NumPy array, not", "read_picture(path)"),
        (_Image(), "not PIL._Image", 'image.convert("RGB")'),
        (torch.zeros(3, 4, 4), "not torch.Tensor", "tensor.numpy()"),
        ([[[0, 0, 0]]], "not list", "uint8 arrays [H, W, 3]"),
        (b"\x89PNG", "not bytes", "uint8 arrays [H, W, 3]"),
        (np.zeros((64, 64, 3), np.float32), "not float32 [64, 64, 3]", "np.round(picture * 255)"),
        (np.zeros((64, 64, 3), np.int64), "not int64 [64, 64, 3]", "astype(np.uint8)"),
        (np.zeros((3, 64, 64), np.uint8), "not uint8 [3, 64, 64]", "np.moveaxis(picture, 0, -1)"),
        (np.zeros((1, 3, 64, 64), np.float32), "[1, 3, 64, 64]", "picture[0]; its channels come first"),
        (np.zeros((64, 64), np.uint8), "not uint8 [64, 64]", "COLOR_GRAY2RGB"),
        (np.zeros((64, 64, 4), np.uint8), "not uint8 [64, 64, 4]", "picture[..., :3]"),
    ],
    ids=(
        "text",
        "path",
        "PIL",
        "tensor",
        "list",
        "bytes",
        "float32",
        "int64",
        "channels-first",
        "batch",
        "grey",
        "alpha",
    ),
)
def test_what_is_no_picture_is_told_how_to_become_one(
    translator: Translator, given: Any, what: str, remedy: str
) -> None:
    with pytest.raises(PictureError) as caught:
        translator(given)
    assert what in caught.value.what
    assert remedy in caught.value.remedy
    if not isinstance(given, np.ndarray):
        with pytest.raises(PictureError, match="must be a NumPy array"):
            translator.run_into(given, np.zeros((64, 96, 3), np.uint8))


def test_nothing_is_told_what_is_wanted(translator: Translator) -> None:
    with pytest.raises(BadInputError, match="given nothing") as caught:
        translator(None)
    assert "RGB picture" in caught.value.remedy


@pytest.mark.parametrize("target", [None, "out.png", torch.zeros(64, 96, 3)], ids=str)
def test_a_target_that_is_no_array_is_told_so(translator: Translator, target: Any) -> None:
    with pytest.raises(PictureError, match="must be a NumPy array"):
        translator.run_into(picture(64, 96), target)
