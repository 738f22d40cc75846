"""The options that set a look, on real bundles of tiny networks; which options there are comes from declarations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin
from edge_i2i.models.registry import get_family

Run = Callable[..., tuple[int, str, str]]
FOLDERS = pytest.TempPathFactory


def tiny_bundle(model: str, architecture: str, folder: Path) -> Path:
    family = get_family(model)
    config = family.tiny(family.architectures()[architecture])
    loaded = LoadedModel(family, family.random(config, 5), WeightsOrigin.RANDOM, None, None)
    output = folder / f"{model}.i2i"
    export_bundle(loaded, family.tiny_size, output, ExportOptions(precisions=("fp32",), threads=2))
    return output


@pytest.fixture(scope="module")
def munit(tmp_path_factory: FOLDERS) -> Path:
    return tiny_bundle("munit", "MUNIT", tmp_path_factory.mktemp("munit"))


@pytest.fixture(scope="module")
def init(tmp_path_factory: FOLDERS) -> Path:
    return tiny_bundle("init", "INIT, box-aware (ours)", tmp_path_factory.mktemp("init"))


@pytest.fixture(scope="module")
def lomit(tmp_path_factory: FOLDERS) -> Path:
    return tiny_bundle("lomit", "given mask (ours)", tmp_path_factory.mktemp("lomit"))


@pytest.fixture(scope="module")
def bridgegan(tmp_path_factory: FOLDERS) -> Path:
    return tiny_bundle("bridgegan", "CelebA, 14 attributes, blend", tmp_path_factory.mktemp("bridgegan"))


@pytest.fixture
def files(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for name, size in (("frame", (48, 64)), ("a", (60, 40)), ("b", (64, 64)), ("small", (9, 64))):
        coarse = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"{name}.png"), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR))
    mask = np.zeros((48, 64), np.uint8)
    cv2.imwrite(str(tmp_path / "nowhere.png"), mask)
    mask[:, 32:] = 255
    cv2.imwrite(str(tmp_path / "right.png"), mask)
    return tmp_path


def translated(run_verb: Run, bundle: Path, files: Path, *options: object) -> np.ndarray:
    target = files / "result.png"
    code, _, err = run_verb("translate", bundle, files / "frame.png", *options, "--output", target, "--threads", 2)
    assert code == 0, err
    picture = cv2.imread(str(target))
    assert picture.shape == (48, 64, 3)
    return picture.astype(int)


def complaint(run_verb: Run, bundle: Path, files: Path, *options: object) -> tuple[int, str]:
    code, _, err = run_verb("translate", bundle, files / "frame.png", *options, "--output", files / "no.png")
    assert not (files / "no.png").exists()
    return code, err


def test_exemplars_seeds_and_what_lies_between(run_verb: Run, munit: Path, files: Path) -> None:
    first = translated(run_verb, munit, files, "--exemplar", files / "a.png")
    seeded = translated(run_verb, munit, files, "--style-seed", 3)
    assert np.abs(first - seeded).max() > 5
    assert np.array_equal(seeded, translated(run_verb, munit, files, "--style-seed", 3))
    for share, end in ((0, first), (1, seeded)):
        mixed = translated(run_verb, munit, files, "--style-mix", files / "a.png", 3, share)
        assert np.abs(mixed - end).max() <= 1
    between = translated(run_verb, munit, files, "--style-mix", files / "a.png", 3, 0.5)
    assert np.abs(between - first).max() > 2 < np.abs(between - seeded).max()


def test_a_bundle_says_what_it_takes(run_verb: Run, munit: Path, init: Path, lomit: Path, bridgegan: Path) -> None:
    def options(bundle: Path) -> set[str]:
        code, out, _ = run_verb("translate", bundle, "--help")
        assert code == 0
        lines = out.partition(f"What {bundle} takes:")[2].splitlines()
        return {line.split()[0] for line in lines if line.strip()}

    assert options(munit) == {"INPUT", "--exemplar", "--style-seed", "--style-mix"}
    assert options(init) == {"INPUT", "--exemplar", "--style-seed", "--style-mix", "--boxes"}
    assert options(lomit) == {"INPUT", "--exemplar", "--mask"}
    assert {"--attributes", "--source-attributes", "--style-mix", "--exemplar"} <= options(bridgegan)
    code, out, _ = run_verb("translate", "no-such.i2i", "--help")
    assert code == 0 and "no-such.i2i" in out


def test_attributes_by_name_and_a_slider_between_two_styles(run_verb: Run, bridgegan: Path, files: Path) -> None:
    a, b = files / "a.png", files / "b.png"
    smiling = ("--attributes", "Smiling=1,Bangs=1", "--source-attributes", "Male=1")
    first = translated(run_verb, bridgegan, files, *smiling, "--exemplar", a)
    second = translated(run_verb, bridgegan, files, *smiling, "--exemplar", b)
    sad = translated(run_verb, bridgegan, files, "--source-attributes", "Smiling=1,Bangs=1", "--exemplar", a)
    assert np.abs(first - sad).max() > 2 and np.abs(first - second).max() > 2
    for share, end in ((0, first), (1, second)):
        mixed = translated(run_verb, bridgegan, files, *smiling, "--style-mix", a, b, share)
        assert np.abs(mixed - end).max() <= 1


def test_a_mask_says_where(run_verb: Run, lomit: Path, files: Path) -> None:
    look = ("--exemplar", files / "a.png")
    nowhere = translated(run_verb, lomit, files, *look, "--mask", files / "nowhere.png")
    right = translated(run_verb, lomit, files, *look, "--mask", files / "right.png")
    assert not np.array_equal(nowhere, right)
    code, err = complaint(run_verb, lomit, files, *look, "--mask", files / "a.png")
    assert code == 4 and "differ in size" in err


def test_boxes_carry_styles_of_their_own(run_verb: Run, init: Path, files: Path) -> None:
    path = files / "boxes.json"
    plain = translated(run_verb, init, files, "--style-seed", 1)
    path.write_text("[[0, 0, 64, 48]]")
    assert np.abs(translated(run_verb, init, files, "--style-seed", 1, "--boxes", path) - plain).max() <= 1
    path.write_text(json.dumps({"boxes": [{"box": [0, 0, 64, 48], "style_seed": 2}]}))
    whole = ("--fit", "stretch")  # a letterbox's borders would belong to no box
    everywhere = translated(run_verb, init, files, "--style-seed", 1, "--boxes", path, *whole)
    assert np.abs(everywhere - translated(run_verb, init, files, "--style-seed", 2, *whole)).max() <= 1
    path.write_text(json.dumps({"boxes": [{"box": [32, 0, 64, 48], "exemplar": "a.png"}, [0, 0, 8, 8]]}))
    assert np.abs(translated(run_verb, init, files, "--style-seed", 1, "--boxes", path) - plain).max() > 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[[0, 0, 65, 48]]", "lies outside the frame"),
        ("[[-1, 0, 64, 48]]", "lies outside the frame"),
        ("[[8, 8, 8, 20]]", "empty or upside down"),
        ("[[0, 0, 4, 4]]".replace("[[", "[" + "[0, 0, 4, 4], " * 40 + "["), "has room for"),
        ("[[0, 0, 4]]", "every box is four numbers"),
        ("[[0, 0, 4, 4, 8, 8, 12, 12]]", "every box is four numbers"),
        ('[{"box": [0, 0, 4, 4], "style_seed": "red"}]', "'red' is no style_seed"),
        ('{"boxes": 3}', "holds no list of boxes"),
        ('[{"bax": [0, 0, 4, 4]}]', "is no box"),
        ("not json", "cannot be read as boxes"),
    ],
)
def test_bad_boxes_are_refused(run_verb: Run, init: Path, files: Path, content: str, message: str) -> None:
    (files / "boxes.json").write_text(content)
    code, err = complaint(run_verb, init, files, "--style-seed", 1, "--boxes", files / "boxes.json")
    assert (code, message in err) == (4, True), err


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        ([], 2, "needs a look before the first frame"),
        (["--exemplar", "small.png"], 4, "too small to take a look from"),
        (["--exemplar", "nothing.png"], 4, "nothing.png"),
        (["--style-seed", "1", "--style-mix", "1", "2", "0.5"], 2, "exclude each other"),
        (["--style-mix", "1", "2", "1.5"], 2, "out of range"),
        (["--attributes", "Smiling=1"], 2, "cannot be conditioned on attributes"),
        (["--style-seed", "1", "--mask", "right.png"], 2, "cannot be conditioned on mask"),
        (["--style-seed", "1", "--exemplar", "a.png"], 2, "two ways at once"),
    ],
)
def test_bad_looks_are_refused(
    run_verb: Run, munit: Path, files: Path, options: list[str], code: int, message: str
) -> None:
    given = [files / text if text.endswith(".png") else text for text in options]
    got, err = complaint(run_verb, munit, files, *given)
    assert (got, message in err) == (code, True), err


def test_bad_attributes_are_refused(run_verb: Run, bridgegan: Path, files: Path) -> None:
    seen = [
        complaint(run_verb, bridgegan, files, "--exemplar", files / "a.png", "--attributes", text)
        for text in ("Smilling=1", "Smiling=yes", "Smiling=3")
    ]
    assert [code for code, _ in seen] == [2, 2, 2]
    assert "Did you mean 'Smiling'?" in seen[0][1]
    assert "Write Smiling=1,Bangs=0" in seen[1][1]
    assert "out of range" in seen[2][1]


def test_export_tells_the_model_from_the_checkpoint(run_verb: Run, tmp_path: Path) -> None:
    family = get_family("unit2017")
    network = family.random(family.tiny(family.architectures()["COCOResGen2"]), 1).generator
    torch.save(network.state_dict(), tmp_path / "cat2tiger.pkl")
    common = ("--size", "32x32", "--precision", "fp32", "--threads", 2, "--output", tmp_path / "net.i2i")
    code, _, err = run_verb("export", "onnx", "--checkpoint", tmp_path / "cat2tiger.pkl", *common)
    assert code == 2 and "--set variant=" in err, err
    answers = ("--set", "variant=COCOResGen2", "--direction", "b2a")
    code, _, err = run_verb("export", "onnx", "--checkpoint", tmp_path / "cat2tiger.pkl", *answers, *common)
    assert code == 0, err
    config = json.loads(run_verb("inspect", tmp_path / "net.i2i", "--json")[1])["model"]["config"]
    assert (config["direction"], config["variant"]) == ("b2a", "COCOResGen2")


def test_models_lists_every_model(run_verb: Run) -> None:
    code, out, _ = run_verb("models")
    assert code == 0 and "munit" in out and "182.44" in out
    code, out, _ = run_verb("models", "munit")
    assert code == 0 and "encode_style ← exemplar" in out and "every graph builds" in out
    assert {row["model"] for row in json.loads(run_verb("models", "--json")[1])["models"]} >= {"munit", "lomit"}
    code, _, err = run_verb("models", "mnuit")
    assert code == 2 and "Known models" in err
