"""What runs outlives what it was started from and with: its bundle, its terminal, its folder."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.pictures import write_picture

PICTURES = 40

Disturbance = Callable[[Path, "subprocess.Popen[bytes]"], None]
"""Changes what lies in a folder (the current one of the process), or what the process writes to."""


def without_bundle(place: Path, _: subprocess.Popen[bytes]) -> None:
    (place / "net.i2i").unlink()


def with_another_bundle(place: Path, _: subprocess.Popen[bytes]) -> None:
    (place / "net.i2i").write_bytes(b"another one")


def without_readers(_: Path, process: subprocess.Popen[bytes]) -> None:
    assert process.stderr is not None and process.stdout is not None
    process.stderr.close()
    process.stdout.close()


def without_folder(place: Path, _: subprocess.Popen[bytes]) -> None:
    shutil.rmtree(place)


DISTURBANCES = [without_bundle, with_another_bundle, without_readers, without_folder]
if sys.platform == "win32":  # there, what a process uses cannot be removed
    DISTURBANCES = [without_readers]


@pytest.fixture
def place(tmp_path: Path, rgb_bundle: Path) -> Path:
    """The folder in which a command is started; what it writes lies outside."""
    (tmp_path / "here").mkdir()
    shutil.copy(rgb_bundle, tmp_path / "here/net.i2i")
    return tmp_path / "here"


def started(place: Path, verb: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "edge_i2i", verb, "net.i2i", "--engine", "onnxruntime", "--threads", "1"]
    pipe = subprocess.PIPE
    return subprocess.Popen([*command, *map(str, arguments)], cwd=place, stdout=pipe, stderr=pipe)


def wait_for(done: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 120
    while not done() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.02)
    assert done()


def pictures(folder: Path) -> Path:
    folder.mkdir()
    for number in range(PICTURES):
        write_picture(folder / f"{number:03}.png", np.full((400, 400, 3), number, np.uint8))
    return folder


def size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@pytest.mark.parametrize("disturb", DISTURBANCES)
def test_a_recording_goes_on(place: Path, tmp_path: Path, disturb: Disturbance) -> None:
    film = tmp_path / "film.mkv"
    with started(place, "live", "--source", "pattern:64x64@30", "--sink", film) as process:
        try:
            wait_for(lambda: size_of(film) > 0, process)
            disturb(place, process)
            before = size_of(film)
            wait_for(lambda: size_of(film) > before + 30_000, process)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 0
        finally:
            process.kill()
    with VideoReader(film) as reader:
        assert sum(1 for _ in reader) > 10


@pytest.mark.parametrize("disturb", DISTURBANCES)
def test_a_folder_is_translated_to_its_end(place: Path, tmp_path: Path, disturb: Disturbance) -> None:
    frames, output = pictures(tmp_path / "frames"), tmp_path / "output"
    with started(place, "translate", frames, "--output", output) as process:
        try:
            wait_for(lambda: output.is_dir() and any(output.glob("*.png")), process)
            disturb(place, process)
            assert process.wait(120) == 0
        finally:
            process.kill()
    assert len(list(output.glob("*.png"))) == PICTURES


def test_a_picture_that_is_gone_before_its_turn_is_one_failure(place: Path, tmp_path: Path) -> None:
    frames, output = pictures(tmp_path / "frames"), tmp_path / "output"
    last = frames / f"{PICTURES - 1:03}.png"
    with started(place, "translate", frames, "--output", output) as process:
        try:
            wait_for(lambda: output.is_dir() and any(output.glob("*.png")), process)
            last.unlink()
            _, told = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 4
    assert last.name.encode() in told and b"Traceback" not in told
    assert len(list(output.glob("*.png"))) == PICTURES - 1
