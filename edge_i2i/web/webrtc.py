"""A tab's pictures over WebRTC (aiortc, the extra ``webrtc``): they come as one video track, and go as another.

The browser's encoder follows the network by itself, which JPEGs over a WebSocket cannot. The price is that aiortc
encodes in software. Look and figures stay with the tab's WebSocket, and the connection ends with it.
"""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.errors import BadInputError, EdgeI2IError
from edge_i2i.hosting.refusals import TooLargeError
from edge_i2i.live.sinks.webrtc_track import PictureFeed, picture_track
from edge_i2i.requirements import require
from edge_i2i.web.figures import Unanswered
from edge_i2i.web.shared_model import SupersededError
from edge_i2i.web.site import Site
from edge_i2i.web.tabs import Tab

if TYPE_CHECKING:
    import av
    from aiortc import MediaStreamTrack

_CLOSING_SECONDS = 1.0


def webrtc_available() -> bool:
    """Whether aiortc is installed; imports nothing."""
    return importlib.util.find_spec("aiortc") is not None


async def answer_offer(site: Site, tab: Tab, sdp: str) -> dict[str, str]:
    """Connect a tab; an older connection of it is closed.

    Args:
        site: gives the model, and counts connections.
        tab: the tab to which the connection belongs from now on, and with which it ends.
        sdp: the browser's offer.

    Returns:
        The answer to the offer, in plain values.

    Raises:
        MissingRequirementError: aiortc is not installed.
        BadInputError: the offer cannot be met.
    """
    require("aiortc", extra="webrtc", purpose="Video by WebRTC")
    peer = TabPeer(site, tab)
    try:
        answer = await peer.answer(sdp)
    except Exception as error:  # an offer comes from elsewhere, and aiortc raises anything
        await peer.close()
        raise BadInputError(
            f"The WebRTC offer cannot be met: {error or type(error).__name__}.", remedy="Reload the page."
        ) from error
    await tab.adopt(peer)
    return answer


class TabPeer:
    """One peer connection. Lives in the event loop."""

    def __init__(self, site: Site, tab: Tab) -> None:
        from aiortc import RTCConfiguration, RTCPeerConnection
        from av.video.reformatter import VideoReformatter

        self._site, self._tab = site, tab
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))  # the default asks a server elsewhere
        self._feed = PictureFeed(asyncio.get_running_loop())
        self._newest: asyncio.Queue[tuple[float, av.VideoFrame]] = asyncio.Queue(1)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reformatter = VideoReformatter()  # one for all frames: each has a table of its own
        self._said = ""
        site.figures.peers += 1
        self._open = True

    async def answer(self, sdp: str) -> dict[str, str]:
        """Answer an offer; raises whatever aiortc does."""
        from aiortc import RTCSessionDescription

        self._connection.on("track", self._take_track)
        self._connection.on("connectionstatechange", self._state_changed)
        await self._connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        self._connection.addTrack(picture_track(self._feed))
        await self._connection.setLocalDescription(await self._connection.createAnswer())
        description = self._connection.localDescription
        return {"sdp": description.sdp, "type": description.type}

    async def close(self) -> None:
        """Close the connection; twice is harmless."""
        if not self._open:
            return
        self._open = False
        self._site.figures.peers -= 1
        for task in self._tasks:
            task.cancel()
        try:
            async with asyncio.timeout(_CLOSING_SECONDS):
                # aiortc may be closing it already, and both wait for one future: giving up must not cancel that
                await asyncio.shield(self._connection.close())
        except TimeoutError:
            return  # its sockets are closed with the loop

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._begin(self.close())

    def _take_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            self._begin(self._receive(track))
            self._begin(self._translate_all())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)  # a task that nobody holds may be collected before it is done
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, track: MediaStreamTrack) -> None:
        """Keep the newest frame: aiortc's own queue has no end (aiortc issue 554)."""
        import av
        from aiortc.mediastreams import MediaStreamError

        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if not isinstance(frame, av.VideoFrame):
                continue
            if self._newest.full():
                self._newest.get_nowait()
                self._tab.count_unanswered(Unanswered.SUPERSEDED)
            self._newest.put_nowait((self._site.clock.now(), frame))

    async def _translate_all(self) -> None:
        while True:
            arrived, frame = await self._newest.get()
            try:
                await self._translate(arrived, frame)
                self._said = ""
            except SupersededError:
                self._tab.count_unanswered(Unanswered.SUPERSEDED)
            except EdgeI2IError as error:
                self._tab.count_unanswered(Unanswered.FAILED)
                self._complain(error)

    async def _translate(self, arrived: float, frame: av.VideoFrame) -> None:
        limit = self._site.limits.frame_pixels
        if frame.width * frame.height > limit:
            raise TooLargeError(
                f"The video is larger than {limit:,} pixels.", remedy="Make the camera's picture smaller."
            )
        picture = await self._site.in_pool(self._to_picture, frame)
        result = await asyncio.wrap_future(self._tab.seat.translate(picture))
        self._tab.count_answered(arrived, result)
        self._feed.show(result.image, arrived)

    def _complain(self, error: EdgeI2IError) -> None:
        """Log a failure, once and not thirty times a second."""
        if error.what != self._said:
            self._said = error.what
            self._tab.post_error(error)

    def _to_picture(self, frame: av.VideoFrame) -> Picture:
        return np.asarray(self._reformatter.reformat(frame, format="rgb24").to_ndarray(), np.uint8)
