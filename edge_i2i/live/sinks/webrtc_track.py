"""Pictures as a WebRTC video track (aiortc, the extra ``webrtc``): always the newest, with the time it was captured.

aiortc encodes each peer's video itself, in software, and follows the receiver's bandwidth estimate. The bitrates are
its own (``aiortc.codecs``): VP8 begins at 0.5 and keeps to 0.25 to 1.5 Mbit/s, H.264 begins at 1 and keeps to 0.5 to
3 Mbit/s.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.requirements import require

if TYPE_CHECKING:
    import av
    from aiortc import MediaStreamTrack, RTCRtpTransceiver

TICK = Fraction(1, 90_000)  # RTP's clock for video (RFC 3551)

_REPEAT_AFTER = 1.0  # seconds without a new picture until the last one is sent again, for peers that have lost it
_LIMITED_RANGE, _FULL_RANGE = 1, 2  # AVColorRange: MPEG, JPEG


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture that was shown; ``number`` counts from 1."""

    number: int
    picture: Picture
    seconds: float


class PictureFeed:
    """Hands the newest picture from any thread to the tracks of one event loop; nothing is ever queued."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._lock = threading.Lock()
        self._newest: Shown | None = None
        self._waking = False
        self._waiting: set[asyncio.Future[None]] = set()

    def show(self, picture: Picture, seconds: float) -> None:
        """Make a picture the newest one; from any thread, as long as the loop runs.

        ``picture``: RGB uint8 ``[H, W, 3]``, not to be written to afterwards. ``seconds``: its time, on any clock that
        does not go back.
        """
        with self._lock:
            number = self._newest.number + 1 if self._newest else 1
            self._newest = Shown(number, picture, seconds)
            wake, self._waking = not self._waking, True
        if wake:  # one wake-up at a time, however slow the loop is
            self._loop.call_soon_threadsafe(self._wake)

    async def newest(self, after: int, patience: float | None = None) -> Shown | None:
        """The newest picture, as soon as its number is greater than ``after``; the one before when ``patience``
        seconds have passed, if there is one.
        """
        if self._newest is None or self._newest.number <= after:
            waiting = self._loop.create_future()
            self._waiting.add(waiting)
            try:
                await asyncio.wait([waiting], timeout=patience)
            finally:
                self._waiting.discard(waiting)
        return self._newest

    def _wake(self) -> None:
        with self._lock:
            self._waking = False
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_result(None)


def picture_track(feed: PictureFeed) -> MediaStreamTrack:
    """A track for one peer. Give each peer its own: they all read from the same feed.

    Raises:
        MissingRequirementError: aiortc is not installed.
    """
    require("aiortc", extra="webrtc", purpose="Video by WebRTC")
    from aiortc import MediaStreamTrack
    from aiortc.mediastreams import MediaStreamError

    class PictureTrack(MediaStreamTrack):
        kind = "video"

        def __init__(self) -> None:
            super().__init__()
            self._pacer = _Stamps(feed)

        async def recv(self) -> av.VideoFrame:
            if self.readyState != "live":
                raise MediaStreamError
            return await self._pacer.next_frame()

    return PictureTrack()


def prefer_sharp_codec(sender: RTCRtpTransceiver) -> None:
    """Send H.264 to peers that take it, otherwise VP8. Call it before the peer's offer is set.

    H.264 has twice the bitrate, and aiortc's VP8 runs a filter against noise that leaves small, sharp changes out for
    a few frames. It costs about a third more of the processor (one picture of 1280×720: 32 instead of 25 ms).
    """
    from aiortc import RTCRtpSender

    codecs = RTCRtpSender.getCapabilities("video").codecs
    sender.setCodecPreferences(sorted(codecs, key=lambda codec: codec.mimeType != "video/H264"))


class _Stamps:
    """Makes a peer's frames, with time stamps that always advance."""

    def __init__(self, feed: PictureFeed) -> None:
        from av.video.reformatter import VideoReformatter

        self._feed = feed
        self._reformatter = VideoReformatter()  # one for all frames: each has a table of its own
        self._sent: Shown | None = None
        self._origin = self._sent_at = 0.0
        self._pts = -1

    async def next_frame(self) -> av.VideoFrame:
        loop = asyncio.get_running_loop()
        shown = None
        while shown is None:
            shown = await self._feed.newest(self._sent.number if self._sent else 0, _REPEAT_AFTER)
        if self._sent is None:
            self._origin = shown.seconds
        repeated_for = loop.time() - self._sent_at if shown is self._sent else 0.0
        if shown is not self._sent:
            self._sent, self._sent_at = shown, loop.time()
        self._pts = max(round((shown.seconds - self._origin + repeated_for) / TICK), self._pts + 1)
        frame = await loop.run_in_executor(None, self._to_yuv, shown.picture)
        frame.pts, frame.time_base = self._pts, TICK
        return frame

    def _to_yuv(self, picture: Picture) -> av.VideoFrame:
        """4:2:0 in BT.601, limited range, which is what VP8 means and browsers assume; odd sides are padded."""
        import av
        from av.video.reformatter import Colorspace

        height, width = picture.shape[:2]
        if height % 2 or width % 2:
            picture = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        return self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU601,
            src_color_range=_FULL_RANGE,
            dst_color_range=_LIMITED_RANGE,
        )
