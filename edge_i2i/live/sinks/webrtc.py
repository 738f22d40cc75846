"""A web page that shows the stream with little delay: WebRTC, by aiortc (the extra ``webrtc``)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, ClassVar

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.hosting.host import need_web_packages
from edge_i2i.live.frame import Result
from edge_i2i.live.sinks.page_server import Address, PageServer, parse_offer, read_text, refusal
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.live.sinks.webrtc_track import PictureFeed, picture_track, prefer_sharp_codec
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from aiortc import RTCPeerConnection
    from starlette.requests import Request
    from starlette.responses import Response

_log = logging.getLogger(__name__)

DEFAULT_PORT = 8091
MOST_PEERS = 8  # each has an encoder of its own

_ANSWERING = 10.0  # seconds
_CLOSING = 1.5  # seconds, for all peers together

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>edge-i2i</title><link rel="icon" href="data:,">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
  html, body { margin: 0; height: 100%; background: #111; color: #ccc; font: 16px sans-serif }
  video { width: 100vw; height: 100vh; object-fit: contain; display: block }
  #state { position: fixed; left: 1em; bottom: 1em }
</style>
<video id="view" autoplay muted playsinline></video><div id="state">Connecting</div>
<script>
  const state = document.getElementById("state");
  async function connect() {
    const peer = new RTCPeerConnection();
    addEventListener("pagehide", () => peer.close());
    peer.addTransceiver("video", { direction: "recvonly" });
    peer.ontrack = event => { document.getElementById("view").srcObject = new MediaStream([event.track]) };
    peer.onconnectionstatechange = () => {
      state.textContent = peer.connectionState === "connected" ? "" : peer.connectionState;
      if (peer.connectionState === "failed" || peer.connectionState === "disconnected") { peer.close(); retry() }
    };
    await peer.setLocalDescription();
    if (peer.iceGatheringState !== "complete") await new Promise(done => {
      peer.onicegatheringstatechange = () => peer.iceGatheringState === "complete" && done();
    });
    const reply = await fetch("offer", { method: "POST", body: JSON.stringify(peer.localDescription) });
    if (!reply.ok) throw new Error(await reply.text());
    await peer.setRemoteDescription(await reply.json());
  }
  function retry() { setTimeout(start, 1000) }
  function start() { connect().catch(error => { state.textContent = error.message; retry() }) }
  start();
</script>
</html>
"""


class WebRtcSink(Sink):
    """Serves ``/`` (a page with the stream) and ``POST /offer`` (a WebRTC offer as JSON; the answer comes back).

    Every peer gets the newest result, encoded for it alone (VP8 or H.264; bitrates: ``webrtc_track``). No STUN or TURN
    server is asked: peers are found on this machine and its own networks. The page listens as soon as the sink is made
    and answers once it is opened. ``url``: the page; ``notes``: what to tell the user.

    Raises:
        MissingRequirementError: aiortc is not installed.
        EdgeI2IError: the address cannot be listened on.
    """

    name: ClassVar[str] = "webrtc"
    for_display: ClassVar[bool] = True

    def __init__(self, address: Address | None = None, *, clock: Clock | None = None) -> None:
        require("aiortc", extra="webrtc", purpose="The sink 'webrtc'")
        need_web_packages("The sink 'webrtc'")
        from starlette.routing import Route

        routes = [Route("/", self._page), Route("/offer", self._offer, methods=["POST"])]
        self._server = PageServer(clock or SystemClock(), address or Address(port=DEFAULT_PORT), routes)
        self.url = self._server.url
        self.notes: tuple[str, ...] = (f"Watch at {self.url}",)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._feed: PictureFeed | None = None
        self._peers: _Peers | None = None

    @property
    def viewers(self) -> int:
        """How many peers there are."""
        return len(self._peers) if self._peers else 0

    def open(self, size: Size) -> None:
        """Start answering requests."""
        self._loop = self._server.start()
        self._feed = PictureFeed(self._loop)
        self._peers = _Peers(self._feed)

    def write(self, picture: Picture, result: Result) -> None:
        """Show it to every peer; returns at once."""
        if self._feed is not None:
            self._feed.show(picture, result.frame.t_capture)

    def close(self) -> None:
        """Close the connection of every peer, and free the port."""
        loop, self._loop, self._feed = self._loop, None, None
        if loop is not None and self._peers is not None:
            hanging_up = asyncio.run_coroutine_threadsafe(self._peers.close(), loop)
            try:
                hanging_up.result(_CLOSING)
            except TimeoutError:
                _log.warning("A WebRTC peer did not hang up in time.")
        self._server.close()

    # In the server's event loop -------------------------------------------------------------------------------

    async def _page(self, _request: Request) -> Response:
        from starlette.responses import HTMLResponse

        return HTMLResponse(_PAGE)

    async def _offer(self, request: Request) -> Response:
        offer = parse_offer(await read_text(request))
        if offer is None:
            return refusal(HTTPStatus.BAD_REQUEST, "This is no WebRTC offer.")
        if self._peers is None or len(self._peers) >= MOST_PEERS:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_PEERS} viewers are here already.")
        return await self._answer(self._peers, offer)

    async def _answer(self, peers: _Peers, offer: Mapping[str, str]) -> Response:
        from starlette.responses import JSONResponse

        try:
            async with asyncio.timeout(_ANSWERING):
                return JSONResponse(await peers.answer(offer))
        except PictureError as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.what)
        except TimeoutError:
            return refusal(HTTPStatus.SERVICE_UNAVAILABLE, "The offer could not be answered in time.")


class _Peers:
    """The connections; used on the loop's thread only."""

    def __init__(self, feed: PictureFeed) -> None:
        self._feed = feed
        self._open: set[RTCPeerConnection] = set()
        self._dropping: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    async def answer(self, offer: Mapping[str, str]) -> dict[str, str]:
        """Connect a peer; returns the answer to its offer.

        Raises:
            PictureError: the offer cannot be met.
        """
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # the default asks a server elsewhere
        self._open.add(peer)
        peer.on("connectionstatechange", lambda: self._changed(peer))
        try:
            sender = peer.addTransceiver(picture_track(self._feed), direction="sendonly")
            prefer_sharp_codec(sender)
            await peer.setRemoteDescription(RTCSessionDescription(**offer))
            if sender.mid is None:
                raise PictureError("it asks for no video")
            await peer.setLocalDescription(await peer.createAnswer())
        except Exception as error:  # an offer comes from elsewhere, and aiortc raises anything
            await self._drop(peer)
            raise PictureError(f"The WebRTC offer cannot be met: {error or type(error).__name__}.") from error
        return {"sdp": peer.localDescription.sdp, "type": peer.localDescription.type}

    async def close(self) -> None:
        """Hang up on everybody."""
        await asyncio.gather(*(self._drop(peer) for peer in list(self._open)))

    def _changed(self, peer: RTCPeerConnection) -> None:
        _log.debug("A peer is %s.", peer.connectionState)
        if peer.connectionState in ("failed", "closed") and peer in self._open:
            dropping = asyncio.ensure_future(self._drop(peer))
            self._dropping.add(dropping)  # a task that nobody holds may be collected before it is done
            dropping.add_done_callback(self._dropping.discard)

    async def _drop(self, peer: RTCPeerConnection) -> None:
        self._open.discard(peer)
        await peer.close()
