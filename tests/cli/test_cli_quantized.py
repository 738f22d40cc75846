"""Quantized variants on the command line: what `inspect` shows, what `verify` and `translate` take."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.engines.registry import get_engine
from samples.qdq import latency

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def measured_bundle(quantized_bundle: Path, tmp_path: Path) -> Path:
    path = Path(shutil.copy(quantized_bundle, tmp_path / "measured.i2i"))
    graph = open_bundle(path).graph("frame", "int8-onnxruntime")
    with extend_bundle(path) as writer:
        writer.add_graph(
            graph.declaration,
            variant=graph.variant,
            precision="int8",
            opset=18,
            onnx=graph.read(),
            targets=graph.targets,
            label="slower than fp32 on this machine",
            recommended=False,
        )
        writer.add_evidence(latency("fp32", "openvino", 20.0, "fp32"))
        writer.add_evidence(latency("int8-openvino", "openvino", 12.5))
        writer.finish_extended()
    return path


def test_inspect_shows_who_may_read_a_variant_and_what_was_measured(run_verb: Run, measured_bundle: Path) -> None:
    code, out, _ = run_verb("inspect", measured_bundle)
    assert code == 0
    lines = out.splitlines()
    variants = {line.split()[1]: line for line in lines if line.startswith("  variant int8")}
    assert variants["int8-openvino"].endswith("for openvino")
    assert variants["int8-onnxruntime"].endswith("; only on request; slower than fp32 on this machine")
    heading = next(line for line in lines if "p50 ms" in line)
    assert heading.split() == [
        "variant",
        "engine",
        "float",
        "p50",
        "ms",
        "p10",
        "ms",
        "p90",
        "ms",
        "PSNR",
        "dB",
        "SSIM",
    ]
    rows = {tuple(line.split()[:3]): line.split() for line in lines[lines.index(heading) + 1 :]}
    assert rows["int8-openvino", "openvino", "12.5"][3:] == ["11.25", "15", "38.5", "0.99"], "two records, one line"
    assert rows["fp32", "openvino", "fp32"][3] == "20"
    assert "measured: frame on" in out and "psnr_db" in out, "parity is shown as before"


def test_inspect_json_has_targets_and_labels(run_verb: Run, measured_bundle: Path) -> None:
    report = json.loads(run_verb("inspect", measured_bundle, "--json")[1])
    (record,) = (item for item in report["graphs"][0]["variants"] if item["name"] == "int8-onnxruntime")
    assert (record["targets"], record["recommended"]) == (["onnxruntime"], False)


def test_verify_says_what_it_skipped(run_verb: Run, quantized_bundle: Path) -> None:
    code, out, _ = run_verb("verify", quantized_bundle, "--engine", "openvino", "--threads", 1)
    assert code == 0
    assert "int8-tensorrt    skipped: it was quantized for tensorrt" in out
    code, out, _ = run_verb("verify", quantized_bundle, "--engine", "openvino", "--threads", 1, "--json")
    assert {item["variant"] for item in json.loads(out)["skipped"]} == {"int8-onnxruntime", "int8-tensorrt"}


def test_verify_of_a_variant_for_another_engine(run_verb: Run, quantized_bundle: Path) -> None:
    code, _, err = run_verb("verify", quantized_bundle, "--engine", "openvino", "--variant", "int8-tensorrt")
    assert code == 1
    assert "was quantized for tensorrt" in err and "int8-openvino" in err


@pytest.mark.parametrize(
    ("engine", "precision", "code"), [("onnxruntime", "bf16", 2), ("auto", "int8", 2), ("openvino", "fp32", 0)]
)
def test_verify_in_a_forced_precision(run_verb: Run, rgb_bundle: Path, engine: str, precision: str, code: int) -> None:
    assert run_verb("verify", rgb_bundle, "--engine", engine, "--precision", precision)[0] == code


def test_translate_says_how_it_picked_and_can_be_forced(run_verb: Run, measured_bundle: Path, tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8))
    code, _, err = run_verb("translate", measured_bundle, photo, "--output", tmp_path / "a.png", "--threads", 1)
    assert code == 0, err
    assert "int8-openvino on openvino (int8+" in err and "by figures measured on this processor" in err
    assert "1 of 10 convolutions in INT8" in err
    forced = ["--engine", "openvino", "--variant", "fp32", "--precision", "bf16"]
    code, _, err = run_verb("translate", measured_bundle, photo, "--output", tmp_path / "b.png", *forced)
    assert code == (0 if "bf16" in get_engine("openvino").precisions_here() else 3), err
