"""A tab over WebRTC, on loopback, with aiortc on both ends: pictures go and come, and it ends with the tab."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest

from edge_i2i.clock import SystemClock
from edge_i2i.live.sinks.webrtc_track import PictureFeed, picture_track
from edge_i2i.web.server import Server
from edge_i2i.web.uploads import Limits
from edge_i2i.web.webrtc import TabPeer
from samples.web.fake_model import FakeModel, loads, serve_model
from samples.web.tab_client import TabClient, tab

aiortc = pytest.importorskip("aiortc")

COLOUR = np.array([40, 90, 180], np.uint8)
PATIENCE = 30.0


class Browser:
    """The page's peer connection: shows the server one colour, over and over."""

    def __init__(self, server: Server, client: TabClient) -> None:
        self._server, self._client = server, client
        self._feed = PictureFeed(asyncio.get_running_loop())
        self._peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self._track: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def connect(self, number: str) -> httpx.Response:
        self._peer.on("track", self._track.set_result)
        self._peer.addTrack(picture_track(self._feed))
        await self._peer.setLocalDescription(await self._peer.createOffer())
        offer = {"sdp": self._peer.localDescription.sdp, "type": "offer", "tab": number}
        async with httpx.AsyncClient() as http:
            answer = await http.post(f"{self._server.url}webrtc", json=offer, timeout=PATIENCE)
        if answer.status_code == 200:
            await self._peer.setRemoteDescription(aiortc.RTCSessionDescription(**answer.json()))
        return answer

    async def show(self, shown: asyncio.Event, size: tuple[int, int] = (96, 128)) -> None:
        picture = np.broadcast_to(COLOUR, (*size, 3)).copy()
        seconds = 0.0
        while not shown.is_set():
            self._feed.show(picture, seconds)
            seconds += 0.04
            await asyncio.sleep(0.04)

    async def received(self) -> np.ndarray:
        track = await self._track
        return np.asarray((await track.recv()).to_ndarray(format="rgb24"))

    async def close(self) -> None:
        await self._peer.close()


async def figure(server: Server, name: str) -> float:
    async with httpx.AsyncClient() as http:
        lines = (await http.get(f"{server.url}metrics")).text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"edge_i2i_serve_{name} "))


async def becomes(server: Server, name: str, value: float) -> None:
    async with asyncio.timeout(PATIENCE):
        while await figure(server, name) != value:
            await asyncio.sleep(0.05)


def test_pictures_come_back_translated_and_the_connection_ends_with_the_tab(demo_bundle: Path) -> None:
    async def use() -> None:
        async with tab(server, ready=False) as client:
            browser = Browser(server, client)
            answer = await browser.connect((await client.said("ready"))["tab"])
            assert answer.status_code == 200 and answer.json()["type"] == "answer"
            done = asyncio.Event()
            showing = asyncio.ensure_future(browser.show(done))
            async with asyncio.timeout(PATIENCE):
                picture = await browser.received()
                assert picture.shape == (96, 128, 3)
                assert np.abs(picture[8:-8, 8:-8].astype(int) - (255 - COLOUR)).max() <= 8
                stats = await client.said("stats")
                while not stats["fps"]:
                    stats = await client.said("stats")
            assert await figure(server, "peers") == 1
            done.set()
            await showing
        await becomes(server, "peers", 0)
        await becomes(server, "tabs", 0)
        await browser.close()

    with serve_model(demo_bundle, loads(FakeModel(SystemClock()))) as server:
        asyncio.run(use())


def test_an_offer_that_cannot_be_met_is_refused_in_words(demo_bundle: Path) -> None:
    async def use() -> None:
        async with tab(server, ready=False) as client, httpx.AsyncClient() as http:
            offer = {"sdp": "v=0\r\nnonsense", "type": "offer", "tab": (await client.said("ready"))["tab"]}
            answer = await http.post(f"{server.url}webrtc", json=offer)
            assert answer.status_code == 400 and "cannot be met" in answer.json()["what"]
        assert await figure(server, "peers") == 0

    with serve_model(demo_bundle, loads(FakeModel(SystemClock()))) as server:
        asyncio.run(use())


def test_video_that_is_too_large_is_said_so_once(demo_bundle: Path) -> None:
    async def use() -> None:
        async with tab(server, ready=False) as client:
            browser = Browser(server, client)
            await browser.connect((await client.said("ready"))["tab"])
            done = asyncio.Event()
            showing = asyncio.ensure_future(browser.show(done))
            assert "larger than 1,000 pixels" in (await client.said("error"))["what"]
            stats = await client.said("stats")
            while stats["dropped"] < 3:
                stats = await client.said("stats")
            done.set()
            await showing
            await browser.close()

    with serve_model(demo_bundle, loads(FakeModel(SystemClock())), Limits(frame_pixels=1000)) as server:
        asyncio.run(use())


def test_a_close_that_takes_too_long_is_left_to_end_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """aiortc closes on its own, too, and whoever else closes waits for its future."""

    async def hang_up() -> None:
        closed = asyncio.get_running_loop().create_future()

        async def close(connection: object) -> None:
            await closed

        monkeypatch.setattr(aiortc.RTCPeerConnection, "close", close)
        site: Any = SimpleNamespace(figures=SimpleNamespace(peers=0))
        peer = TabPeer(site, tab=site)
        await peer.close()
        assert not closed.cancelled()
        closed.set_result(True)
        await asyncio.sleep(0)

    monkeypatch.setattr("edge_i2i.web.webrtc._CLOSING_SECONDS", 0.05)
    asyncio.run(hang_up())
