"""``python calibration/collect.py`` as a user runs it: what it says, exit codes, Ctrl-C."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from samples.films import film_of
from samples.pictures import soft_shapes

PROGRAM = Path(__file__).parents[2] / "calibration" / "collect.py"


def film(path: Path, frames: int) -> Path:
    return film_of(path, map(soft_shapes, range(frames)), options={"preset": "ultrafast"})


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, PROGRAM, *map(str, arguments)], capture_output=True, text=True)


def test_it_says_what_it_chose_and_how_large_it_is(tmp_path: Path) -> None:
    done = run(film(tmp_path / "a.mp4", 25), "--output", tmp_path / "out", "--count", 8)
    assert done.returncode == 0, done.stderr
    assert "5 frames, 0.0 MB on disk" in done.stdout and "5 looked at" in done.stdout
    assert "contact-sheet.png" in done.stdout
    assert "Only 5 different frames were found of the 8 asked for. A smaller --every" in done.stderr


def test_json_is_the_record_and_nothing_else(tmp_path: Path) -> None:
    done = run(film(tmp_path / "a.mp4", 25), "--output", tmp_path / "out", "--every", 0, "--count", 8, "--json")
    told = json.loads(done.stdout)
    record = json.loads((tmp_path / "out" / ".collection" / "collection.json").read_text())
    assert told == {"output": str(tmp_path / "out"), **record} and record["seen"] == 25
    assert len(list((tmp_path / "out").glob("*.png"))) == 8


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["97"], 3, "There is no camera 97"),
        (["pattern:", "--source-size", "big"], 2, "'big' is no size of a source"),
        (["file:a.mp4", "--source-size", "64x48"], 2, "'file:' has a size of its own"),
        ([".", "--hdr", "bright"], 2, "There is no 'bright' among the ways with a high dynamic range"),
        (["missing.mp4"], 4, "missing.mp4"),
        ([".", "--count", "0"], 2, "0 frames cannot be collected"),
        ([".", "--every", "-1"], 2, "-1 is below 0"),
    ],
)
def test_errors_are_sentences_with_exit_codes(tmp_path: Path, arguments: list[str], code: int, complaint: str) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), soft_shapes(1))
    done = subprocess.run(
        [sys.executable, PROGRAM, *arguments, "--output", "out"], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == code, done.stderr
    assert complaint in done.stderr and "Traceback" not in done.stderr and done.stdout == ""
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]


def test_a_test_pattern_is_collected_from(tmp_path: Path) -> None:
    asked = ("--source-size", "96x64", "--source-fps", "10", "--every", "0")
    done = run("pattern:?frames=12", "--output", tmp_path / "out", "--count", "4", "--json", *asked)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["source"] == {"kind": "test pattern", "name": "pattern:?frames=12"} and told["seen"] == 12
    assert {(frame["height"], frame["width"]) for frame in told["frames"]} == {(64, 96)}


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_leaves_the_earlier_collection(tmp_path: Path) -> None:
    assert run(film(tmp_path / "a.mp4", 10), "--output", tmp_path / "out").returncode == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()}
    long = film(tmp_path / "b.mp4", 2000)
    command = [sys.executable, PROGRAM, long, "--output", tmp_path / "out", "--every", "0"]
    with subprocess.Popen([str(part) for part in command], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None and process.stderr.readline().startswith("1 frames")
        process.send_signal(signal.SIGINT)
        said = process.stderr.read()
    assert process.returncode == 130 and "Traceback" not in said
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4", "out"]
