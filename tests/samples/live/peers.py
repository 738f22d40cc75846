"""A WebRTC viewer without a browser: a second peer in this process, over loopback."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from typing import Any

import numpy as np

from edge_i2i.arrays import Picture
from samples.live.sinks import until


class Peer:
    """Watches a sink's stream; ``received`` grows as frames come: (time stamp in seconds, picture)."""

    def __init__(self, url: str, codec: str | None = None) -> None:
        self.received: list[tuple[float, Picture]] = []
        self.state = "new"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._tasks: set[asyncio.Future[None]] = set()
        self._connection: Any = self._do(self._connect(url, codec))

    def close(self) -> None:
        self._do(self._connection.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    def wait_for(self, frames: int) -> None:
        until(lambda: len(self.received) >= frames, 15)

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(15)

    async def _connect(self, url: str, codec: str | None) -> Any:
        from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

        peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = peer.addTransceiver("video", direction="recvonly")
        if codec is not None:
            known = RTCRtpReceiver.getCapabilities("video").codecs
            transceiver.setCodecPreferences([one for one in known if one.mimeType == f"video/{codec}"])
        peer.on("track", lambda track: self._keep(asyncio.ensure_future(self._watch(track))))
        peer.on("connectionstatechange", lambda: setattr(self, "state", peer.connectionState))
        await peer.setLocalDescription(await peer.createOffer())
        offer = {"type": peer.localDescription.type, "sdp": peer.localDescription.sdp}
        answer = await asyncio.get_running_loop().run_in_executor(None, post_offer, url, offer)
        await peer.setRemoteDescription(RTCSessionDescription(**answer))
        return peer

    async def _watch(self, track: Any) -> None:
        from aiortc.mediastreams import MediaStreamError

        try:
            while True:
                frame = await track.recv()
                picture = np.asarray(frame.to_ndarray(format="rgb24"))
                self.received.append((float(frame.pts * frame.time_base), picture))
        except MediaStreamError:
            return

    def _keep(self, task: asyncio.Future[None]) -> None:
        self._tasks.add(task)


def post_offer(url: str, offer: object) -> dict[str, str]:
    request = urllib.request.Request(f"{url}offer", json.dumps(offer).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=10) as reply:
        answer: dict[str, str] = json.loads(reply.read())
        return answer
