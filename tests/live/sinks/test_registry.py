"""Sinks by their text: every form, every example, and what is said of the rest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.errors import EdgeI2IError, MissingRequirementError, UsageError
from edge_i2i.live.sinks import SINK_FORMS, SinkSettings, make_sink
from edge_i2i.live.sinks.file import FileSink
from edge_i2i.live.sinks.folder import FolderSink
from edge_i2i.live.sinks.mjpeg import MjpegSink
from edge_i2i.live.sinks.null import NullSink
from edge_i2i.live.sinks.page_server import Address


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("file:out.mp4", "out.mp4"),
        ("out.mkv", "out.mkv"),
        ("/some/where/out.MOV", "/some/where/out.MOV"),
        ("file:C:/films/out.mp4", "C:/films/out.mp4"),
        ("C:/films/out.mp4", "C:/films/out.mp4"),
        ("null.mp4", "null.mp4"),
    ],
)
def test_recordings(text: str, path: str) -> None:
    sink = make_sink(text)
    assert isinstance(sink, FileSink) and sink.path == Path(path)


def test_folders() -> None:
    sink = make_sink("folder:some/frames/?every=10&type=jpg")
    assert isinstance(sink, FolderSink) and sink.folder == Path("some/frames")
    assert isinstance(make_sink("folder:what?/frames"), FolderSink)  # a question mark in a path is no option


def test_nowhere() -> None:
    assert isinstance(make_sink("null"), NullSink)


def test_pages() -> None:
    sink = make_sink("mjpeg:0?quality=70")
    try:
        assert isinstance(sink, MjpegSink) and sink.url.startswith("http://127.0.0.1:") and sink.url in sink.notes[0]
    finally:
        sink.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("", Address("127.0.0.1", 8090)),
        ("8123", Address("127.0.0.1", 8123)),
        ("0", Address("127.0.0.1", 0)),
        ("0.0.0.0:8123", Address("0.0.0.0", 8123)),
        ("[::1]:8123", Address("::1", 8123)),
        ("[::1]", Address("::1", 8090)),
        ("some.host:1", Address("some.host", 1)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text, 8090) == address


@pytest.mark.parametrize("text", ["99999", "-1", "a b:1", "host:port", "http://here", "８０"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        Address.parse(text, 8090)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("windw", "Did you mean 'window'"),
        ("flie:out.mp4", "Did you mean 'file'"),
        ("", "Known sinks"),
        ("out.gif", "can be written"),
        ("file:", "needs a path"),
        ("folder:", "needs a path"),
        ("file:out.avi", "Use one of"),
        ("out.webm", "Use one of"),
        ("null:3", "Nothing can follow"),
        ("window:3", "Nothing can follow"),
        ("folder:a?evry=3", "Did you mean 'every'"),
        ("folder:a?every=three", "no every"),
        ("folder:a?every=0", "cannot be written"),
        ("folder:a?type=gif", "png"),
        ("mjpeg:0?quality=0", "no JPEG quality"),
        ("mjpeg:x", "no address"),
    ],
)
def test_what_makes_no_sense(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        make_sink(text)
    assert said in str(caught.value) and caught.value.remedy


@given(st.text(max_size=30).filter(lambda text: not text.strip().startswith(("mjpeg", "webrtc", "window", "vcam"))))
def test_any_text_is_a_sink_or_a_usage_error(text: str) -> None:
    try:
        make_sink(text).close()
    except UsageError as error:
        assert error.remedy


def test_a_taken_port_is_said_before_anything_starts() -> None:
    first = make_sink("mjpeg:0")
    assert isinstance(first, MjpegSink)
    try:
        port = first.url.split(":")[2].strip("/")
        with pytest.raises(EdgeI2IError, match=f"127.0.0.1:{port}") as caught:
            make_sink(f"mjpeg:{port}")
        assert "another one" in caught.value.remedy
    finally:
        first.close()


def test_every_example_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [form.name for form in SINK_FORMS] == ["window", "file", "folder", "mjpeg", "webrtc", "vcam", "null"]
    for form in SINK_FORMS:
        try:
            make_sink(form.example, SinkSettings()).close()
        except MissingRequirementError as error:
            assert form.name in ("window", "webrtc", "vcam") and error.remedy


def test_naming_a_sink_loads_only_that_one() -> None:
    code = (
        "import sys; from edge_i2i.live.sinks import make_sink; make_sink('null');"
        "print([name for name in ('av', 'aiortc', 'pyvirtualcam', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
