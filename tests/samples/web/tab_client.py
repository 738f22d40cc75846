"""A tab without a browser: the page's side of the protocol, over a real WebSocket."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from websockets.asyncio.client import ClientConnection, connect

from edge_i2i.web.server import Server

JPEG, WEBP = 0, 1
PATIENCE = 20.0


@dataclass(frozen=True)
class Answer:
    """A picture that came back."""

    id: int
    client_time: float
    queue_us: int
    model_us: int
    picture: np.ndarray
    encoded: bytes


class TabClient:
    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def said(self, kind: str) -> dict[str, Any]:
        """The next text of that kind; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.socket.recv()
                if isinstance(message, str) and json.loads(message)["type"] == kind:
                    return dict(json.loads(message))

    async def answer(self) -> Answer | dict[str, Any]:
        """The next picture, or the error instead of one."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self.socket.recv()
                if isinstance(message, bytes):
                    return read_answer(message)
                if "id" in (said := json.loads(message)):
                    return dict(said)

    async def send(self, number: int, picture: bytes, form: int = JPEG, client_time: float = 0.0) -> None:
        await self.socket.send(struct.pack("<IdB", number, client_time, form) + picture)

    async def translate(self, number: int, picture: bytes, form: int = JPEG) -> Answer:
        await self.send(number, picture, form, 1e3 * number)
        answer = await self.answer()
        assert isinstance(answer, Answer), answer
        return answer

    async def ask(self, **request: Any) -> None:
        await self.socket.send(json.dumps(request))

    async def wear(self, **look: Any) -> None:
        """Ask for a look and wait until it is worn."""
        await self.ask(type="look", **look)
        assert await self.said("look") == {"type": "look", **look}


def read_answer(message: bytes) -> Answer:
    number, client_time, queue, model = struct.unpack_from("<IdII", message)
    picture = cv2.imdecode(np.frombuffer(message[20:], np.uint8), cv2.IMREAD_COLOR)
    return Answer(number, client_time, queue, model, cv2.cvtColor(picture, cv2.COLOR_BGR2RGB), message[20:])


@asynccontextmanager
async def tab(
    server: Server, *, ready: bool = True, called: str = "127.0.0.1", page: str = "", **options: Any
) -> AsyncIterator[TabClient]:
    """An open tab that may send frames. ``called``: what the tab takes the server's name to be; ``page``: its path."""
    address = f"ws://{called}:{server.port}/{page}ws"
    reach = {"host": "127.0.0.1", "port": server.port, "proxy": None}
    async with connect(address, compression=None, max_size=None, close_timeout=1, **reach, **options) as socket:
        client = TabClient(socket)
        if ready:
            await client.said("ready")
        yield client


def encoded(picture: np.ndarray, suffix: str = ".jpg") -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def photo(height: int = 64, width: int = 64, seed: int = 0) -> np.ndarray:
    """Smooth colours, so that JPEG keeps them."""
    noise = np.random.default_rng(seed).random((height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), max(2.0, min(height, width) / 10))
    return ((smooth - smooth.min()) / max(float(np.ptp(smooth)), 1e-6) * 255).astype(np.uint8)
