"""``edge-i2i live`` and ``serve``: what they print, how they end, and what keys do."""

from __future__ import annotations

import itertools
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edge_i2i.cli.live import _TooSlow
from edge_i2i.cli.main import run_command
from edge_i2i.cli.show.live_keys import LiveKeys
from edge_i2i.contract import Size
from edge_i2i.export.onnx import export_bundle
from edge_i2i.files.caches import KINDS, list_caches
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.live.figures.drops import DropCause
from edge_i2i.live.figures.stats import StatsSnapshot
from edge_i2i.live.opening import network_loader
from edge_i2i.live.outlets.compare import Comparison
from edge_i2i.live.outlets.view import View
from edge_i2i.live.session import LiveSession
from edge_i2i.live.sinks.null import NullSink
from edge_i2i.live.sinks.switched import SnapshotSink, SwitchedRecording
from edge_i2i.live.steps.flip import Flip
from edge_i2i.media.films.video import VideoReader
from edge_i2i.media.pictures import read_picture
from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin
from edge_i2i.models.registry import get_family
from edge_i2i.sources.registry import source_spec
from samples.web.served import assert_serves_and_ends

MULTIPART = b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n"
PATTERN = "pattern:64x64@30?frames=12"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny MUNIT with random weights: it takes styles."""
    family = get_family("munit")
    config = family.tiny(next(iter(family.architectures().values())))
    loaded = LoadedModel(family, family.random(config, 3), WeightsOrigin.RANDOM, None, None)
    output = tmp_path_factory.mktemp("live") / "styles.i2i"
    export_bundle(loaded, Size(64, 64), output, ExportOptions(precisions=("fp32",), threads=1))
    return output


def _live(bundle: Path, *arguments: str) -> int:
    fixed = ["--engine", "onnxruntime", "--threads", "1", "--style-seed", "1"]
    return run_command(["live", str(bundle), *fixed, *arguments])


@pytest.mark.parametrize("json_asked", [False, True])
def test_the_summary_names_the_sinks_that_failed_while_others_went_on(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], json_asked: bool
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/00000001.png").touch()  # an earlier recording
    sinks = ("--sink", f"folder:{tmp_path / 'taken'}", "--sink", f"folder:{tmp_path / 'new'}")
    code = _live(bundle, "--source", PATTERN, *sinks, *(["--json"] if json_asked else []))
    told = capsys.readouterr()
    assert code == 2 and "holds an earlier recording" in told.err
    assert len(list((tmp_path / "new").glob("*.png"))) > 3
    if json_asked:
        figures = json.loads(told.out)["sinks"]
        assert "earlier recording" in figures["folder"]["failed"] and figures["folder 2"]["failed"] is None
    else:
        assert "folder failed after 0 frames: " in told.out


def _started(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "edge_i2i", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# Ends and figures ------------------------------------------------------------------------------------------------


def test_a_clip_is_translated_frame_by_frame_and_json_tells(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _live(bundle, "--source", PATTERN, "--sink", "null", "--json") == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    promised = {"frames", "fps", "age_ms", "dropped", "duplicates", "engine", "effective_precision", "recoveries"}
    assert promised <= found.keys() and {"p50", "p99"} <= found["age_ms"].keys() and output.err == ""
    assert (found["frames"], found["dropped"], found["duplicates"]) == (12, {}, 0)
    assert (found["engine"], found["effective_precision"], found["recoveries"]) == ("onnxruntime", "fp32", 0)


def test_who_has_a_window_is_told_of_its_keys(
    bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_i2i.live.sinks.window.can_browse", lambda platform, environment: True)
    monkeypatch.setattr("webbrowser.open", lambda url: True)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert _live(bundle, "--source", PATTERN, "--sink", "window") == 0
    assert "keys: n next style" in capsys.readouterr().err


def test_figures_for_nobody_are_told_of(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _live(bundle, "--source", PATTERN, "--sink", "null", "--hud") == 0
    assert "note: --hud draws figures for a window" in capsys.readouterr().err
    assert _live(bundle, "--source", PATTERN, "--sink", "null") == 0
    assert "--hud" not in capsys.readouterr().err


def test_a_person_is_told_what_happens(bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    trace, events, film = tmp_path / "trace.json", tmp_path / "events.jsonl", tmp_path / "out.mp4"
    options = ("--sink", str(film), "--sink", "mjpeg:0", "--trace", str(trace), "--events", str(events))
    assert _live(bundle, "--source", PATTERN, *options, "--compare", "side", "--smooth") == 0
    output = capsys.readouterr()
    assert "12 frames" in output.out and "onnxruntime (fp32)" in output.out
    assert "source-ended" in output.err and "keys:" not in output.err, "there is no window to press keys in"
    assert json.loads(trace.read_text())["traceEvents"]
    kinds = [json.loads(line)["kind"] for line in events.read_text().splitlines()]
    assert kinds[0] == "started" and kinds[-1] == "stopped" and "loaded" in kinds
    with VideoReader(film) as reader:
        assert reader.size.width >= 128 and len(list(reader)) == 12  # both, side by side


def test_a_source_is_asked_for_its_size_width_first(
    bundle: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    size = ["--source-size", "96x64", "--source-fps", "10"]
    code = _live(bundle, "--source", "pattern:?frames=2", *size, "--sink", f"folder:{tmp_path / 'out'}")
    assert code == 0, capsys.readouterr().err
    assert {read_picture(path).shape for path in (tmp_path / "out").glob("*.png")} == {(64, 96, 3)}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--source-size", "1280"], "Write its width first: 1280x720"),
        (["--source-size", "0x720"], "is no size"),
        (["--source-size", "99999x1"], "is no size"),
        (["--source-fps", "nan"], "not a finite number"),
        (["--source-format", "motion"], "is no pixel format"),
    ],
)
def test_what_no_camera_can_be_asked_for_is_wrong_usage(
    bundle: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert _live(bundle, "--source", "0", *arguments, "--sink", "null") == 2
    assert said in capsys.readouterr().err


def _moment(seconds: float, captured: int, made: int, missed: int) -> StatsSnapshot:
    return StatsSnapshot(captured, made, seconds=seconds, dropped={DropCause.NEWER_FRAME: missed})


@pytest.mark.parametrize(
    ("moments", "said"),
    [
        (
            [_moment(0, 0, 0, 0), _moment(1, 30, 5, 20), _moment(5, 150, 45, 100)],
            "30.0 frames a second; 10.0 are translated",
        ),
        ([_moment(1, 30, 30, 0), _moment(5, 150, 149, 1), _moment(9, 270, 200, 70)], "30.0 frames a second; 12.8 are"),
        ([_moment(1, 30, 30, 0), _moment(5, 150, 145, 5)], ""),
        ([_moment(1, 30, 5, 25), _moment(2, 60, 10, 50)], ""),
        ([_moment(0, 0, 0, 0), _moment(9, 300, 0, 299)], ""),
    ],
)
def test_a_network_that_is_too_slow_is_told_of_once(
    capsys: pytest.CaptureFixture[str], moments: list[StatsSnapshot], said: str
) -> None:
    watcher = _TooSlow()
    for moment in [*moments, *(_moment(20 + 5 * i, 1000 * i, 300 * i, 700 * i) for i in range(1, 4) if said)]:
        watcher.look(moment)
    told = capsys.readouterr().err
    assert told.count("too slow for this source") == (1 if said else 0)
    assert said in told


def test_it_ends_after_the_duration(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _live(bundle, "--source", "pattern:64x64@30", "--sink", "null", "--duration", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["captured"] > 0


@pytest.mark.parametrize("wait", [(), ("--wait",)])
@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-", MULTIPART])
def test_a_source_that_never_gives_a_picture_outlives_no_duration(
    bundle: Path, capsys: pytest.CaptureFixture[str], said: bytes, wait: tuple[str, ...]
) -> None:
    """It is not waited for until its own patience is over, and it is no success."""

    def answer() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.sendall(said)
                kept.append(connection)

    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, daemon=True).start()
        source = f"http://127.0.0.1:{listener.getsockname()[1]}/video"
        code = _live(bundle, "--source", source, "--sink", "null", "--duration", "0.5", *wait)
        listener.shutdown(socket.SHUT_RDWR)
        for connection in kept:
            connection.close()
    assert code == 3
    told = capsys.readouterr().err
    assert "gave no picture in 0.5 s" in told and "did not open" not in told


def test_a_recording_survives_a_kill(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "out.mov"
    command = [sys.executable, "-m", "edge_i2i", "live", str(bundle), "--engine", "onnxruntime", "--threads", "1"]
    options = ["--style-seed", "1", "--source", "pattern:64x64@30", "--sink", str(path)]
    with subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 120
            while (not path.exists() or path.stat().st_size < 50_000) and time.monotonic() < until:
                time.sleep(0.05)
        finally:
            process.kill()
    assert [file.name for file in tmp_path.iterdir()] == ["out.mov"]
    assert VideoReader(path).size == Size(64, 64)
    with av.open(str(path)) as film, suppress(av.error.FFmpegError):
        shown = 0
        for _ in film.decode(video=0):
            shown += 1
    assert shown > 20


def test_ctrl_c_ends_it_with_a_summary(bundle: Path) -> None:
    options = ("--source", "pattern:64x64@30", "--sink", "mjpeg:0", "--style-seed", "1", "--threads", "1")
    with _started("live", str(bundle), *options) as process:
        assert process.stderr is not None and process.stdout is not None
        assert any("loaded:" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert "frames in" in process.stdout.read()
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--source", "nosuch.mp4", "--sink", "null"), 4, "There is no video"),
        (("--source", "webcam:0", "--sink", "null"), 2, "camera"),
        (("--source", PATTERN, "--sink", "screen"), 2, "There is no sink"),
        (("--source", PATTERN, "--sink", "null", "--compare", "both"), 2, "comparisons"),
        (("--source", PATTERN, "--sink", "null", "--fit", "letter"), 2, "letterbox"),
        (("--source", PATTERN, "--sink", "null", "--fps", "0"), 2, "fps"),
        (("--source", PATTERN, "--sink", "null", "--region", "1,2"), 2, "region"),
        (("--source", PATTERN, "--sink", "null", "--ladder", "30"), 2, "ladder"),
        (("--source", PATTERN, "--sink", "null", "--attributes", "Smiling=1"), 2, "loading"),
        (("--source", "camera:63", "--sink", "null"), 3, "camera"),
    ],
)
def test_what_cannot_be_is_said(
    bundle: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert _live(bundle, *arguments) == code
    assert words in capsys.readouterr().err


# Keys ------------------------------------------------------------------------------------------------------------


class Keyboard:
    """A session that runs, its keys, and what they said."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        options = {"engine": "onnxruntime", "threads": 1, "look": {"style_seed": 1}}
        self.models = [(f"model {number}", network_loader(bundle, **options)) for number in (1, 2)]  # type: ignore[arg-type]
        self.view, self.stop, self.said = View(), threading.Event(), list[str]()
        self.snapshots, self.recording = SnapshotSink(folder), SwitchedRecording(folder)
        self.null = NullSink()
        self.keys = LiveKeys(self.view, self.snapshots, self.recording, self.models, self.stop, self.said.append)
        sinks = [self.null, self.snapshots, self.recording]
        self.session = LiveSession(source_spec("pattern:64x64@60"), self.models[0][1], sinks, view=self.view)
        self.keys.attach(self.session)

    def until(self, holds: Callable[[], object], seconds: float = 30) -> None:
        end = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < end, self.said
            self.keys.report()
            self.session.wait(0.02)

    def frames(self, more: int) -> None:
        before = self.session.stats().frames
        self.until(lambda: self.session.stats().frames >= before + more)


@pytest.fixture
def keyboard(bundle: Path, tmp_path: Path) -> Iterator[Keyboard]:
    keyboard = Keyboard(bundle, tmp_path)
    with keyboard.session:
        keyboard.frames(3)
        yield keyboard


def test_s_saves_what_is_shown(keyboard: Keyboard, tmp_path: Path) -> None:
    keyboard.until(lambda: keyboard.keys("s") or list(tmp_path.glob("snapshot-*.png")))
    assert read_picture(next(tmp_path.glob("snapshot-*.png"))).shape == (64, 64, 3)
    assert "snapshot: " in keyboard.said[-1]


def test_r_records_from_one_press_to_the_next(keyboard: Keyboard, tmp_path: Path) -> None:
    keyboard.keys("r")
    keyboard.frames(8)
    keyboard.keys("r")
    (film,) = tmp_path.glob("*.mp4")
    with VideoReader(film) as reader:
        assert len(list(reader)) >= 4
    assert [line.partition(" ")[0] for line in keyboard.said] == ["recording", "recorded"]


def test_n_changes_the_style_and_m_the_model(keyboard: Keyboard) -> None:
    def picture() -> np.ndarray:
        result = keyboard.session.latest(10)
        assert result is not None
        return result.image

    before = picture()
    keyboard.keys("n")
    keyboard.frames(3)
    assert np.abs(before.astype(int) - picture()).mean() > 1 and "style 1" in keyboard.said
    keyboard.keys("m")
    assert keyboard.said[-1] == "loading model 2"
    keyboard.frames(3)


def test_c_h_and_f_change_the_view_and_q_ends_it(keyboard: Keyboard) -> None:
    for key in "chf":
        keyboard.keys(key)
    settings = keyboard.view.settings
    assert (settings.compare, settings.hud, settings.flip) == (Comparison.SIDE, True, Flip.HORIZONTAL)
    assert not keyboard.stop.is_set()
    keyboard.keys("x")
    keyboard.keys("Q")
    assert keyboard.stop.is_set()


def test_a_key_that_cannot_be_followed_says_why(keyboard: Keyboard, tmp_path: Path) -> None:
    keys = LiveKeys(
        keyboard.view,
        SnapshotSink(tmp_path),
        keyboard.recording,
        keyboard.models[:1],
        keyboard.stop,
        keyboard.said.append,
    )
    keys("s")
    assert "no translated picture" in keyboard.said[-1]
    keys.attach(keyboard.session)
    keys("m")
    assert "one model only" in keyboard.said[-1]


# The page --------------------------------------------------------------------------------------------------------


def test_serve_prints_its_url_answers_and_ends_on_ctrl_c(bundle: Path) -> None:
    options = ("--port", "0", "--engine", "onnxruntime", "--threads", "1")
    assert_serves_and_ends(_started("serve", str(bundle), *options))


def test_the_qr_code_holds_the_address_and_the_certificate_lies_in_the_cache(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    options = ("--port", "0", "--https", "--token", "a-token-of-the-test", "--qr", "--threads", "1")
    with _started("serve", str(bundle), *options) as process:
        assert process.stdout is not None and process.stderr is not None
        url = process.stdout.readline().strip()
        said = list(itertools.takewhile(lambda line: "Ctrl-C" not in line, process.stderr))
        process.send_signal(signal.SIGINT)
    assert url.startswith("https://") and url.endswith("?token=a-token-of-the-test")
    rows = [line.rstrip("\n") for line in said if line.strip() and set(line) <= set("\u2580\u2584\u2588 \n")]
    assert _decoded(rows) == url
    (kept,) = list_caches()
    assert (kept.name, kept.purpose, kept.files) == ("https", KINDS["https"], 2)


def _decoded(rows: list[str]) -> str:
    """What a QR code of half blocks says, seen on a dark terminal."""
    width = max(map(len, rows))
    characters = np.array([list(row.ljust(width)) for row in rows])
    halves = [np.isin(characters, list(shapes)) for shapes in ("\u2588\u2580", "\u2588\u2584")]  # upper, lower
    light = np.stack(halves, axis=1).reshape(-1, width).astype(np.uint8) * 255
    picture = cv2.copyMakeBorder(np.kron(light, np.ones((8, 8), np.uint8)), *[64] * 4, cv2.BORDER_CONSTANT, value=255)
    return str(cv2.QRCodeDetector().detectAndDecode(picture)[0])


def test_serve_refuses_two_styles_of_one_name(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["serve", str(bundle), "--style", "a/x.png", "--style", "b/x.png"]) == 2
    assert "same name" in capsys.readouterr().err
