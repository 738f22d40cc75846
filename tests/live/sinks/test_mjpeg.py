"""The page: every viewer the newest picture, nobody held up, nothing encoded that nobody sees."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import cv2
import pytest

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.live.sinks import mjpeg
from edge_i2i.live.sinks.mjpeg import MjpegSink
from edge_i2i.live.sinks.page_server import Address
from edge_i2i.sources.coded import read_code, stamp
from samples.live.sinks import SIZE, coded, decode_jpeg, get, no_thread_left, result, until

BOUNDARY = b"\r\n--edge-i2i-7d1f0c9b4e\r\n"


class Viewer:
    """Reads the stream as a browser does."""

    def __init__(self, url: str) -> None:
        rest = url.removeprefix("http://").split("/", 1)
        self._connection = http.client.HTTPConnection(rest[0], timeout=5)
        self._connection.request("GET", f"/{rest[1]}stream")
        self._reply = self._connection.getresponse()
        assert self._reply.getheader("Content-Type", "").startswith("multipart/x-mixed-replace")
        self._data = b""
        self._part()  # what comes before the first boundary is no picture

    def picture(self) -> Picture:
        return decode_jpeg(self._part().split(b"\r\n\r\n", 1)[1])

    def number(self) -> int | None:
        code = read_code(self.picture())
        return code.number if code else None

    def ended(self) -> bool:
        try:
            return self._reply.read1(1 << 16) == b""
        except http.client.IncompleteRead:  # hung up on in the middle, as streams are that have no end
            return True

    def close(self) -> None:
        self._reply.close()
        self._connection.close()

    def _part(self) -> bytes:
        while BOUNDARY not in self._data:
            more = self._reply.read1(1 << 16)
            assert more, "the stream ended"
            self._data += more
        part, _, self._data = self._data.partition(BOUNDARY)
        return part


@pytest.fixture
def sink() -> Iterator[MjpegSink]:
    with serving() as opened:
        yield opened


@contextmanager
def serving(**options: object) -> Iterator[MjpegSink]:
    with no_thread_left():
        opened = MjpegSink(Address(), **options)  # type: ignore[arg-type]
        opened.open(SIZE)
        try:
            yield opened
        finally:
            opened.close()


def show(sink: MjpegSink, number: int, size: Size = SIZE) -> None:
    picture = coded(number, size)
    sink.write(picture, result(picture, number))


def test_a_viewer_sees_each_picture_once(sink: MjpegSink) -> None:
    show(sink, 1)
    viewer = Viewer(sink.url)
    seen = [viewer.number()]  # the one that was there before
    for number in (2, 3, 4):
        show(sink, number)
        seen.append(viewer.number())
    assert seen == [1, 2, 3, 4]
    viewer.close()


def test_a_picture_is_whole_as_soon_as_it_is_sent(sink: MjpegSink) -> None:
    """Its closing boundary and the next part's head come with it, so that no browser shows it one picture late."""
    viewer = Viewer(sink.url)
    show(sink, 7)
    assert viewer.number() == 7
    assert viewer._data == b"Content-Type: image/jpeg\r\n\r\n"
    viewer.close()


def test_pictures_of_changing_size(sink: MjpegSink) -> None:
    viewer = Viewer(sink.url)
    for number, size in enumerate([SIZE, Size(64, 80), Size(63, 81)]):
        show(sink, number, size)
        assert viewer.picture().shape == (size.height, size.width, 3)
    viewer.close()


def test_a_slow_viewer_gets_the_newest_and_holds_nobody_up(sink: MjpegSink) -> None:
    """One that reads nothing at all: its socket fills, and everything goes on."""
    large = Size(480, 640)
    slow, quick = Viewer(sink.url), Viewer(sink.url)
    until(lambda: sink.viewers == 2)
    last = 300
    noise = coded(0, large)
    cv2.randu(noise[64:-64], 0, 255)
    for number in range(1, last + 1):
        picture = noise.copy()
        stamp(picture, number)
        sink.write(picture, result(picture, number))
        if number % 20 == 0:
            assert quick.number() is not None
    seen = [slow.number()]
    while seen[-1] != last:
        seen.append(slow.number())
    assert None not in seen and seen == sorted(set(seen)) and len(seen) < last / 2
    slow.close()
    quick.close()


def test_encoded_once_for_all_and_only_for_somebody(sink: MjpegSink, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    real: Callable[[Picture, int], bytes] = mjpeg.encode_jpeg

    def counting(picture: Picture, quality: int) -> bytes:
        encoded.append(1)
        return real(picture, quality)

    monkeypatch.setattr(mjpeg, "encode_jpeg", counting)
    for number in range(20):
        show(sink, number)
    assert not encoded
    viewers = [Viewer(sink.url) for _ in range(3)]
    assert [viewer.number() for viewer in viewers] == [19] * 3
    show(sink, 20)
    assert [viewer.number() for viewer in viewers] == [20] * 3
    assert len(encoded) == 2
    for viewer in viewers:
        viewer.close()


def test_viewers_that_vanish_are_noticed_without_any_new_picture(sink: MjpegSink) -> None:
    show(sink, 1)
    viewers = [Viewer(sink.url) for _ in range(4)]
    assert all(viewer.number() == 1 for viewer in viewers)
    assert sink.viewers == 4
    for viewer in viewers[:3]:
        viewer.close()
    until(lambda: sink.viewers == 1)
    show(sink, 2)
    assert viewers[3].number() == 2
    viewers[3].close()


def test_a_viewer_that_vanishes_while_it_is_sent_to(sink: MjpegSink) -> None:
    viewer = socket.create_connection(("127.0.0.1", int(sink.url.split(":")[2].strip("/"))))
    viewer.sendall(b"GET /stream HTTP/1.0\r\nHost: localhost\r\n\r\n")
    until(lambda: sink.viewers == 1)
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # reset instead of goodbye
    viewer.close()
    for number in range(5):
        show(sink, number)
    until(lambda: sink.viewers == 0)
    assert get(f"{sink.url}snapshot.jpg")  # others are served on


def test_a_snapshot(sink: MjpegSink) -> None:
    show(sink, 41)
    show(sink, 42)
    code = read_code(decode_jpeg(get(f"{sink.url}snapshot.jpg")))
    assert code is not None and code.number == 42


def test_a_snapshot_before_the_first_picture(sink: MjpegSink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mjpeg, "_FIRST_PICTURE", 0.05)
    with pytest.raises(Exception, match="503"):
        get(f"{sink.url}snapshot.jpg")


def test_the_page_shows_the_stream(sink: MjpegSink) -> None:
    page = get(sink.url).decode()
    assert 'src="stream"' in page and "keys = false" in page


def test_closing_ends_every_stream() -> None:
    with serving() as sink:
        show(sink, 1)
        viewers = [Viewer(sink.url) for _ in range(3)]
        assert [viewer.number() for viewer in viewers] == [1] * 3
        sink.close()
        assert all(viewer.ended() for viewer in viewers)
        for viewer in viewers:
            viewer.close()


def test_keys_pressed_on_the_page() -> None:
    keys: list[str] = []
    with serving(on_key=keys.append) as sink:
        assert "keys = true" in get(sink.url).decode()
        host, path = sink.url.removeprefix("http://").split("/", 1)
        assert len(path) > 20  # whoever may press keys knows the token
        for key in ("n", " ", "Escape", "F12", "Shift", "", "é"):
            connection = http.client.HTTPConnection(host, timeout=5)
            connection.request("POST", f"/{path}key", key.encode())
            assert connection.getresponse().status == 204
            connection.close()
    assert keys == ["n", " ", "escape", "é"]
