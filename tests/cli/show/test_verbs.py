"""What people type, expect or hand over by another name is answered with the right verb, or honestly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_i2i.models.cyclegan.networks import ResnetGenerator

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("verb", "right"),
    [
        *((verb, "edge-i2i translate BUNDLE INPUT") for verb in ("predict", "infer", "run", "test", "Inference")),
        *((verb, "edge-i2i live BUNDLE") for verb in ("webcam", "camera", "stream")),
        *((verb, "edge-i2i export onnx") for verb in ("convert", "onnx", "trt")),
        ("info", "edge-i2i inspect"),
        ("check", "edge-i2i verify"),
        ("web", "edge-i2i serve"),
        ("calibrate", "edge-i2i quantize"),
        ("optimize", "edge-i2i quantize"),
        ("help", "edge-i2i --help"),
        ("version", "edge-i2i --version"),
        ("transalte", "Did you mean 'translate'?"),
    ],
)
def test_another_name_is_answered_with_the_right_verb(run_verb: Run, verb: str, right: str) -> None:
    code, out, err = run_verb(verb, "city.i2i")
    assert (code, out) == (2, "")
    assert f"No such command '{verb}'." in err
    assert right in err


@pytest.mark.parametrize("verb", ["benchmark", "bench", "report", "distill", "evaluate"])
def test_what_is_not_there_yet_is_said_to_be_so(run_verb: Run, verb: str) -> None:
    code, _, err = run_verb(verb, "city.i2i")
    assert code == 2
    assert f"No such command '{verb}' yet." in err
    assert "edge-i2i" in err


@pytest.mark.parametrize(
    ("target", "answer"),
    [
        ("coreml", "No such command 'coreml' yet."),
        ("tflite", "No such command 'tflite' yet."),
        ("openvino", "with '--engine openvino'"),
        ("tensorrt", "edge-i2i export trt"),
        ("safetensors", "edge-i2i import FILE"),
        ("onx", "Did you mean 'onnx'?"),
    ],
)
def test_other_targets_of_export_are_answered(run_verb: Run, target: str, answer: str) -> None:
    code, _, err = run_verb("export", target, "--checkpoint", "G.pth")
    assert code == 2
    assert answer in err


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save(ResnetGenerator(3, 3, ngf=8, n_blocks=1).state_dict(), tmp_path / "latest_net_G.pth")
    return tmp_path / "latest_net_G.pth"


@pytest.mark.parametrize("verb", ["inspect", "verify", "translate", "live", "serve", "quantize"])
def test_a_checkpoint_in_a_bundles_place_is_told_what_can_be_done_with_it(
    run_verb: Run, checkpoint: Path, verb: str
) -> None:
    more = {
        "translate": [str(checkpoint), "--output", "o.png"],
        "live": ["--source", "pattern:", "--sink", "null"],
        "quantize": ["--data", "golden"],
    }
    code, _, err = run_verb(verb, str(checkpoint), *more.get(verb, []))
    assert code == 4
    assert "is not an edge-i2i bundle, but a torch file" in err
    assert f"edge-i2i import {checkpoint}" in err
    assert f"edge-i2i export onnx --checkpoint {checkpoint}" in err


def test_a_picture_in_a_bundles_place_is_told_the_order(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "photo.png"), np.zeros((20, 20, 3), np.uint8))
    code, _, err = run_verb(
        "translate", str(tmp_path / "photo.png"), str(rgb_bundle), "--output", str(tmp_path / "o.png")
    )
    assert code == 4
    assert "but a picture (PNG)" in err
    assert "The bundle comes first" in err


@pytest.mark.parametrize("arguments", [["import"], ["export", "onnx", "--checkpoint"]])
def test_a_bundle_in_a_checkpoints_place_is_called_finished(
    run_verb: Run, tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "city.i2i").mkdir()
    (tmp_path / "city.i2i" / "bundle.json").write_text("{}")
    code, _, err = run_verb(*arguments, str(tmp_path / "city.i2i"))
    assert code == 4
    assert "is a finished bundle, not a checkpoint" in err
    assert "edge-i2i inspect" in err


@pytest.mark.parametrize("name", ["a.png", "pictures"])
def test_pictures_in_a_verbs_place_are_told_what_translates_them(run_verb: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((8, 8, 3), np.uint8))
    code, _, err = run_verb(str(tmp_path / name))
    assert code == 2
    assert "and the command comes first" in err
    assert "edge-i2i translate BUNDLE INPUT" in err


def test_a_file_in_a_verbs_place_is_told_that_the_verb_comes_first(run_verb: Run, checkpoint: Path) -> None:
    code, _, err = run_verb(str(checkpoint))
    assert code == 2
    assert "the command comes first" in err
    assert "edge-i2i import FILE" in err
