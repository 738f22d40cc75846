"""A device that only runs bundles needs no file of the rooms that make them: seen on a copy without those files."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge_i2i
from samples.web.served import assert_serves_and_ends

BUNDLE = Path(__file__).parent / "bundle" / "older" / "fixtures" / "schema-4.i2i"
MAKING = ("models", "graphs", "export", "learn", "cards", "quantize", "collect")
"""The rooms that make bundles, and those where making and running meet, but for the command."""
ENGINE = ("--engine", "onnxruntime", "--threads", "1")


@pytest.fixture(scope="module")
def device(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the package as a device has it, without the rooms that make bundles."""
    folder = tmp_path_factory.mktemp("device")
    leave_out = shutil.ignore_patterns("__pycache__", "ort", "npm")
    package = Path(edge_i2i.__file__).parent
    shutil.copytree(package, folder / "edge_i2i", ignore=leave_out)
    for room in MAKING:
        shutil.rmtree(folder / "edge_i2i" / room)
    cv2.imwrite(str(folder / "in.png"), np.full((40, 60, 3), 90, np.uint8))
    return folder


def started(device: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command of that package: ``python -m`` takes it from the current folder, before the installed one."""
    environment = {**os.environ, "PYTHONPATH": str(device)}
    command = [sys.executable, "-m", "edge_i2i", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=device, env=environment, stdout=pipe, stderr=pipe, text=True)


def ended(device: Path, *arguments: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr."""
    with started(device, *arguments) as process:
        out, err = process.communicate()
    return process.returncode, out, err


def test_it_verifies(device: Path) -> None:
    code, out, err = ended(device, "verify", str(BUNDLE), "--engine", "onnxruntime", "--json")
    assert code == 0, err
    assert [verdict["problem"] for verdict in json.loads(out)["verdicts"]] == ["", ""]


def test_it_translates(device: Path) -> None:
    code, _, err = ended(device, "translate", str(BUNDLE), "in.png", "--output", "out.png", *ENGINE)
    assert code == 0, err
    assert cv2.imread(str(device / "out.png")).shape == (40, 60, 3)


def test_it_runs_live(device: Path) -> None:
    source = ("--source", "pattern:64x64@30?frames=5", "--sink", "null")
    code, out, err = ended(device, "live", str(BUNDLE), *source, *ENGINE, "--json")
    assert code == 0, err
    assert json.loads(out)["frames"] == 5


def test_it_serves_the_page(device: Path) -> None:
    assert_serves_and_ends(started(device, "serve", str(BUNDLE), "--port", "0", *ENGINE))


@pytest.mark.parametrize("verb", ["doctor", "inspect", "cache"])
def test_it_tells_of_itself(device: Path, verb: str) -> None:
    code, _, err = ended(device, verb, *([str(BUNDLE)] if verb == "inspect" else []))
    assert code == 0, err


def test_an_app_embeds_it(device: Path) -> None:
    program = f"""
import numpy as np, edge_i2i
with edge_i2i.load({str(BUNDLE)!r}, engine="onnxruntime", threads=1) as translate:
    print(translate(np.zeros((40, 60, 3), np.uint8)).shape)
"""
    environment = {**os.environ, "PYTHONPATH": str(device)}
    done = subprocess.run([sys.executable, "-c", program], cwd=device, env=environment, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("(40, 60, 3)", 0), done.stderr


@pytest.mark.parametrize(
    ("verb", "room"),
    [
        (["models"], "cards"),
        (["quantize", str(BUNDLE)], "quantize"),
        (["collect", "in.png", "--output", "frames"], "collect"),
        (["export", "onnx", "--model", "pix2pixhd", "--random-weights", "--output", "a.i2i"], "export"),
    ],
)
def test_what_makes_bundles_says_that_it_is_not_there(device: Path, verb: list[str], room: str) -> None:
    code, _, err = ended(device, *verb)
    assert code == 3
    assert f"edge_i2i.{room}" in err and "pip install edge-i2i" in err and "not expected" not in err
