"""Streams on loopback, by the standard library alone, well-behaved and not."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

import cv2
import numpy as np

from samples.sources.made import EVEN, primaries


def jpeg(picture: np.ndarray) -> bytes:
    """Of high quality, with full colour resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, 98, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return cv2.imencode(".jpg", picture[..., ::-1], options)[1].tobytes()


class StreamServer(ThreadingHTTPServer):
    """MJPEG at ``/endless``, ``/ends`` (after 3 pictures) and ``/hangs`` (after 3); else what is in ``files``."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.is_over = threading.Event()

    def address(self, path: str, user: str = "") -> str:
        """Of a stream."""
        return f"http://{user}127.0.0.1:{self.server_port}{path}"

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.is_over.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: StreamServer
    counts: ClassVar[dict[str, int]] = {"/endless": 10_000, "/ends": 3, "/hangs": 3}

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        if self.path in self.counts:
            self._stream(self.counts[self.path])
        elif self.path in self.server.files:
            body = self.server.files[self.path]
            self._head(200, "application/octet-stream", len(body))
            self.wfile.write(body)
        else:
            self._head(404, "text/html", 0)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _head(self, status: int, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _stream(self, count: int) -> None:
        self._head(200, "multipart/x-mixed-replace; boundary=frame")
        picture = jpeg(primaries(EVEN))
        part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture) + picture + b"\r\n"
        try:
            for _ in range(count):
                self.wfile.write(part)
            if self.path == "/hangs":
                self.server.is_over.wait(20)
        except OSError:  # the other side has hung up
            self.close_connection = True
