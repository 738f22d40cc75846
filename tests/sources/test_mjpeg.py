"""Cameras over HTTP that break the rules of MJPEG in the usual ways: every picture is read all the same."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, pairwise

import cv2
import numpy as np
import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.errors import PictureError
from edge_i2i.sources.network import NetworkSource, Timeouts
from edge_i2i.sources.source import SourceLostError

SHADES = [20, 60, 100, 140, 180]
JPEGS = [cv2.imencode(".jpg", np.full((96, 128, 3), shade, np.uint8))[1].tobytes() for shade in SHADES]
PLAIN = "Content-Type: multipart/x-mixed-replace; boundary=b"


@contextmanager
def camera(head: str, part: Callable[[bytes], bytes], *, last: int | None = None) -> Iterator[str]:
    """The address of a server that answers everybody with ``head`` and parts, ``last`` of them or no end."""
    over = threading.Event()

    def answer(client: socket.socket) -> None:
        with client, suppress(OSError):
            client.recv(4096)
            client.sendall(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode())
            for number in count() if last is None else range(last):
                client.sendall(part(JPEGS[number % len(JPEGS)]))
                if over.wait(0.01):
                    return

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/video"
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)


def part(
    before: str = "--b\r\n", kind: str = "Content-Type: image/jpeg\r\n", longer: int | None = 0, after: str = "\r\n"
) -> Callable[[bytes], bytes]:
    def of(picture: bytes) -> bytes:
        length = "" if longer is None else f"Content-Length: {len(picture) + longer}\r\n"
        return f"{before}{kind}{length}\r\n".encode() + picture + after.encode()

    return of


def without_tables(picture: bytes) -> bytes:
    """As AVI1 cameras send it: whoever reads it has the Huffman tables already."""
    kept, at = picture[:2], 2
    while picture[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")
        kept += picture[at:end] if picture[at + 1] != 0xC4 else b""
        at = end
    return kept + picture[at:]


def chunked(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


TEXT_BETWEEN = "\r\n--b\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello\r\n"
CAMERAS = {
    "by the rules": (PLAIN, part()),
    "quoted": ('Content-Type: multipart/x-mixed-replace; boundary="b"', part()),
    "dashes in the boundary": ("Content-Type: multipart/x-mixed-replace; boundary=--b", part()),
    "dashes doubled": ("Content-Type: multipart/x-mixed-replace; boundary=--b", part(before="----b\r\n")),
    "no boundary": ("Content-Type: multipart/x-mixed-replace", part()),
    "another boundary": ("Content-Type: multipart/x-mixed-replace; boundary=other", part()),
    "no type": ("Server: camera", part()),
    "no length": (PLAIN, part(longer=None)),
    "too long": (PLAIN, part(longer=50)),
    "too short": (PLAIN, part(longer=-50)),
    "line feeds": (PLAIN, lambda picture: part(after="\n")(picture).replace(b"\r\n", b"\n", 4)),
    "no line before the boundary": (PLAIN, part(after="")),
    "image/jpg": (PLAIN, part(kind="Content-Type: image/jpg\r\n")),
    "parts without a type": (PLAIN, part(kind="")),
    "parts of bytes": (PLAIN, part(kind="Content-Type: application/octet-stream\r\n")),
    "texts between": (PLAIN, part(after=TEXT_BETWEEN)),
    "no Huffman tables": (PLAIN, lambda picture: part()(without_tables(picture))),
    "a text before": (PLAIN, part(before="hello\r\nworld\r\n--b\r\n")),
    "nothing but JPEGs": ("Content-Type: video/x-motion-jpeg", bytes),
    "nothing but JPEGs, without a type": ("Server: camera", bytes),
    "nothing but JPEGs, called one": ("Content-Type: image/jpeg", bytes),
    "nothing but JPEGs, called parts": (PLAIN, bytes),
    "chunked JPEGs": (
        "Content-Type: video/x-motion-jpeg\r\nTransfer-Encoding: chunked",
        lambda picture: chunked(picture),
    ),
    "chunked": (f"{PLAIN}\r\nTransfer-Encoding: chunked", lambda picture: chunked(part()(picture))),
}


@pytest.mark.parametrize("name", CAMERAS)
def test_every_picture_is_read(name: str) -> None:
    with camera(*CAMERAS[name]) as address:
        source = NetworkSource(address, clock=SystemClock(), timeouts=Timeouts(60, 60))
        info = source.open()
        seen = [source.read() for _ in range(12)]
        source.close()
    shades = [int(captured.image[48, 64, 0]) for captured in seen]
    nearest = [min(range(5), key=lambda index: abs(SHADES[index] - shade)) for shade in shades]
    assert all(abs(SHADES[index] - shade) <= 3 for index, shade in zip(nearest, shades, strict=True))
    assert [(after - before) % 5 for before, after in pairwise(nearest[2:])] == [1] * 9
    assert info.fps is None and all(captured.t_source is None for captured in seen)


Answer = Callable[[socket.socket, str, int], None]


@contextmanager
def answering(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """The address, with a password in it, of a server that answers each request in turn; and what it was asked."""
    asked: list[str] = []

    def talk(client: socket.socket) -> None:
        with client, suppress(OSError):
            request = client.recv(4096).decode()
            asked.append(request)
            answer(client, request, len(asked) - 1)

    def serve() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=talk, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        try:
            yield f"http://me:secret@127.0.0.1:{listener.getsockname()[1]}/video", asked
        finally:
            listener.shutdown(socket.SHUT_RDWR)


def shades_of(address: str, count: int) -> list[int]:
    source = NetworkSource(address, clock=SystemClock(), timeouts=Timeouts(60, 60))
    source.open()
    seen = [int(source.read().image[48, 64, 0]) for _ in range(count)]
    source.close()
    return [min(range(5), key=lambda index: abs(SHADES[index] - shade)) for shade in seen]


@pytest.mark.parametrize("kind", ["image/jpeg", "application/octet-stream"])
@pytest.mark.parametrize("tells_length", [True, False])
def test_a_camera_of_one_picture_a_request_is_asked_again(kind: str, tells_length: bool) -> None:
    def answer(client: socket.socket, _: str, number: int) -> None:
        picture = JPEGS[number % 5]
        length = f"Content-Length: {len(picture)}\r\n" if tells_length else ""
        client.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\n{length}\r\n".encode() + picture)

    with answering(answer) as (address, asked):
        assert shades_of(address, 7) == [0, 1, 2, 3, 4, 0, 1] and len(asked) == 7


def test_a_camera_of_one_picture_a_request_that_is_gone_is_lost() -> None:
    def answer(client: socket.socket, _: str, number: int) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(JPEGS[0])}\r\n\r\n"
        client.sendall(head.encode() + JPEGS[0] if number < 2 else b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")

    with answering(answer) as (address, _), pytest.raises(SourceLostError) as caught:
        shades_of(address, 3)
    assert "secret" not in str(caught.value)


def stream(client: socket.socket) -> None:
    client.sendall(f"HTTP/1.1 200 OK\r\n{PLAIN}\r\n\r\n".encode())
    for number in range(50):
        client.sendall(part()(JPEGS[number % 5]))


def refusal(kind: str) -> bytes:
    return f"HTTP/1.1 401 No\r\nWWW-Authenticate: {kind}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (refusal('Basic realm="a"'), "Authorization: Basic bWU6c2VjcmV0"),
        (refusal('Digest realm="a", nonce="b", qop="auth"'), 'Authorization: Digest username="me"'),
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "GET /other"),
    ],
)
def test_passwords_and_other_addresses(before: bytes, after: str) -> None:
    def answer(client: socket.socket, request: str, _: int) -> None:
        if after in request:
            stream(client)
        else:
            client.sendall(before)

    with answering(answer) as (address, _):
        assert shades_of(address, 5) == [0, 1, 2, 3, 4]


LARGE = 128 * 96 - 1


@pytest.mark.parametrize("body", [part(), bytes])
@pytest.mark.parametrize("first", [True, False])
def test_pictures_that_are_too_large_are_refused_and_never_decoded(
    monkeypatch: pytest.MonkeyPatch, body: Callable[[bytes], bytes], first: bool
) -> None:
    """At once, or after some that are not."""
    monkeypatch.setattr("edge_i2i.media.films.decoder.LARGEST_FRAME", LARGE)
    small = cv2.imencode(".jpg", np.full((48, 64, 3), 90, np.uint8))[1].tobytes()
    number = count()
    head = PLAIN if body is not bytes else "Content-Type: video/x-motion-jpeg"
    with camera(head, lambda large: body(large if first or next(number) > 60 else small)) as address:
        source = NetworkSource(address, clock=SystemClock(), timeouts=Timeouts(60, 60))
        with pytest.raises(PictureError, match="too large"):
            source.open()
            while True:
                assert source.read().image.shape == (48, 64, 3)
        source.close()


def test_what_holds_no_picture_is_lost_and_not_tried_for_ever() -> None:
    with camera(PLAIN, lambda _: b"--b\r\nContent-Type: text/plain\r\n\r\nno picture\r\n", last=20) as address:
        source = NetworkSource(address, clock=SystemClock(), timeouts=Timeouts(2, 2))
        with pytest.raises(SourceLostError):
            source.open()
        source.close()
