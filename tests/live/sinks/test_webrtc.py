"""WebRTC, with both peers in this process, over loopback: which picture comes out, and when it was captured."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from edge_i2i.contract import Size
from edge_i2i.live.sinks.page_server import Address
from edge_i2i.sources.coded import read_code
from samples.live.sinks import coded, get, grey, no_thread_left, result, until

pytest.importorskip("aiortc", reason="pip install 'edge-i2i[webrtc]'")

from edge_i2i.live.sinks import webrtc, webrtc_track
from edge_i2i.live.sinks.webrtc import WebRtcSink
from edge_i2i.live.sinks.webrtc_track import PictureFeed, picture_track
from samples.live.peers import Peer

SIZE = Size(128, 160)


class Camera:
    """Writes coded pictures into a sink, 30 a second, until it is told to stop."""

    def __init__(self, sink: WebRtcSink, size: Size = SIZE) -> None:
        self.number = 0
        self._sink, self._size = sink, size
        self._go = True
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._go = False
        self._thread.join()

    def _run(self) -> None:
        while self._go:
            self.number += 1
            picture = coded(self.number, self._size)
            self._sink.write(picture, result(picture, self.number, t_capture=100 + self.number / 30))
            time.sleep(1 / 30)


@pytest.fixture
def sink() -> Iterator[WebRtcSink]:
    with no_thread_left():
        opened = WebRtcSink(Address())
        opened.open(SIZE)
        yield opened
        opened.close()


def numbers(peer: Peer) -> list[int]:
    codes = [read_code(picture) for _, picture in peer.received]
    assert None not in codes, "a picture cannot be read"
    return [code.number for code in codes if code is not None]


@pytest.mark.parametrize("codec", [None, "VP8", "H264"])
def test_pictures_arrive_in_order_with_their_times(sink: WebRtcSink, codec: str | None) -> None:
    camera, peer = Camera(sink), None
    try:
        peer = Peer(sink.url, codec)
        peer.wait_for(30)
        assert sink.viewers == 1
    finally:
        camera.stop()
        if peer is not None:
            peer.close()
    read = [(at, code.number) for at, picture in peer.received if (code := read_code(picture)) is not None]
    # aiortc's VP8 smooths single cells of the code away for a few frames
    assert len(read) == len(peer.received) or (codec == "VP8" and len(read) > len(peer.received) / 4)
    seen = [number for _, number in read]
    assert seen == sorted(set(seen))
    elapsed = [(number - seen[0]) / 30 for number in seen]
    assert [at - read[0][0] for at, _ in read] == pytest.approx(elapsed, abs=1e-3)
    until(lambda: sink.viewers == 0)


def test_two_viewers(sink: WebRtcSink) -> None:
    camera = Camera(sink)
    peers = [Peer(sink.url) for _ in range(2)]
    try:
        for peer in peers:
            peer.wait_for(10)
        peers[0].close()
        until(lambda: sink.viewers == 1)
        before = len(peers[1].received)
        peers[1].wait_for(before + 10)
    finally:
        camera.stop()
        peers[1].close()
    for peer in peers:
        seen = numbers(peer)
        assert seen == sorted(set(seen))


def test_a_viewer_who_comes_while_nothing_moves_gets_the_last_picture(
    sink: WebRtcSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc_track, "_REPEAT_AFTER", 0.1)
    picture = coded(7, SIZE)
    sink.write(picture, result(picture, 7, t_capture=3.0))
    peer = Peer(sink.url)
    try:
        peer.wait_for(3)
    finally:
        peer.close()
    assert set(numbers(peer)) == {7}
    times = [at for at, _ in peer.received]
    assert times == sorted(set(times))


def test_another_size_in_between(sink: WebRtcSink) -> None:
    camera = Camera(sink)
    peer = Peer(sink.url)
    try:
        peer.wait_for(5)
        camera.stop()
        camera = Camera(sink, Size(96, 128))
        until(lambda: peer.received[-1][1].shape == (96, 128, 3), 15)
    finally:
        camera.stop()
        peer.close()
    assert peer.received[0][1].shape == (SIZE.height, SIZE.width, 3)


def test_closing_hangs_up() -> None:
    with no_thread_left():
        sink = WebRtcSink(Address())
        sink.open(SIZE)
        camera = Camera(sink)
        peers = [Peer(sink.url) for _ in range(2)]
        for peer in peers:
            peer.wait_for(2)
        camera.stop()
        sink.close()
        for peer in peers:
            until(lambda peer=peer: peer.state == "closed")  # type: ignore[misc]
            peer.close()
    assert [peer.state for peer in peers] == ["closed"] * 2


def test_the_page(sink: WebRtcSink) -> None:
    page = get(sink.url).decode()
    assert "<video" in page and 'fetch("offer"' in page
    assert sink.url in sink.notes[0]


@pytest.mark.parametrize(
    "body",
    [b"", b"no json", b"[]", b'{"type": "offer"}', b'{"type": "answer", "sdp": ""}', b'{"type": "offer", "sdp": "x"}'],
)
def test_what_is_no_offer_is_refused(sink: WebRtcSink, body: bytes) -> None:
    assert _status(sink, body) == 400
    assert sink.viewers == 0


def test_an_offer_without_video_is_refused(sink: WebRtcSink) -> None:
    audio = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n"
    assert _status(sink, json.dumps({"type": "offer", "sdp": audio}).encode()) == 400
    until(lambda: sink.viewers == 0)


def test_viewers_have_a_limit(sink: WebRtcSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "MOST_PEERS", 0)
    assert _status(sink, b'{"type": "offer", "sdp": "v=0"}') == 503


def _status(sink: WebRtcSink, body: bytes) -> int:
    try:
        urllib.request.urlopen(urllib.request.Request(f"{sink.url}offer", body, method="POST"), timeout=10)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


# The track ------------------------------------------------------------------------------------------------------


def test_a_slow_reader_of_a_feed_gets_the_newest() -> None:
    async def read() -> list[int]:
        feed = PictureFeed(asyncio.get_running_loop())
        seen = []
        number = 0
        for level in range(1, 10):
            feed.show(grey(level), level)
            if level % 3 == 0:
                shown = await feed.newest(number)
                assert shown is not None
                number = shown.number
                seen.append(int(shown.picture[0, 0, 0]))
        assert await feed.newest(number, patience=0.01) is not None  # the same once more
        return seen

    assert asyncio.run(read()) == [3, 6, 9]


def test_a_track_that_was_stopped_ends() -> None:
    from aiortc.mediastreams import MediaStreamError

    async def read() -> None:
        track = picture_track(PictureFeed(asyncio.get_running_loop()))
        track.stop()
        with pytest.raises(MediaStreamError):
            await track.recv()

    asyncio.run(read())


def test_time_stamps_always_advance() -> None:
    async def read() -> list[int]:
        feed = PictureFeed(asyncio.get_running_loop())
        track = picture_track(feed)
        stamps = []
        for seconds in (5.0, 5.1, 5.1, 4.0, 5.2):
            feed.show(grey(1, Size(47, 63)), seconds)
            frame = await track.recv()
            assert (frame.height, frame.width) == (48, 64)
            stamps.append(frame.pts)
        return stamps

    assert asyncio.run(read()) == [0, 9000, 9001, 9002, 18000]
