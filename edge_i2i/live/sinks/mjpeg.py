"""A web page that shows the stream, without any player or plug-in: motion JPEG."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.hosting.host import need_web_packages
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.page_server import Address, PageServer, read_text, refusal
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.sinks.webrtc_track import PictureFeed, Shown

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

OnKey = Callable[[str], None]
"""Told about a key, from a thread of the sink: a character, or ``enter``, ``escape``, ``tab``, ``quit``."""

DEFAULT_PORT = 8090
DEFAULT_QUALITY = 85

_BOUNDARY = "edge-i2i-7d1f0c9b4e"
# Chromium shows a part when the head of the next one has come, so that head is sent right behind each picture. It
# cannot say how long the next picture will be; the boundary ends it.
_PART_HEAD = b"Content-Type: image/jpeg\r\n\r\n"
_PART_END = f"\r\n--{_BOUNDARY}\r\n".encode()
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
    answers once it is opened. ``notes``: what to tell the user. ``viewers``: how many are watching.

    Args:
        address: the default is this machine only. On another one ``url`` holds a random token.
        quality: JPEG quality, 1 to 100.
        clock: starts the server's thread and measures its waits; None: the machine's own.
        on_key: gets the keys that are pressed on the page; the URL then holds a token in any case.
        token: whether the URL holds a token here, too.

    Raises:
        UsageError: the quality is out of range.
        EdgeI2IError: the address cannot be listened on.
        MissingRequirementError: a package of the extra ``web`` is not installed.
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
        self._feed: PictureFeed | None = None
        self._encoding: tuple[int, asyncio.Future[bytes]] | None = None
        self.viewers = 0
        self._server = PageServer(
            clock or SystemClock(),
            address or Address(port=DEFAULT_PORT),
            self._routes(),
            token=token or on_key is not None,
        )
        self.url = self._server.url
        self.notes: tuple[str, ...] = (f"Watch at {self.url}",)

    def _routes(self) -> list[BaseRoute]:
        need_web_packages("The sink 'mjpeg'")
        from starlette.routing import Route

        routes: list[BaseRoute] = [
            Route("/", self._page),
            Route("/stream", self._stream),
            Route("/snapshot.jpg", self._snapshot),
        ]
        return [*routes, Route("/key", self._key, methods=["POST"])] if self._on_key is not None else routes

    def open(self, size: Size) -> None:
        """Start answering requests."""
        self._feed = PictureFeed(self._server.start())

    def write(self, picture: Picture, result: Result) -> None:
        """Show it to everybody who watches; returns at once."""
        if self._feed is not None:
            self._feed.show(picture, result.frame.t_capture)

    def close(self) -> None:
        """End every stream and free the port."""
        self._feed = None
        self._server.close()

    # In the server's event loop -------------------------------------------------------------------------------

    async def _page(self, _request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(_PAGE.replace("KEYS", "true" if self._on_key else "false"))

    async def _stream(self, _request: Request) -> Response:
        from starlette.responses import StreamingResponse

        return StreamingResponse(self._parts(), media_type=f"multipart/x-mixed-replace; boundary={_BOUNDARY}")

    async def _parts(self) -> AsyncIterator[bytes]:
        self.viewers += 1
        try:
            yield _PART_END + _PART_HEAD
            last = 0
            while (feed := self._feed) is not None and (shown := await feed.newest(last)) is not None:
                last = shown.number
                yield await self._jpeg(shown) + _PART_END + _PART_HEAD
        finally:
            self.viewers -= 1

    async def _snapshot(self, _request: Request) -> Response:
        from starlette.responses import Response

        shown = await self._feed.newest(0, _FIRST_PICTURE) if self._feed is not None else None
        if shown is None:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "There is no picture yet.")
        return Response(await self._jpeg(shown), media_type="image/jpeg")

    async def _jpeg(self, shown: Shown) -> bytes:
        """The newest picture as a JPEG file: encoded by the first viewer who asks, and shared by the others."""
        if self._encoding is None or self._encoding[0] != shown.number:
            work = asyncio.to_thread(encode_jpeg, shown.picture, self._quality)
            self._encoding = (shown.number, asyncio.ensure_future(work))
        return await asyncio.shield(self._encoding[1])  # others may wait for it when this viewer goes

    async def _key(self, request: Request) -> Response:
        from starlette.responses import Response

        key = await read_text(request)
        if self._on_key is not None and (len(key) == 1 or key.lower() in _NAMED_KEYS):
            self._on_key(key if len(key) == 1 else key.lower())
        return Response(status_code=HTTPStatus.NO_CONTENT)


def encode_jpeg(picture: Picture, quality: int) -> bytes:
    """A picture (RGB uint8 ``[H, W, 3]``) as a JPEG file; ``quality``: 1 to 100."""
    import cv2

    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(encoded).tobytes()
