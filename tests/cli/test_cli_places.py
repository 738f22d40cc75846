"""Every verb finds out before its work that the result cannot be written, and says so with one exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_i2i.cli.main import run_command

OUTPUT = 2


@pytest.fixture
def place(tmp_path: Path, rgb_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "photos").mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
        cv2.imwrite(str(tmp_path / f"photos/{number}.png"), picture)
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


VERBS = {
    "export": "export onnx --model pix2pixhd --output {bad}.i2i",
    "trt": "export trt --model pix2pixhd --output {bad}.i2i",
    "import": "import photos/0.png --output {bad}.safetensors",
    "translate": "translate BUNDLE photos/0.png --output {bad}.png",
    "translate-folder": "translate BUNDLE photos --output {bad}",
    "collect": "collect photos --output {bad}",
    "quantize": "quantize BUNDLE --data photos --target openvino --output {bad}.i2i",
    "sensitivity": "sensitivity BUNDLE --data photos --output {bad}.json",
    "plot": "sensitivity BUNDLE --data photos --plot {bad}.png",
    "live": "live BUNDLE --source pattern: --sink {bad}.mp4 --duration 1",
    "live-folder": "live BUNDLE --source pattern: --sink folder:{bad} --duration 1",
    "trace": "live BUNDLE --source pattern: --sink null --trace {bad}.json --duration 1",
    "events": "live BUNDLE --source pattern: --sink null --events {bad}.json --duration 1",
    "keep": "live BUNDLE --source pattern: --sink null --keep {bad} --duration 1",
}
WORK = ("calibrat", "rounds timed", "loaded", "source-opened", "bundle:", "translated")


@pytest.mark.parametrize("bad", ["file/out", "n" * 300, "/proc/out" if sys.platform == "linux" else "file/in/out"])
@pytest.mark.parametrize("verb", VERBS)
def test_no_work_before_a_refusal(
    place: Path, rgb_bundle: Path, capsys: pytest.CaptureFixture[str], verb: str, bad: str
) -> None:
    before = sorted(place.rglob("*"))
    code = run_command([str(rgb_bundle) if word == "BUNDLE" else word for word in VERBS[verb].format(bad=bad).split()])
    told = capsys.readouterr()
    assert code == OUTPUT, told.err
    assert "cannot be written" in told.err and not told.out and not any(word in told.err for word in WORK)
    assert sorted(place.rglob("*")) == before
