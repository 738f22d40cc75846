"""The server's doors: who is connected, how long anybody may keep a connection without using it, who makes room.

Nobody can lock others out by connections alone. One that says nothing, or a byte at a time, is closed after
``Patience.head``; one that does not take what it asked for, after ``Patience.stuck``. And where all are taken, a
newcomer gets the place of one that owes the server bytes, then of one that does not read, then of whoever has more
than the newcomer.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol

from edge_i2i.hosting.shares import Holder, oldest_of_the_greediest, who_makes_room

_log = logging.getLogger(__name__)

_LOOK_EVERY = 1.0  # seconds between two looks at all connections
_FEWEST = 8
_SHARE_OF_DESCRIPTORS = 4  # the network, its files, cameras and the tabs' own sockets need the rest


@dataclass(frozen=True)
class Patience:
    """How long a connection may take, in seconds.

    ``head``: until a request's head is whole. ``body``: until its body is. ``stuck``: without taking what was asked
    for. ``closing``: until a connection that is being closed has taken the rest.
    """

    head: float = 10.0
    body: float = 45.0
    stuck: float = 30.0
    closing: float = 5.0


class Connection(Holder, Protocol):
    """One connection, as the doors see it."""

    @property
    def owes_bytes(self) -> bool:
        """Whether the server waits for the client: for a request, or the rest of one."""
        ...

    @property
    def does_not_read(self) -> bool:
        """Whether the client does not take what it was sent."""
        ...

    def overdue(self, now: float, patience: Patience) -> bool:
        """Whether the connection has taken longer than ``patience`` allows, at ``now`` (seconds of the event loop)."""
        ...

    def drop(self) -> None:
        """Close the connection at once."""
        ...


class Doors:
    """All connections of a server. Used by its event loop only. ``most``: how many there may be."""

    def __init__(self, most: int, patience: Patience | None = None) -> None:
        self.most, self.patience = most, patience or Patience()
        self._open: set[Connection] = set()
        self._said_full = self._said_descriptors = False

    def __len__(self) -> int:
        return len(self._open)

    def came(self, connection: Connection) -> None:
        """Let a connection in. Where all places are taken, another one is dropped for it, or the newcomer itself."""
        if not self.most:
            connection.drop()
            return
        if len(self._open) >= self.most:
            self._say_full()
            leaves = self._who_leaves(connection) or connection
            leaves.drop()
            self._open.discard(leaves)
            if leaves is connection:
                return
        self._open.add(connection)

    def went(self, connection: Connection) -> None:
        """A connection is closed: forget it."""
        self._open.discard(connection)

    async def watch(self) -> None:
        """Drop the connections that are overdue, for as long as the server runs."""
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = asyncio.get_running_loop().time()
            for connection in list(self._open):
                if connection.overdue(now, self.patience):
                    connection.drop()

    def close(self) -> None:
        """Drop every connection, and let nobody in from now on."""
        self.most = 0
        for connection in list(self._open):
            connection.drop()

    def descriptors_ran_out(self) -> None:
        """No connection can be accepted: let go of those that owe bytes, and say it once."""
        if not self._said_descriptors:
            self._said_descriptors = True
            _log.warning(
                "This process has no file descriptors left (%d connections); idle ones are closed. "
                "ulimit -n gives it more.",
                len(self._open),
            )
        for connection in [item for item in self._open if item.owes_bytes]:
            connection.drop()

    def _who_leaves(self, newcomer: Connection) -> Connection | None:
        for group in (
            [item for item in self._open if item.owes_bytes],
            [item for item in self._open if item.does_not_read],
        ):
            if (found := oldest_of_the_greediest(self._open, group)) is not None:
                return found
        return who_makes_room(self._open, newcomer.visitor)

    def _say_full(self) -> None:
        if not self._said_full:
            self._said_full = True
            _log.warning("All %d connections are taken; those that say nothing make room for new ones.", self.most)


def most_connections(wanted: int) -> int:
    """How many connections a server may hold: ``wanted``, or a share of what the system gives this process."""
    try:
        import resource
    except ImportError:  # not on Windows, where sockets are no descriptors
        return wanted
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, max(_FEWEST, soft // _SHARE_OF_DESCRIPTORS))
