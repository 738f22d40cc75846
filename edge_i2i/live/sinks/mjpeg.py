"""A web page that shows the stream, without any player or plug-in: motion JPEG."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from typing import ClassVar

import numpy as np

from edge_i2i.errors import UsageError
from edge_i2i.live.clock import Clock, SystemClock
from edge_i2i.live.frame import Picture, Result
from edge_i2i.live.handover import HandoverClosedError, Slot
from edge_i2i.live.sink import Sink
from edge_i2i.live.sinks.audience import Audience
from edge_i2i.live.sinks.page_server import Address, Exchange, PageServer
from edge_i2i.models.contract import Size

OnKey = Callable[[str], None]
"""Told about a key, from a thread of the sink: a character, or ``enter``, ``escape``, ``tab``, ``quit``."""

DEFAULT_PORT = 8090
DEFAULT_QUALITY = 85

_BOUNDARY = "edge-i2i-7d1f0c9b4e"
# Chromium shows a part when the head of the next one has come, so that head is sent right behind each picture. It
# cannot say how long the next picture will be; the boundary ends it.
_PART_HEAD = b"Content-Type: image/jpeg\r\n\r\n"
_PART_END = f"\r\n--{_BOUNDARY}\r\n".encode()
_LOOK_AFTER_VIEWER = 1.0  # seconds without a new picture until a viewer's connection is looked at
_FIRST_PICTURE = 2.0  # seconds that a snapshot waits for one

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>edge-i2i</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  html, body { margin: 0; height: 100%; background: #111 }
  img { width: 100vw; height: 100vh; object-fit: contain; display: block }
</style>
<img id="view" src="stream" alt="Waiting for the first picture">
<script>
  const view = document.getElementById("view"), keys = KEYS;
  view.onerror = () => setTimeout(() => { view.src = "stream?" + Date.now() }, 1000);
  if (keys) addEventListener("keydown", event => {
    if (!event.repeat && !event.ctrlKey && !event.metaKey && !event.altKey)
      fetch("key", { method: "POST", body: event.key }).catch(() => {});
  });
</script>
</html>
"""
_NAMED_KEYS = frozenset({"enter", "escape", "tab"})


class MjpegSink(Sink):
    """Serves ``/`` (a page with the stream), ``/stream`` (multipart JPEG) and ``/snapshot.jpg``.

    Any number of viewers, each with the newest result only; a picture is encoded once, by the first who takes it, and
    not at all where nobody looks. The page listens as soon as the sink is made, so that its ``url`` can be shown, and
    answers once it is opened. ``notes``: what to tell the user.

    Args:
        address: the default is this machine only. On another one ``url`` holds a random token.
        quality: JPEG quality, 1 to 100.
        on_key: gets the keys that are pressed on the page.
        token: whether the URL holds a token here, too.

    Raises:
        UsageError: the quality is out of range.
        EdgeI2IError: the address cannot be listened on.
    """

    name: ClassVar[str] = "mjpeg"
    for_display: ClassVar[bool] = True

    def __init__(
        self,
        address: Address | None = None,
        *,
        quality: int = DEFAULT_QUALITY,
        clock: Clock | None = None,
        on_key: OnKey | None = None,
        token: bool = False,
    ) -> None:
        if not 1 <= quality <= 100:
            raise UsageError(f"{quality} is no JPEG quality.", remedy="Give 1 to 100.")
        self._quality, self._on_key = quality, on_key
        self._audience: Audience[_Shot] = Audience(clock or SystemClock())
        routes = {"GET /": self._page, "GET /stream": self._stream, "GET /snapshot.jpg": self._snapshot}
        if on_key is not None:
            routes["POST /key"] = self._key
        address = address or Address(port=DEFAULT_PORT)
        self._server = PageServer(clock or SystemClock(), address, routes, token=token or on_key is not None)
        self.url = self._server.url
        self.notes: tuple[str, ...] = (f"Watch at {self.url}",)

    @property
    def viewers(self) -> int:
        """How many are watching."""
        return len(self._audience)

    def open(self, size: Size) -> None:
        """Begin to serve."""
        self._server.start()

    def write(self, picture: Picture, result: Result) -> None:
        """Show it to everybody who watches; returns at once."""
        self._audience.show(_Shot(picture, self._quality))

    def close(self) -> None:
        """End every stream and free the port."""
        self._audience.close()
        self._server.close()

    def _page(self, exchange: Exchange) -> None:
        page = _PAGE.replace("KEYS", "true" if self._on_key else "false")
        exchange.reply(page.encode(), "text/html; charset=utf-8")

    def _stream(self, exchange: Exchange) -> None:
        with self._audience.seat() as slot:
            exchange.begin(f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
            exchange.send(_PART_END + _PART_HEAD)
            while (shot := _next_shot(slot, exchange)) is not None:
                exchange.send(shot.jpeg() + _PART_END + _PART_HEAD)

    def _snapshot(self, exchange: Exchange) -> None:
        with self._audience.seat() as slot:
            try:
                shot = slot.take(_FIRST_PICTURE)
            except HandoverClosedError:
                shot = None
        if shot is None:
            exchange.refuse(HTTPStatus.SERVICE_UNAVAILABLE, "There is no picture yet.")
        else:
            exchange.reply(shot.jpeg(), "image/jpeg")

    def _key(self, exchange: Exchange) -> None:
        key = (exchange.body() or b"").decode("utf-8", "replace")
        if self._on_key is not None and (len(key) == 1 or key.lower() in _NAMED_KEYS):
            self._on_key(key if len(key) == 1 else key.lower())
        exchange.reply(b"", "text/plain", HTTPStatus.NO_CONTENT)


class _Shot:
    """A picture that is encoded when the first viewer takes it."""

    def __init__(self, picture: Picture, quality: int) -> None:
        self._picture, self._quality = picture, quality
        self._lock = threading.Lock()
        self._jpeg: bytes | None = None

    def jpeg(self) -> bytes:
        with self._lock:
            if self._jpeg is None:
                self._jpeg = encode_jpeg(self._picture, self._quality)
            return self._jpeg


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """RGB uint8 ``[H, W, 3]`` as a JPEG file."""
    import cv2

    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(encoded).tobytes()


def _next_shot(slot: Slot[_Shot], exchange: Exchange) -> _Shot | None:
    """The next picture for a viewer; None: it is gone, or the sink is closed."""
    try:
        while (shot := slot.take(_LOOK_AFTER_VIEWER)) is None:
            if exchange.is_gone():
                return None
    except HandoverClosedError:
        return None
    return shot
