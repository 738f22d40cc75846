"""``edge-i2i quantize`` as a user runs it: a folder of pictures, real engines and a real clock, every exit code."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from samples.quantizing import painter_with, write_studio, write_studios
from samples.sensitive import LAYERS, SENSITIVE

PROGRAM = Path(__file__).parents[2] / "calibration" / "quantize.py"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``studio.i2i`` with a sensitive layer, ``mild/studio.i2i`` without, ``photos``, and a cache for all tests."""
    return write_studios(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def place(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with copies of both bundles, and the photographs."""
    shutil.copy(home / "studio.i2i", tmp_path / "studio.i2i")
    shutil.copy(home / "mild" / "studio.i2i", tmp_path / "mild.i2i")
    (tmp_path / "photos").symlink_to(home / "photos")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def quantize(run_verb: Run, home: Path) -> Run:
    """The verb, on one thread."""

    def run(bundle: str, *arguments: object) -> tuple[int, str, str]:
        given = arguments if "--data" in arguments else ("--data", "photos", *arguments)
        return run_verb("quantize", bundle, *given, "--threads", 1, "--cache", home / "cache")

    return run


def variants(path: str) -> tuple[str, ...]:
    return open_bundle(path).variants("frame")


def test_from_a_folder_of_pictures_to_variants_that_inspect_shows_and_verify_passes(
    place: Path, quantize: Run, run_verb: Run
) -> None:
    """Who is faster on so small a network is a matter of luck: ``--keep-slower`` keeps all of them."""
    code, out, err = quantize("mild.i2i", "--keep-slower")
    assert code == 0, err
    assert "5 samples over 5 pictures from photos" in out and "judged on 2 other pictures" in out
    assert "int8-tensorrt: added; not timed: nothing on the machine that quantized it runs this target" in out
    assert "dB to FP32 (at least 47), SSIM" in out and "dB to FP32 (at least 45), SSIM" in out
    assert "4 layers in INT8, 1 in float" in out and "makes the picture" in out
    assert "fp32 on openvino" in out and "int8-openvino on openvino" in out and "bundle  mild.i2i" in out
    assert "OpenVINO: calibrate, quantize and judge" in err and "Traceback" not in err
    shown = run_verb("inspect", "mild.i2i")[1]
    assert [name for name in variants("mild.i2i") if f"  variant {name} " in shown] == [
        "fp32",
        "int8-openvino",
        "int8-onnxruntime",
        "int8-tensorrt",
    ]
    (row,) = (line.split() for line in shown.splitlines() if line.split()[:2] == ["int8-openvino", "openvino"])
    assert len(row) >= 10, "latency and quality share a row"
    for engine in ("auto", "openvino", "onnxruntime"):
        code, out, err = run_verb("verify", "mild.i2i", "--engine", engine, "--threads", 1)
        assert code == 0, out + err


def test_json_is_one_object_and_nothing_else_is_on_stdout(place: Path, home: Path) -> None:
    """In a process of its own: what NNCF and the engines print would show."""
    command = [sys.executable, PROGRAM, "mild.i2i", "--data", "photos", "--threads", "1", "--json", "--keep-slower"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, command), "--cache", "cache"], capture_output=True, text=True, cwd=place, env=environment
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told["kept"]) == {"int8-openvino", "int8-onnxruntime", "int8-tensorrt"} and not told["missed"]
    by_name = {variant["variant"]: variant for variant in told["variants"]}
    assert by_name["int8-openvino"]["int8_layers"] == list(LAYERS[:-1])
    assert by_name["int8-tensorrt"]["quality"]["psnr_db"] > 45 and "emulated" in by_name["int8-tensorrt"]["judged_by"]
    assert {"variant", "engine", "p50_ms", "speed_to_fp32"} <= told["latency"][0].keys() and told["auto"]
    evidence = open_bundle(place / "mild.i2i").evidence("quality", "frame")
    assert evidence[0].command.startswith("quantize.py mild.i2i --data photos")


def test_mixed_names_the_layer_that_goes_back_to_float_and_its_price(place: Path, quantize: Run) -> None:
    code, out, err = quantize("studio.i2i", "--target", "openvino", "--keep-slower")
    assert code == 0, err
    lines = [line.strip() for line in out.splitlines()]
    assert any(line.startswith("in float: ") and SENSITIVE in line and "(for the budget)" in line for line in lines)
    assert any(line.startswith("of ") and "choices that were tried, this one gives" in line for line in lines)
    (without,) = (line for line in lines if line.startswith("with none of the layers in float for the budget: "))
    assert float(without.split(": ")[1].split(" dB")[0]) < 47
    assert variants("studio.i2i") == ("fp32", "mixed-openvino")


def test_a_budget_that_cannot_be_met_ends_with_5_and_json_is_whole_all_the_same(place: Path, quantize: Run) -> None:
    code, out, err = quantize("studio.i2i", "--target", "openvino", "--min-psnr", 90, "--json")
    assert code == 5
    told = json.loads(out)
    (name,) = told["missed"]
    assert told["kept_aside"] == "studio.below-budget" and told["variants"][0]["tried"]
    assert (place / "studio.below-budget" / f"{name}.onnx").exists()
    assert f"{name}: PSNR" in err and "studio.below-budget" in err and "Traceback" not in err
    assert variants("studio.i2i") == ("fp32",)


def test_a_latency_that_cannot_be_met_ends_with_5(place: Path, quantize: Run) -> None:
    code, out, err = quantize("mild.i2i", "--max-latency", 0.001)
    assert code == 5 and "more than 0.001 ms" in err
    assert "int8-openvino: BELOW BUDGET, kept aside in mild.below-budget: a frame takes" in out
    assert variants("mild.i2i") == ("fp32", "int8-tensorrt"), "what could not be timed is not refused"


def test_int8_does_not_search(place: Path, quantize: Run) -> None:
    code, out, _ = quantize("studio.i2i", "--target", "openvino", "--precision", "int8")
    assert code == 5 and "int8-openvino: BELOW BUDGET" in out and "tried" not in out


def test_a_recipe_of_sensitivity_is_followed(place: Path, quantize: Run, run_verb: Run, home: Path) -> None:
    shared = ("--data", "photos", "--threads", 1, "--cache", home / "cache")
    assert run_verb("sensitivity", "studio.i2i", *shared, "--min-psnr", 40, "--output", "recipe.json")[0] == 0
    code, out, err = quantize(
        "studio.i2i", "--target", "openvino", "--recipe", "recipe.json", "--precision", "int8", "--keep-slower"
    )
    assert code == 0, err
    assert f"in float: {SENSITIVE} (as asked)" in out and variants("studio.i2i") == ("fp32", "mixed-openvino")


def test_percentile_ranges_are_recorded(place: Path, quantize: Run) -> None:
    arguments = ("--target", "openvino", "--ranges", "percentile", "--output", "other.i2i", "--keep-slower")
    code, _, err = quantize("mild.i2i", *arguments)
    assert code == 0, err
    recipe: Any = open_bundle("other.i2i").manifest.recipe["quantize"]
    assert recipe["int8-openvino"]["ranges"] == "percentile" and variants("mild.i2i") == ("fp32",)


@pytest.mark.parametrize(
    ("budget", "complaint"),
    [(["--min-ssim", "nan"], "not a finite number"), (["--max-latency", "-3"], "-3 is not above 0")],
)
def test_budgets_that_are_no_such_number_are_wrong_usage(
    place: Path, quantize: Run, budget: list[str], complaint: str
) -> None:
    code, out, err = quantize("studio.i2i", *budget)
    assert (code, out) == (2, "") and complaint in err


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["--target", "openvin"], 2, "Did you mean 'openvino'"),
        (["--keep-float", "edgs"], 2, "no layer edgs"),
        (["--ranges", "entropy"], 2, "min-max, percentile"),
        (["--min-ssim", "7"], 2, "budget of 7 for SSIM"),
        (["--output", "there.onnx"], 2, "ends in .i2i"),
        (["--recipe", "wrong.json"], 4, "keeps layers in float that the graph does not have: edgs"),
        (["--recipe", "none.json"], 4, "cannot be read"),
        (["--data", "empty"], 4, "empty"),
        (["--data", "walls"], 4, "one colour"),
        (["--data", "nowhere"], 4, "nowhere"),
        (["--keep-float", "stem", "--keep-float", "edges", "--keep-float", "body", "--keep-float", "more"], 4, "stem"),
    ],
)
def test_errors_are_sentences_with_exit_codes(
    place: Path, quantize: Run, arguments: list[str], code: int, complaint: str
) -> None:
    (place / "wrong.json").write_text(json.dumps({"keep_float": ["edgs"]}))
    (place / "empty").mkdir()
    (place / "walls").mkdir()
    for grey in (0, 90, 255):
        cv2.imwrite(str(place / "walls" / f"{grey}.png"), np.full((48, 64, 3), grey, np.uint8))
    before = (place / "studio.i2i").read_bytes()
    found, out, err = quantize("studio.i2i", *arguments)
    assert (found, out) == (code, "") and complaint in err and "→" in err and "Traceback" not in err
    assert (place / "studio.i2i").read_bytes() == before


def test_without_data_it_asks_for_some(place: Path, run_verb: Run) -> None:
    code, out, err = run_verb("quantize", "studio.i2i")
    assert (code, out) == (2, "") and "Give --data" in err


def test_a_network_that_gives_nan_ends_with_4_and_names_the_layer(place: Path, quantize: Run) -> None:
    (place / "nan").mkdir()
    write_studio(place / "nan", graph=painter_with("body", lambda weight: weight * np.float32(np.nan)))
    code, out, err = quantize("nan/studio.i2i")
    assert (code, out) == (4, "") and "'body' holds NaN" in err


def test_a_bundle_without_fp32_ends_with_2(place: Path, quantize: Run) -> None:
    bundle = open_bundle("mild.i2i")
    with BundleWriter("half.i2i") as writer:
        graph = bundle.graph("frame", "fp32")
        writer.add_graph(graph.declaration, variant="fp16", precision="fp16", opset=18, onnx=graph.read())
        manifest = bundle.manifest
        writer.finish(name="half", model=manifest.model, size=manifest.size, recipe={})
    code, out, err = quantize("half.i2i")
    assert (code, out) == (2, "") and "no variant 'fp32'" in err and "--precision fp32" in err


def test_the_program_shows_an_example() -> None:
    shown = subprocess.run([sys.executable, PROGRAM, "--help"], capture_output=True, text=True, check=True).stdout
    assert "Example: edge-i2i quantize" in shown and "--max-latency" in shown and "exit code" in shown
