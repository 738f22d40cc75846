"""The Python samples, run as a user runs them."""

from __future__ import annotations

import importlib.util
import itertools
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

REPOSITORY = Path(__file__).parents[2]
APPS = REPOSITORY / "runtime" / "apps"
CLIP = "pattern:64x96?frames=30"
needs_qt = pytest.mark.skipif(importlib.util.find_spec("PySide6") is None, reason="PySide6 is not installed")


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen", "OMP_NUM_THREADS": "1"}
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def write_frames(handler: BaseHTTPRequestHandler) -> None:
    """At 20 fps, until the reader goes."""
    for number in itertools.count():
        jpeg = cv2.imencode(".jpg", np.full((64, 96, 3), number % 256, np.uint8))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        handler.wfile.write(head.encode() + jpeg + b"\r\n")
        time.sleep(0.05)


class MjpegCamera(BaseHTTPRequestHandler):
    """What cheap network cameras do: one JPEG after the other."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(OSError):
            write_frames(self)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def camera() -> Iterator[str]:
    """The address of a camera that OpenCV can open, wherever these tests run."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), MjpegCamera)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/camera.mjpg"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8))
    return path


def translated(summary: str) -> int:
    """How many frames the last line tells of."""
    found = re.match(r"(\d+) .*on \w+, age p50 \d+ ms$", summary.splitlines()[-1])
    assert found, summary
    return int(found[1])


def test_opencv_loop_writes_what_the_network_made(rgb_bundle: Path, camera: str, tmp_path: Path) -> None:
    target = tmp_path / "painted.avi"
    done = run(APPS / "opencv_loop.py", rgb_bundle, camera, target, "--frames", 5, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert translated(done.stdout) >= 5
    ok, picture = cv2.VideoCapture(str(target)).read()
    assert ok and picture.shape == (64, 96, 3)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames, each of one level."""
    path = tmp_path_factory.mktemp("film") / "film.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 64))
    for number in range(12):
        writer.write(np.full((64, 96, 3), 20 * number, np.uint8))
    writer.release()
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    camera, found = cv2.VideoCapture(str(path)), []
    while (read := camera.read())[0]:
        found.append(read[1])
    return found


def test_opencv_loop_translates_every_frame_of_a_film(rgb_bundle: Path, film: Path, tmp_path: Path) -> None:
    target = tmp_path / "painted.avi"
    done = run(APPS / "opencv_loop.py", rgb_bundle, film, target, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert translated(done.stdout) == 12
    painted = frames_of(target)
    assert len(painted) == 12
    same = [
        np.abs(one.astype(int) - other.astype(int)).max() < 8
        for one, other in zip(frames_of(film), painted, strict=True)
    ]
    assert not any(same)


def test_opencv_loop_does_not_call_nothing_a_success(rgb_bundle: Path, tmp_path: Path, film: Path) -> None:
    cut = tmp_path / "cut.avi"
    writer = cv2.VideoWriter(str(cut), cv2.VideoWriter.fourcc(*"MJPG"), 25, (96, 64))
    writer.release()
    done = run(APPS / "opencv_loop.py", rgb_bundle, cut, tmp_path / "out.avi", "--threads", 1)
    assert done.returncode != 0 and "Traceback" not in done.stderr and done.stderr.strip(), done.stderr
    done = run(APPS / "opencv_loop.py", rgb_bundle, film, tmp_path / "none" / "out.avi", "--threads", 1)
    assert done.returncode == 1 and "cannot be written" in done.stderr, done.stderr
    done = run(APPS / "opencv_loop.py", rgb_bundle, film, tmp_path / "out.avi", "--frames", 0)
    assert done.returncode == 4 and "Nothing was translated" in done.stderr


@pytest.mark.parametrize("sample", ["asyncio_app.py", pytest.param("qt_window.py", marks=needs_qt)])
def test_no_sample_calls_a_source_without_frames_a_success(rgb_bundle: Path, tmp_path: Path, sample: str) -> None:
    (tmp_path / "empty").mkdir()
    done = run(APPS / sample, rgb_bundle, tmp_path / "empty", "--threads", 1)
    assert done.returncode != 0 and "Traceback" not in done.stderr and done.stderr.strip()


def test_opencv_loop_says_that_a_camera_is_not_there(rgb_bundle: Path, tmp_path: Path) -> None:
    done = run(APPS / "opencv_loop.py", rgb_bundle, tmp_path / "missing.avi", tmp_path / "out.avi")
    assert done.returncode == 1 and "cannot be opened" in done.stderr


def test_asyncio_receives_every_frame_of_what_has_an_end(rgb_bundle: Path) -> None:
    done = run(APPS / "asyncio_app.py", rgb_bundle, CLIP, "--threads", 1)
    assert done.returncode == 0, done.stderr
    frames = re.findall(r"^frame (\d+): \(64, 96, 3\), translated", done.stdout, re.MULTILINE)
    assert frames == [str(number) for number in range(30)]
    assert translated(done.stdout) == 30


def test_asyncio_goes_on_with_other_work(rgb_bundle: Path, photo: Path) -> None:
    done = run(APPS / "asyncio_app.py", rgb_bundle, f"photo:{photo}", "--frames", 40, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert translated(done.stdout) >= 40  # more than a second of a pan at 30 fps
    assert re.search(r"^[\d.]+ fps, dropped \d+$", done.stdout, re.MULTILINE), done.stdout


@needs_qt
def test_the_window_closes_when_a_clip_has_ended(rgb_bundle: Path) -> None:
    done = run(APPS / "qt_window.py", rgb_bundle, CLIP, "--threads", 1)
    assert done.returncode == 0, done.stderr
    assert translated(done.stdout) == 30


@needs_qt
def test_the_window_closes_a_live_source_cleanly(rgb_bundle: Path, photo: Path) -> None:
    done = run(APPS / "qt_window.py", rgb_bundle, f"photo:{photo}", "--frames", 5, "--threads", 1)
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    assert translated(done.stdout) >= 5


SPLIT = """
import numpy as np
from PySide6.QtWidgets import QApplication
from edge_i2i.live.frame import Frame, Result
from qt_window import ComparedPicture
application = QApplication([])
picture = ComparedPicture()
picture.resize(400, 300)
frame = Frame(0, 0, 0.0, None, np.full((30, 40, 3), (255, 0, 0), np.uint8))
picture.take(Result(np.full((60, 80, 3), (0, 0, 255), np.uint8), frame, 0.0))
for percent in (0, 25, 100):
    picture.set_split(percent)
    shown = picture.grab().toImage()
    print([shown.pixelColor(x, 150).name() for x in (20, 200, 380)])
"""


@needs_qt
def test_the_slider_splits_frame_and_result(tmp_path: Path) -> None:
    script = tmp_path / "split.py"
    script.write_text(f"import sys\nsys.path.insert(0, {str(APPS)!r})\n{SPLIT}")
    done = run(script)
    assert done.returncode == 0, done.stderr
    red, blue = "#ff0000", "#0000ff"
    assert done.stdout.splitlines() == [str([blue] * 3), str([red, blue, blue]), str([red] * 3)]


@pytest.mark.parametrize("sample", ["asyncio_app.py", pytest.param("qt_window.py", marks=needs_qt)])
def test_a_bundle_that_is_not_there_is_one_sentence(sample: str) -> None:
    done = run(APPS / sample, "missing.i2i", "pattern:64x96")
    assert done.returncode == 4
    assert "missing.i2i" in done.stderr and "Traceback" not in done.stderr
