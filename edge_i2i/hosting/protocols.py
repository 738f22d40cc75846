"""uvicorn's protocols behind the server's doors: with deadlines, and against what floods them.

Imported only where a server starts; needs the extra ``web``.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Sequence
from typing import Any
from weakref import WeakSet

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from edge_i2i.hosting.asgi import ASGIApp
from edge_i2i.hosting.doors import Doors, Patience
from edge_i2i.hosting.forwarded import is_one_of
from edge_i2i.hosting.handshakes import Handshake
from edge_i2i.hosting.reach import Network
from edge_i2i.hosting.shares import visitor_of

MOST_FRAGMENTS = 256
"""Of one message; browsers send a picture in a few, and each costs some fifty bytes beside its own."""
_FRAMES_AT_ONCE, _FRAMES_A_SECOND = 2000.0, 400.0  # a slider moves 120 times a second
_KEEP_ALIVE_SECONDS = 20

_numbers = itertools.count(1)


class DoorsConfig(uvicorn.Config):
    """uvicorn's configuration, with the doors of the server.

    Args:
        app: the ASGI application.
        doors: let connections in, and close those that take too long.
        proxies: addresses that speak for many visitors.
        options: further options of ``uvicorn.Config``.
    """

    def __init__(self, app: ASGIApp, doors: Doors, proxies: Sequence[Network], **options: Any) -> None:
        super().__init__(app, **{"http": GuardedHttp, "ws": GuardedWebSocket, **options})
        self.doors, self.proxies = doors, tuple(proxies)

    def visitor(self, transport: asyncio.Transport) -> str:
        """Whose a connection is. Each connection of a proxy counts as another visitor, for it may bring anybody."""
        address = (get_remote_addr(transport) or ("", 0))[0]
        own = is_one_of(address, self.proxies)
        return f"{address} {next(_numbers)}" if own else visitor_of(address)


class DoorsServer(uvicorn.Server):
    """uvicorn's server, whose TLS handshakes are known to the doors, too."""

    config: DoorsConfig

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the sockets given."""
        await self.lifespan.startup()
        self._handshakes: WeakSet[Handshake] = WeakSet()
        loop, first = asyncio.get_running_loop(), self._handshake if self.config.is_ssl else self._http
        self.servers = [await loop.create_server(first, sock=item) for item in sockets or ()]
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drop the handshakes under way, and stop; requests have their time, as uvicorn gives it."""
        for handshake in tuple(self._handshakes):
            handshake.drop()
        await super().shutdown(sockets)

    def _handshake(self) -> Handshake:
        config = self.config
        if config.ssl is None:
            raise RuntimeError("HTTPS without a certificate")
        made = Handshake(config.ssl, config.doors, config.visitor, self._http)
        self._handshakes.add(made)
        return made

    def _http(self) -> asyncio.Protocol:
        return GuardedHttp(self.config, self.server_state, self.lifespan.state)


class _Guarded(asyncio.Protocol):
    """What both kinds of connections have in common."""

    config: Any
    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    client: tuple[str, int] | None
    visitor = ""
    since = 0.0
    owes_bytes = False
    _paused_at: float | None = None
    _closing_at: float | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.since = self.loop.time()
        self.visitor = self.config.visitor(transport)
        _find_lost_peers(transport)
        self.config.doors.came(self)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self.config.doors.went(self)

    def pause_writing(self) -> None:
        self._paused_at = self.loop.time()
        super().pause_writing()

    def resume_writing(self) -> None:
        self._paused_at = None
        super().resume_writing()

    @property
    def does_not_read(self) -> bool:
        return self._paused_at is not None

    def overdue(self, now: float, patience: Patience) -> bool:
        if self.transport.is_closing():
            self._closing_at = self._closing_at or now
            return now - self._closing_at > patience.closing
        return self._paused_at is not None and now - self._paused_at > patience.stuck

    def drop(self) -> None:
        self.transport.abort()


class GuardedHttp(_Guarded, H11Protocol):
    """HTTP/1.1: a request's head and body have their time."""

    @property
    def _answers(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def owes_bytes(self) -> bool:  # type: ignore[override]
        """Whether a request is waited for, or the rest of its body."""
        return not self._answers or self.cycle.more_body

    def overdue(self, now: float, patience: Patience) -> bool:
        """Whether a request's head or body, or taking the answer, takes longer than ``patience`` allows."""
        allowed = patience.body if self._answers else patience.head
        return super().overdue(now, patience) or (self.owes_bytes and now - self.since > allowed)

    def on_response_complete(self) -> None:
        """Give the next request its time from now on."""
        self.since = self.loop.time()
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: Any) -> None:
        """Leave the doors: the WebSocket's protocol comes in for this connection."""
        self.config.doors.went(self)
        super().handle_websocket_upgrade(event)


class GuardedWebSocket(_Guarded, WebSocketsSansIOProtocol):
    """A WebSocket that may not flood: so many frames a second, so many fragments a message, no pongs that pile up."""

    _allowed = _FRAMES_AT_ONCE
    _counted_at = 0.0

    def handle_text(self, event: Frame) -> None:
        """Take a text message, unless there are too many frames a second."""
        if self._may():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a binary message, unless there are too many frames a second."""
        if self._may():
            super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Take a fragment, unless its message is in too many, or there are too many frames a second."""
        if len(self.frames) >= MOST_FRAGMENTS:
            self._show_out("too many fragments")
        elif self._may():
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer a ping, unless there are too many frames a second or the peer does not read its answers."""
        if not self._may():
            return
        if self.does_not_read:
            self.conn.data_to_send()  # the pong of somebody who reads none is not kept
        else:
            super().handle_ping()

    def handle_pong(self, event: Frame) -> None:
        """Take note of a pong, unless there are too many frames a second."""
        if self._may():
            super().handle_pong(event)

    def _may(self) -> bool:
        """Count a frame; returns whether it may be taken. A token bucket: so many at once, and so many a second."""
        now = self.loop.time()
        self._allowed = min(_FRAMES_AT_ONCE, self._allowed + (now - (self._counted_at or now)) * _FRAMES_A_SECOND) - 1
        self._counted_at = now
        if self._allowed < 0:
            self._show_out("too many frames")
        return self._allowed >= 0

    def _show_out(self, why: str) -> None:
        if self.close_sent or self.transport.is_closing():
            return
        self.conn.fail(CloseCode.POLICY_VIOLATION, why)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": int(CloseCode.POLICY_VIOLATION), "reason": why})
        self.transport.close()


def _find_lost_peers(transport: asyncio.Transport) -> None:
    """Have the system probe a silent peer (TCP keep-alive): its cable may be pulled."""
    connection = transport.get_extra_info("socket")
    if connection is None:
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL"):
        if (option := getattr(socket, name, None)) is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, _KEEP_ALIVE_SECONDS)
