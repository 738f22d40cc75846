"""TLS handshakes as connections that the doors know.

The event loop's own TLS tells no protocol of a connection before its handshake is done. Whoever began handshakes and
said nothing more would then hold as many places as there are descriptors, and nobody could take one back.

Imported only where a server starts; needs the extra ``web``.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, cast

from edge_i2i.hosting.doors import Doors, Patience


class Handshake(asyncio.Protocol):
    """A connection until it is secured; what comes after that goes to another protocol.

    Args:
        context: the server's certificate and key.
        doors: told that the connection came and went; their patience limits the handshake.
        visitor: says whose a connection is, by its transport.
        make: makes the protocol that takes the secured connection.
    """

    owes_bytes = True
    does_not_read = False
    since = 0.0
    visitor = ""

    def __init__(
        self,
        context: ssl.SSLContext,
        doors: Doors,
        visitor: Callable[[asyncio.Transport], str],
        make: Callable[[], asyncio.Protocol],
    ) -> None:
        self._context, self._doors, self._visitor, self._make = context, doors, visitor, make
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the connection in at the doors, and begin the handshake."""
        loop = asyncio.get_running_loop()
        connection = cast(asyncio.Transport, transport)  # a TCP connection reads and writes
        self._transport, self.since, self.visitor = connection, loop.time(), self._visitor(connection)
        connection.pause_reading()  # until there is TLS to read it
        self._doors.came(self)
        self._work = loop.create_task(self._secure())

    def overdue(self, now: float, patience: Patience) -> bool:
        """Whether the handshake takes longer than ``patience.head``."""
        return now - self.since > patience.head

    def drop(self) -> None:
        """See ``Connection.drop``."""
        if self._transport is not None:
            self._transport.abort()

    async def _secure(self) -> None:
        early = _Early()
        secured = await self._secured(early)
        self._doors.went(self)
        if secured is None or secured.is_closing():
            return
        protocol = self._make()
        secured.set_protocol(protocol)
        protocol.connection_made(secured)
        early.hand_over(protocol)

    async def _secured(self, early: _Early) -> asyncio.Transport | None:
        transport, loop = self._transport, asyncio.get_running_loop()
        if transport is None or transport.is_closing():
            return None
        try:
            patience = self._doors.patience.head
            return await loop.start_tls(
                transport, early, self._context, server_side=True, ssl_handshake_timeout=patience
            )
        except OSError:  # what is said is no TLS, or nothing was said in time; ssl.SSLError is one
            transport.abort()
            return None


class _Early(asyncio.Protocol):
    """Keeps what comes in the same packet as a handshake's end, until there is somebody to take it."""

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._ended = False

    def data_received(self, data: Any) -> None:
        self._data.append(bytes(data))

    def eof_received(self) -> bool:
        self._ended = True
        return False

    def hand_over(self, protocol: asyncio.Protocol) -> None:
        for data in self._data:
            protocol.data_received(data)
        if self._ended:
            protocol.eof_received()
