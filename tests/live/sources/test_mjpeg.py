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

from edge_i2i.live.clock import SystemClock
from edge_i2i.live.source import SourceLostError
from edge_i2i.live.sources.network import NetworkSource, Timeouts

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


def test_what_holds_no_picture_is_lost_and_not_tried_for_ever() -> None:
    with camera(PLAIN, lambda _: b"--b\r\nContent-Type: text/plain\r\n\r\nno picture\r\n", last=20) as address:
        source = NetworkSource(address, clock=SystemClock(), timeouts=Timeouts(2, 2))
        with pytest.raises(SourceLostError):
            source.open()
        source.close()
