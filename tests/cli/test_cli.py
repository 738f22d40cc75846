"""The verbs as a user runs them: exit codes, messages, JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.bundle.reader import open_bundle

Run = Callable[..., tuple[int, str, str]]
MODEL = ["--model", "pix2pixhd"]
TINY = [*MODEL, "--random-weights", "--set", "ngf=8", "--set", "n_blocks_global=1", "--set", "n_downsample_global=1"]


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    return path


def test_version(run_verb: Run) -> None:
    code, out, _ = run_verb("--version")
    assert code == 0 and out.startswith("edge-i2i ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["export", "onnx", "--model", "pix2pixdh"], "Did you mean 'pix2pixhd'"),
        (["export", "onnx", *MODEL, "--random-weights", "--set", "ngff=3"], "Did you mean 'ngf'"),
        (["export", "onnx", *MODEL, "--random-weights", "--set", "ngf"], "write key=value"),
        (["export", "onnx", *MODEL, "--random-weights", "--set", "ngf=many"], "a value of type int is needed"),
        (["export", "onnx", *MODEL, "--set", "ngf=3"], "this needs --checkpoint or --random-weights"),
        (["export", "onnx"], "Give --model or --checkpoint. Known: pix2pixhd"),
        (["export", "onnx", *TINY, "--direction", "b2a"], "pix2pixhd has no direction to choose"),
        (["export", "onnx", *TINY, "--norm-mode", "eval"], "pix2pixhd has no norm-mode to choose"),
        (["export", "onnx", "--model", "munit", "--random-weights", "--direction", "up"], "Legal values: a2b, b2a"),
        (["export", "onnx", *TINY, "--rewrites", "faster"], "pix2pixhd has no rewrite 'faster'"),
        (["export", "onnx", *TINY, "--size", "512"], "is not a size"),
        (["export", "onnx", *TINY, "--size", "65x64"], "The nearest sizes that it can take: 64x64 or 66x64"),
        (["export", "onnx", *TINY, "--precision", "int4"], "Unknown precision"),
        (["export", "onnx", *TINY, "--passes", "drop-bias"], "There is no graph pass 'drop-bias'"),
        (["export", "onnx", *TINY, "--size", "64x64", "--output", "net.onnx"], "ends in .i2i"),
        (["export", "onnx", "--random-weights", "--checkpoint", "a.pth"], "exclude each other"),
        (["export", "trt", *TINY, "--runtime", "tensorflow"], "There is no TensorRT runtime"),
        (["export", "trt", *TINY, "--hardware-compatibility", "all"], "no compatibility level"),
        (["translate", "x.i2i"], "nothing to translate"),
        (["translate", "x.i2i", "y.png"], "Where shall the result go"),
        (["translate", "x.i2i", "y.png", "--output", "z.png", "--fit", "bend"], "There is no fit 'bend'"),
        (["nonsense"], "No such command"),
    ],
)
def test_wrong_usage_is_exit_code_2_with_a_remedy(run_verb: Run, arguments: list[str], complaint: str) -> None:
    code, out, err = run_verb(*arguments)
    assert code == 2, err
    assert complaint in err
    assert out == "" and "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["export", "onnx", "--checkpoint", "missing.pth"], "There is no checkpoint missing.pth"),
        (["inspect", "missing.i2i"], "missing.i2i"),
        (["verify", "missing.i2i"], "missing.i2i"),
    ],
)
def test_bad_input_is_exit_code_4(run_verb: Run, arguments: list[str], complaint: str) -> None:
    code, _, err = run_verb(*arguments)
    assert code == 4
    assert complaint in err


@pytest.mark.parametrize("arguments", [["--debug", "inspect", "missing.i2i"], ["inspect", "missing.i2i", "--debug"]])
def test_debug_shows_a_traceback_wherever_it_stands(run_verb: Run, arguments: list[str]) -> None:
    code, _, err = run_verb(*arguments)
    assert code == 4
    assert "Traceback" in err and "BundleError" in err


def test_inspect_shows_the_bundle(run_verb: Run, rgb_bundle: Path) -> None:
    code, out, _ = run_verb("inspect", rgb_bundle)
    assert code == 0
    for expected in ("pix2pixHD at 64x96", "uint8", "64×96×3", "fp16", "psnr_db", "random"):
        assert expected in out
    code, out, _ = run_verb("inspect", rgb_bundle, "--json")
    assert json.loads(out)["model"]["family"] == "pix2pixhd"


def test_verify_says_ok_and_a_flipped_byte_is_exit_code_4(run_verb: Run, rgb_bundle: Path, tmp_path: Path) -> None:
    code, out, _ = run_verb("verify", rgb_bundle, "--engine", "openvino", "--json")
    report = json.loads(out)
    assert code == 0
    assert report["checksums"] == "ok" and len(report["verdicts"]) == 2
    content = bytearray(rgb_bundle.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "damaged.i2i"
    damaged.write_bytes(content)
    code, _, err = run_verb("verify", damaged)
    assert code == 4 and "damaged.i2i" in err


def test_translate_a_picture(run_verb: Run, rgb_bundle: Path, photo: Path, tmp_path: Path) -> None:
    target = tmp_path / "painted.png"
    code, out, err = run_verb("translate", rgb_bundle, photo, "--output", target, "--engine", "onnxruntime")
    assert code == 0, err
    assert cv2.imread(str(target)).shape == (50, 70, 3)
    assert "onnxruntime" in err and "1 translated" in out


def test_translate_a_folder_reports_the_bad_one_and_resumes(
    run_verb: Run, rgb_bundle: Path, photo: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    photo.rename(folder / "good.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing")
    arguments = ["translate", rgb_bundle, folder, "--output", tmp_path / "out", "--engine", "onnxruntime"]
    code, out, err = run_verb(*arguments, "--json")
    report = json.loads(out)
    assert code == 4
    assert "broken.jpg" in err
    assert (report["translated"], len(report["failed"])) == (1, 1)
    code, out, _ = run_verb(*arguments, "--json")
    assert json.loads(out)["skipped_existing"] == 1


def test_heic_without_its_extra_is_exit_code_3_and_stops_no_folder(
    run_verb: Run, rgb_bundle: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(60))
    photo.rename(folder / "b.png")
    for source, made in ((folder / "a.heic", []), (folder, ["b.png"])):
        output = tmp_path / f"out-{source.stem}"
        code, _, err = run_verb("translate", rgb_bundle, source, "--output", output, "--engine", "onnxruntime")
        assert code == 3 and "pip install 'edge-i2i[heif]'" in err
        assert [path.name for path in output.glob("*.png")] == made


def test_translate_label_maps_with_an_exemplar(run_verb: Run, label_bundle: Path, photo: Path, tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 8, (64, 64), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "labels.png"), labels)
    cv2.imwrite(str(tmp_path / "instances.png"), labels)
    cv2.imwrite(str(tmp_path / "exemplar-instances.png"), np.zeros((50, 70), np.uint8))
    maps = ["--label-map", tmp_path / "labels.png", "--instance-map", tmp_path / "instances.png"]
    exemplar = ["--exemplar", photo, "--exemplar-instance-map", tmp_path / "exemplar-instances.png"]
    target = tmp_path / "street.png"
    code, _, err = run_verb("translate", label_bundle, *maps, *exemplar, "--output", target)
    assert code == 0, err
    assert cv2.imread(str(target)).shape == (64, 64, 3)
    cv2.imwrite(str(tmp_path / "labels.png"), labels + 8)
    code, _, err = run_verb("translate", label_bundle, *maps, *exemplar, "--output", target)
    assert code == 4 and "legal are 0..7" in err


def test_doctor_lists_every_engine_with_its_remedy(run_verb: Run) -> None:
    code, out, _ = run_verb("doctor")
    assert code == 0
    for name in ("onnxruntime", "openvino", "torch", "tensorrt", "rtx"):
        assert name in out
    engines = json.loads(run_verb("doctor", "--json")[1])["engines"]
    assert all(state["ok"] or (state["reason"] and state["remedy"]) for state in engines.values())
    assert engines["rtx"]["can_build"]


def test_export_trt_writes_a_bundle_and_an_rtx_engine(run_verb: Run, tmp_path: Path) -> None:
    bundle = tmp_path / "net.i2i"
    code, out, err = run_verb(
        "export", "trt", *TINY, "--size", "32x32", "--runtime", "rtx", "--output", bundle, "--threads", 2, "--json"
    )
    assert code == 0, err
    report = json.loads(out)
    assert {"bundle", "engine", "engine_status", "engine_runtime", "parity", "seconds"} <= report.keys()
    assert (report["engine_status"], report["engine_runtime"]) == ("built", "rtx")
    assert Path(report["engine"]).read_bytes()[:4] == b"vtrt"
    assert report["parity"]["frame"]["fp16"]["psnr_db"] >= 60
    code, out, _ = run_verb("export", "trt", "--bundle", bundle, "--runtime", "rtx", "--json")
    assert (code, json.loads(out)["engine_status"]) == (0, "cached")


def test_export_trt_without_tensorrt_is_exit_code_3_and_keeps_the_bundle(run_verb: Run, tmp_path: Path) -> None:
    from edge_i2i.engines.registry import get_engine

    if get_engine("tensorrt").availability().ok:
        pytest.skip("full TensorRT and a GPU are here")
    bundle = tmp_path / "net.i2i"
    code, _, err = run_verb("export", "trt", *TINY, "--size", "32x32", "--runtime", "tensorrt", "--output", bundle)
    assert code == 3
    assert "→" in err and "is finished and kept" in err
    open_bundle(bundle).verify_checksums()
