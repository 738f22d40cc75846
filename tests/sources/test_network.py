"""Streams from the network: what comes, and every way in which it does not."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.errors import PictureError
from edge_i2i.sources.network import NetworkSource, Timeouts
from edge_i2i.sources.source import SourceLostError
from samples.live.virtual_clock import VirtualClock
from samples.sources.made import EVEN, film_of_primaries, primaries, worst_colour
from samples.sources.rtsp_server import RtspServer
from samples.sources.stream_server import StreamServer

YUV_LEVELS = 2  # as in the conformance suite
SHORT = Timeouts(opening=0.5, reading=0.3)


def network(address: str, timeouts: Timeouts | None = None) -> NetworkSource:
    """A source whose failures come soon."""
    return NetworkSource(address, clock=SystemClock(), timeouts=timeouts)


def failure(source: NetworkSource) -> str:
    """How it is lost: everything that could be printed about it."""
    with pytest.raises(SourceLostError) as caught:
        source.open()
        while True:
            source.read()
    source.close()
    assert caught.value.remedy and caught.value.exit_code == 3
    shown = "".join(traceback.format_exception(caught.value))
    assert "secret" not in shown
    return shown


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Of a listener that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def closed_port() -> int:
    """Where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_mjpeg_comes_without_invented_times(stream_server: StreamServer) -> None:
    source = network(stream_server.address("/endless"))
    info = source.open()
    captured = source.read()
    source.close()
    assert info.size == EVEN and info.fps is None and captured.t_source is None
    assert worst_colour(captured.image) <= 3


def test_a_stream_that_ends_is_lost(stream_server: StreamServer) -> None:
    source = network(stream_server.address("/ends", user="me:secret@"))
    source.open()
    assert len([source.read() for _ in range(3)]) == 3
    source.close()
    assert "127.0.0.1" in failure(network(stream_server.address("/ends", user="me:secret@")))


def test_a_stream_that_falls_silent_is_lost_in_time(stream_server: StreamServer) -> None:
    assert "no answer in time" in failure(network(stream_server.address("/hangs"), SHORT))


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_refused_connection_is_a_loss(closed_port: int, scheme: str) -> None:
    assert "refused" in failure(network(f"{scheme}://me:secret@127.0.0.1:{closed_port}/x"))


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_a_host_that_never_answers_is_a_loss(silent_port: int, scheme: str) -> None:
    assert "did not open" in failure(network(f"{scheme}://me:secret@127.0.0.1:{silent_port}/x", SHORT))


def test_an_address_without_a_stream_is_a_loss(stream_server: StreamServer) -> None:
    assert "did not open" in failure(network(stream_server.address("/nothing")))
    stream_server.files["/page"] = b"<html>Log in, please</html>" * 100
    assert "did not open" in failure(network(stream_server.address("/page")))


def test_sound_without_pictures_is_refused(stream_server: StreamServer, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp3"), "w") as target:
        stream = target.add_stream("mp3", rate=44100, layout="mono")
        silence = av.AudioFrame(format="s16p", layout="mono", samples=1152)
        silence.sample_rate = 44100
        for number in range(40):
            silence.pts = 1152 * number
            target.mux(stream.encode(silence))
        target.mux(stream.encode(None))
    stream_server.files["/a.mp3"] = (tmp_path / "a.mp3").read_bytes()
    with pytest.raises(PictureError, match="no pictures"):
        network(stream_server.address("/a.mp3")).open()


def test_an_rtsp_camera_over_tcp() -> None:
    with RtspServer([primaries(EVEN)] * 12) as server:
        source = network(server.address)
        info = source.open()
        pictures = []
        with pytest.raises(SourceLostError, match="ended") as caught:
            while True:
                pictures.append(source.read())
        source.close()
    assert info.size == EVEN and info.fps == 25.0
    assert "secret" not in info.label and "secret" not in str(caught.value)
    assert any("RTP/AVP/TCP" in asked for asked in server.asked)
    assert len(pictures) == 12 and max(worst_colour(captured.image) for captured in pictures) <= YUV_LEVELS
    # The first picture comes before the camera has told its time.
    assert [captured.t_source for captured in pictures[1:]] == pytest.approx([number / 25 for number in range(11)])


def segment(path: Path, first: int, count: int) -> bytes:
    """A piece of an HLS stream at 25 fps."""
    with av.open(str(path), "w", format="mpegts") as target:
        stream = target.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = EVEN.width, EVEN.height, "yuv420p"
        for number in range(first, first + count):
            frame = av.VideoFrame.from_ndarray(primaries(EVEN), "rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path.read_bytes()


def playlist(*lines: str) -> bytes:
    """An HLS playlist of these segments, 0.4 s each."""
    entries = [f"#EXTINF:0.4,\n{line}" for line in lines]
    return "\n".join(["#EXTM3U", "#EXT-X-TARGETDURATION:1", *entries, "#EXT-X-ENDLIST", ""]).encode()


def test_a_stream_in_segments_is_played_by_its_time_stamps(stream_server: StreamServer, tmp_path: Path) -> None:
    for number in range(3):
        stream_server.files[f"/{number}.ts"] = segment(tmp_path / "a.ts", 10 * number, 10)
    stream_server.files["/live.m3u8"] = playlist("0.ts", "1.ts", "2.ts")
    with VirtualClock() as clock:
        source = NetworkSource(stream_server.address("/live.m3u8"), clock=clock)
        source.open()
        arrived = []
        with pytest.raises(SourceLostError, match="ended"):
            while True:
                source.read()
                arrived.append(clock.now())
        source.close()
    assert arrived == pytest.approx([number / 25 for number in range(30)], abs=1e-6)


def test_a_film_over_http_is_played_by_its_time_stamps(stream_server: StreamServer, tmp_path: Path) -> None:
    times = [Fraction(tick, 1000) for tick in (0, 40, 500, 540)]
    stream_server.files["/a.mp4"] = film_of_primaries(tmp_path / "a.mp4", times).read_bytes()
    with VirtualClock() as clock:
        source = NetworkSource(stream_server.address("/a.mp4"), clock=clock)
        source.open()
        arrived = [(source.read().t_source, clock.now()) for _ in times]
        source.close()
    assert arrived == [(pytest.approx(float(time)), pytest.approx(float(time))) for time in times]


def test_a_playlist_cannot_lead_to_files_of_this_machine(stream_server: StreamServer, tmp_path: Path) -> None:
    segment(tmp_path / "private.ts", 0, 10)
    stream_server.files["/evil.m3u8"] = playlist((tmp_path / "private.ts").as_uri())
    failure(network(stream_server.address("/evil.m3u8")))


def test_a_damaged_picture_is_passed_over(stream_server: StreamServer, tmp_path: Path) -> None:
    whole = b"".join(segment(tmp_path / "a.ts", 10 * number, 10) for number in range(6))
    broken = bytearray(whole)
    for at in range(188 * 20, 188 * 24):
        if at % 188 > 20:  # the packets' content, not their headers
            broken[at] ^= 0x5A
    stream_server.files["/a.ts"] = bytes(broken)
    source = NetworkSource(stream_server.address("/a.ts"), clock=SystemClock())
    source.open()
    count = 0
    with pytest.raises(SourceLostError, match="ended"):
        while True:
            source.read()
            count += 1
    source.close()
    assert 40 <= count <= 60
