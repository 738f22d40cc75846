"""Bodies of requests: in time, of a length that is said beforehand, and a few at once, shared among visitors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import ClientDisconnect, HTTPConnection, Request

from edge_i2i.hosting.refusals import RequestError, too_many_bytes
from edge_i2i.hosting.shares import visitor_of, who_makes_room

AT_ONCE = 4
_LONGEST_NUMBER = 20  # digits; Python refuses to read some thousand of them


def visitor(connection: HTTPConnection) -> str:
    """Whose request or WebSocket this is, as ``visitor_of`` its address says."""
    return visitor_of(connection.client.host if connection.client else "")


async def read_body(request: Request, limit: int, seconds: float) -> bytes:
    """A request's body; its length has to be said beforehand.

    Args:
        request: whose body is read.
        limit: the largest body, in bytes.
        seconds: the longest time that it may take to come.

    Raises:
        RequestError: its length is not said, it took longer than ``seconds``, or it was broken off.
        TooLargeError: it is longer than ``limit``.
    """
    return await Upload("").read(request, limit, seconds)


class Upload:
    """A body that is on its way. ``of``: the visitor who sends it."""

    def __init__(self, of: str) -> None:
        self.visitor, self.since = of, asyncio.get_running_loop().time()
        self._time = asyncio.timeout(None)
        self.is_arriving = True

    async def read(self, request: Request, limit: int, seconds: float) -> bytes:
        """Read the body of ``request``: at most ``limit`` bytes, within ``seconds`` from when the upload got its place.

        Raises:
            RequestError: its length is not said, it took longer, was given up for others, or was broken off.
            TooLargeError: it is longer than ``limit``.
        """
        declared = request.headers.get("content-length", "")
        if not (declared.isascii() and declared.isdecimal()):
            raise RequestError(411, "The length of the upload is not stated.", remedy="Send Content-Length.")
        if len(declared) > _LONGEST_NUMBER or int(declared) > limit:
            raise too_many_bytes(limit)
        try:
            async with self._time:
                self._time.reschedule(self.since + seconds)
                return await request.body()
        except TimeoutError as error:
            raise RequestError(408, "The upload took too long.", remedy="Send a smaller picture.") from error
        except ClientDisconnect as error:
            raise RequestError(400, "The upload was broken off.", remedy="Send it again.") from error
        finally:
            self.is_arriving = False

    def give_up(self) -> None:
        """End the upload now, as if its time were over, because others wait for its place."""
        self._time.reschedule(self.since)


class Uploads:
    """A few uploads at once. Whoever has more of them than a newcomer makes room."""

    def __init__(self) -> None:
        self._held: set[Upload] = set()

    @asynccontextmanager
    async def place(self, of: str) -> AsyncIterator[Upload]:
        """A place for an upload of the visitor ``of``; somebody who has more of them may have to give one up.

        Raises:
            RequestError: all places are taken.
        """
        if len(self._held) >= AT_ONCE:
            self._make_room(of)
        upload = Upload(of)
        self._held.add(upload)
        try:
            yield upload
        finally:
            self._held.discard(upload)

    def _make_room(self, newcomer: str) -> None:
        leaves = who_makes_room(self._held, newcomer)
        if leaves is None or not leaves.is_arriving:
            raise RequestError(429, "Too many pictures are uploaded at once.", remedy="Try again in a moment.")
        leaves.give_up()
        self._held.discard(leaves)
