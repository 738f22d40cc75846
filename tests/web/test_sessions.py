"""Tabs over a real WebSocket: credit, looks of their own, fair shares, faults, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed

import edge_i2i
from edge_i2i.clock import Signal, SystemClock
from edge_i2i.web.server import Server
from edge_i2i.web.shared_model import Note
from edge_i2i.web.uploads import Limits
from samples.web.fake_model import FakeModel, loads, serve_model
from samples.web.tab_client import JPEG, WEBP, Answer, TabClient, encoded, photo, tab

RED = np.full((64, 64, 3), (255, 0, 0), np.uint8)


def figure(server: Server, name: str) -> float:
    """A value of ``/metrics``."""
    lines = httpx.get(f"{server.url}metrics").text.splitlines()
    return next(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"edge_i2i_serve_{name} "))


async def becomes(condition: Callable[[], bool]) -> None:
    """Wait for what follows a moment after the socket is closed."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


# Frames ---------------------------------------------------------------------------------------------------------


def test_a_frame_comes_back_as_the_translator_makes_it(demo_server: Server, demo_bundle: Path) -> None:
    picture = photo(64, 64)

    async def use() -> None:
        async with tab(demo_server) as client:
            for form, suffix in ((JPEG, ".jpg"), (WEBP, ".webp")):
                await client.send(2**32 - 1, encoded(picture, suffix), form, 12.75)
                answer = await client.answer()
                assert isinstance(answer, Answer)
                assert (answer.id, answer.client_time) == (2**32 - 1, 12.75)
                assert answer.encoded.startswith(b"\xff\xd8" if form == JPEG else b"RIFF")
                assert np.abs(answer.picture.astype(int) - expected).mean() < 6  # JPEG, twice
                assert answer.model_us > 0 and answer.queue_us > 0

    with edge_i2i.load(demo_bundle, engine="onnxruntime", threads=1) as translator:
        expected = translator(picture)
    asyncio.run(use())


def test_frames_of_any_size_come_back_in_their_size(demo_server: Server) -> None:
    async def use() -> None:
        async with tab(demo_server) as client:
            for number, (height, width) in enumerate([(48, 64), (65, 33), (360, 640)]):
                answer = await client.translate(number, encoded(photo(height, width)))
                assert answer.picture.shape == (height, width, 3)

    asyncio.run(use())


def test_quality_is_the_tabs_own(demo_server: Server) -> None:
    async def use() -> None:
        async with tab(demo_server) as first, tab(demo_server) as second:
            await first.ask(type="quality", jpeg=5)
            poor, fine = [await client.translate(1, encoded(photo())) for client in (first, second)]
            assert len(poor.encoded) < 0.7 * len(fine.encoded)

    asyncio.run(use())


def test_figures_come_every_second(demo_server: Server) -> None:
    async def use() -> None:
        async with tab(demo_server) as client:
            for number in range(3):
                await client.translate(number, encoded(photo()))
            stats = await client.said("stats")
            assert stats["fps"] >= 3 and 0 < stats["age_ms"] <= stats["age_p99_ms"]
            assert (stats["queue"], stats["tabs"], stats["dropped"]) == (0, 1, 0)

    asyncio.run(use())


# Credit ---------------------------------------------------------------------------------------------------------


def test_a_frame_without_credit_is_dropped_and_counted(demo_bundle: Path) -> None:
    with serve_model(demo_bundle, loads(FakeModel(SystemClock(), 0.2))) as server:

        async def use() -> None:
            async with tab(server) as client:
                for number in range(5):
                    await client.send(number, encoded(photo()))
                first = await client.answer()
                assert isinstance(first, Answer) and first.id == 0
                assert (await client.translate(9, encoded(photo()))).id == 9  # its credit came back
                assert (await client.said("stats"))["dropped"] == 4
            assert figure(server, 'unanswered_total{cause="no-credit"}') == 4

        asyncio.run(use())


def test_who_never_waits_is_shown_out(demo_bundle: Path) -> None:
    hang = Signal(SystemClock())
    with serve_model(demo_bundle, loads(FakeModel(SystemClock(), hang=hang)), Limits(uncredited=10)) as server:

        async def use() -> None:
            async with tab(server) as client:
                for number in range(11):
                    await client.send(number, encoded(photo()))
                assert await close_code(client) == 1008

        asyncio.run(use())
        hang.set()


async def close_code(client: TabClient) -> int:
    async with asyncio.timeout(10):
        try:
            while True:
                await client.socket.recv()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None
            return closed.rcvd.code


# What is no frame -----------------------------------------------------------------------------------------------


def webp_of(width: int, height: int) -> bytes:
    """A WebP whose extended header declares a size, and no picture."""
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunk = b"VP8X" + struct.pack("<I", 10) + bytes(4) + sides
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


@pytest.mark.parametrize(
    ("picture", "form", "words"),
    [
        (b"nothing at all, really", JPEG, "not a picture"),
        (encoded(photo(), ".webp"), JPEG, "a WebP picture"),
        (encoded(photo()), WEBP, "a JPEG picture"),
        (encoded(photo(), ".png"), JPEG, "a PNG picture"),
        (encoded(photo()), 2, "no picture format 2"),
        (b"", JPEG, "holds no picture"),
        (encoded(photo())[:200], JPEG, "damaged"),
        (encoded(photo(256, 256))[:-60], JPEG, "cannot be used"),
        (webp_of(16_384, 16_384), WEBP, "too large: 16384x16384"),
        (webp_of(64, 64), WEBP, "damaged"),
    ],
)
def test_what_is_no_frame_is_answered_in_words_and_gives_the_credit_back(
    demo_server: Server, picture: bytes, form: int, words: str
) -> None:
    async def use() -> None:
        async with tab(demo_server) as client:
            await client.send(5, picture, form)
            said = await client.answer()
            assert isinstance(said, dict) and said["id"] == 5
            assert words in said["what"] and said["remedy"]
            assert (await client.translate(6, encoded(photo()))).id == 6

    asyncio.run(use())


def test_a_message_that_is_too_large_ends_the_tab(demo_server: Server) -> None:
    async def use() -> None:
        async with tab(demo_server) as client:
            with pytest.raises(ConnectionClosed) as closed:
                await client.send(1, bytes(Limits().frame_bytes + 1))
                await client.socket.recv()
            assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009

    asyncio.run(use())


@pytest.mark.parametrize("text", ["nothing", "[]", '{"type": "dance"}', '{"type": "look"}', '{"type": "quality"}'])
def test_what_is_no_request_is_answered_in_words(demo_server: Server, text: str) -> None:
    async def use() -> None:
        async with tab(demo_server) as client:
            await client.socket.send(text)
            said = await client.said("error")
            assert said["what"] and said["remedy"] and "id" not in said
            assert (await client.translate(6, encoded(photo()))).id == 6

    asyncio.run(use())


def test_a_model_that_fails_tells_that_tab_and_goes_on(demo_bundle: Path) -> None:
    with serve_model(demo_bundle, loads(FakeModel(SystemClock()))) as server:

        async def use() -> None:
            async with tab(server) as unlucky, tab(server) as other:
                await unlucky.send(1, encoded(RED))
                said = await unlucky.answer()
                assert isinstance(said, dict) and "the driver fell over" in said["what"] and said["id"] == 1
                for client in (unlucky, other):
                    assert (await client.translate(2, encoded(photo()))).id == 2
            assert figure(server, 'unanswered_total{cause="failed"}') == 1

        asyncio.run(use())


# Many tabs ------------------------------------------------------------------------------------------------------


def test_many_tabs_get_equal_shares(demo_bundle: Path) -> None:
    """Each sends as soon as it may; one also sends what it may not."""
    with serve_model(demo_bundle, loads(FakeModel(SystemClock(), 0.01))) as server:

        async def use() -> None:
            picture, counts = encoded(photo()), [0] * 6

            async def stay(index: int, client: TabClient) -> None:
                while True:
                    await client.translate(counts[index], picture)
                    counts[index] += 1

            async def push(client: TabClient) -> None:
                for _ in range(90):
                    await client.send(0, picture)
                    await asyncio.sleep(0.002)

            clients = [tab(server) for _ in counts]
            opened = [await client.__aenter__() for client in clients]
            tasks = [asyncio.ensure_future(stay(*pair)) for pair in enumerate(opened)]
            tasks.append(asyncio.ensure_future(push(opened[0])))
            await becomes(lambda: sum(counts) >= 120)
            for task in tasks:
                task.cancel()
            assert min(counts) >= 0.6 * max(counts), counts
            for client in clients:
                await client.__aexit__(None, None, None)

        asyncio.run(use())


def test_beyond_the_limit_a_tab_is_turned_away_in_words(demo_bundle: Path) -> None:
    with serve_model(demo_bundle, loads(FakeModel(SystemClock())), Limits(tabs=2)) as server:

        async def use() -> None:
            async with tab(server) as first, tab(server):
                async with tab(server, ready=False) as third:
                    assert "2 tabs are open" in (await third.said("error"))["what"]
                    assert await close_code(third) == 1013
                assert (await first.translate(1, encoded(photo()))).id == 1
            await becomes(lambda: figure(server, "tabs") == 0)
            async with tab(server) as later:
                assert (await later.translate(1, encoded(photo()))).id == 1

        asyncio.run(use())


def test_a_tab_that_closes_leaves_nothing_running(demo_bundle: Path) -> None:
    with serve_model(demo_bundle, loads(FakeModel(SystemClock(), 0.05))) as server:

        async def use() -> None:
            for _ in range(3):
                async with tab(server) as client:
                    await client.translate(0, encoded(photo()))
            before = threading.active_count()
            for _ in range(20):
                async with tab(server) as client:
                    await client.send(1, encoded(photo()))  # closed with a frame under way
            await becomes(lambda: figure(server, "tabs") == 0 and figure(server, "waiting") == 0)
            assert threading.active_count() <= before
            async with tab(server) as client:
                assert (await client.translate(1, encoded(photo()))).id == 1

        asyncio.run(use())


# Loading, and the end -------------------------------------------------------------------------------------------


def test_a_tab_is_told_how_loading_goes_and_its_frames_wait_for_ready(demo_bundle: Path) -> None:
    going_on = Signal(SystemClock())

    def slowly(note: Note) -> None:
        note("building an engine")
        going_on.wait(30)

    with serve_model(demo_bundle, loads(FakeModel(SystemClock()), slowly)) as server:

        async def use() -> None:
            async with tab(server, ready=False) as client:
                while (await client.said("loading"))["note"] != "building an engine":
                    pass
                await client.send(1, encoded(photo()))  # too early: dropped
                await client.ask(type="look", style_seed=4)  # this waits
                await client.ask(type="quality", jpeg=0)  # refused, and so answered, after those
                await client.said("error")
                going_on.set()
                assert (await client.said("look"))["style_seed"] == 4
                ready = await client.said("ready")
                assert ready["credits"] == 1 and ready["engine"] == "fake" and ready["size"] == [64, 64]
                assert (await client.translate(2, encoded(photo()))).id == 2
            assert figure(server, 'unanswered_total{cause="not-ready"}') == 1

        asyncio.run(use())


def test_a_model_that_cannot_be_loaded_is_said_to_the_tab(demo_bundle: Path) -> None:
    def fail(note: Note) -> None:
        raise RuntimeError("no such driver")

    with serve_model(demo_bundle, loads(FakeModel(SystemClock()), fail)) as server:

        async def use() -> None:
            async with tab(server, ready=False) as client:
                assert "no such driver" in (await client.said("error"))["what"]
                assert await close_code(client) == 1011

        asyncio.run(use())


@pytest.mark.parametrize("hangs", [False, True])
def test_stopping_ends_tabs_and_frees_the_port_in_time(demo_bundle: Path, hangs: bool) -> None:
    clock = SystemClock()
    hang = Signal(clock)
    before = {thread.name for thread in threading.enumerate()}
    server = serve_model(demo_bundle, loads(FakeModel(clock, hang=hang if hangs else None)))

    async def use() -> None:
        async with tab(server) as client:
            await client.send(1, encoded(photo()))
            if not hangs:
                await client.answer()
            began = time.perf_counter()
            stopping = asyncio.get_running_loop().run_in_executor(None, server.stop)
            assert await close_code(client) == 1012
            await stopping
            assert time.perf_counter() - began < 2.5  # the promise is 2 s; the rest is a busy machine's

    asyncio.run(use())
    server.stop()
    hang.set()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", server.port))
    deadline = time.monotonic() + 10
    while left := {thread.name for thread in threading.enumerate()} - before - {"asyncio_0"}:
        assert time.monotonic() < deadline, left
    assert server.wait(0)


def test_json_is_what_the_protocol_says(demo_server: Server) -> None:
    async def use() -> None:
        async with tab(demo_server, ready=False) as client:
            said = json.loads(await client.socket.recv())
            assert said["type"] == "ready" and said["format"] == ["jpeg", "webp"] and len(said["tab"]) >= 16

    asyncio.run(use())
