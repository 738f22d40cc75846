"""The pages of the sinks that are watched in a browser: on this machine only, unless told otherwise.

The server is the one of ``edge-i2i serve`` (``hosting``), with its doors. Without a token only requests that
name this machine are answered: a page from elsewhere cannot reach it under a name of its own (DNS rebinding). On any
other address the URL holds a random token, which nobody can guess.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from edge_i2i.clock import Clock
from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.hosting.asgi import ASGIApp, Message, Receive, Scope, Send
from edge_i2i.hosting.doors import Patience
from edge_i2i.hosting.host import HostOptions, WebHost, need_web_packages
from edge_i2i.hosting.reach import LOOPBACK, is_loopback, listen, reachable

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute

LARGEST_BODY = 64 * 1024  # bytes; a WebRTC offer has about 5 kB
BODY_SECONDS = 10.0
_STUCK_AFTER = 10.0  # seconds without a byte taken: a viewer whose cable was pulled
# What lies in the socket is old when it arrives: little of it, so that a slow viewer sees newer pictures.
_SEND_BUFFER = 128 * 1024
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)


@dataclass(frozen=True)
class Address:
    """Where to listen. ``port`` 0: any free one."""

    host: str = LOOPBACK
    port: int = 0

    @classmethod
    def parse(cls, text: str, port: int) -> Self:
        """Read ``""``, ``"8090"``, ``"0.0.0.0:8090"`` or ``"[::1]:8090"``; ``port`` is taken where the text names none.

        >>> Address.parse("0.0.0.0:8123", 8090)
        Address(host='0.0.0.0', port=8123)

        Raises:
            UsageError: the text is no address.
        """
        host, _, number = text.rpartition(":") if not text.endswith("]") else (text, "", "")
        number = number or str(port)
        bare = host.removeprefix("[").removesuffix("]") or LOOPBACK
        if not (number.isascii() and number.isdigit() and int(number) < 65536) or bare.split() != [bare] or "/" in bare:
            raise UsageError(
                f"'{text}' is no address to listen on.", remedy="Give a port, as in 8090, or HOST:PORT; 0: a free port."
            )
        return cls(bare, int(number))

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return is_loopback(self.host)


class PageServer:
    """Listens from the start, answers once ``start`` is called. ``url``: what to open; ends with a slash.

    Args:
        clock: starts the server's thread and measures its waits.
        address: where to listen.
        routes: Starlette's, beneath the token.
        token: whether the URL holds a random token on this machine, too; elsewhere it always does.

    Raises:
        EdgeI2IError: the address cannot be listened on.
        MissingRequirementError: a package of the extra ``web`` is not installed.
    """

    def __init__(self, clock: Clock, address: Address, routes: Sequence[BaseRoute], *, token: bool = False) -> None:
        need_web_packages("A page to watch")
        self._clock = clock
        secret = secrets.token_urlsafe(16) if token or not address.is_loopback else ""
        base = f"/{secret}/" if secret else "/"
        self._app = _Guard(_application(routes), base)
        try:
            self._listening: socket.socket = listen(address.host, address.port)
        except UsageError as error:
            raise EdgeI2IError(
                f"The page cannot be served at {address.host}:{address.port}: {error.what}",
                remedy="Another program may use the port: name another one, or 0 for any free one.",
            ) from error
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)  # connections inherit it
        self.port: int = self._listening.getsockname()[1]
        self.url = f"http://{reachable(address.host)}:{self.port}{base}"
        self._host: WebHost | None = None

    def start(self) -> asyncio.AbstractEventLoop:
        """Begin to answer; returns the event loop in which the routes run."""
        options = HostOptions(patience=Patience(stuck=_STUCK_AFTER))
        self._host = WebHost(self._app, self._listening, self._clock, options)
        return self._host.wait_begun()

    def close(self, timeout: float = 2.0) -> None:
        """Close every connection and free the port, in ``timeout`` seconds at most; twice is harmless."""
        if self._host is None:
            self._listening.close()
        else:
            self._host.stop(timeout, hang_up=True)


async def read_text(request: Request) -> str:
    """A request's body, of ``LARGEST_BODY`` bytes at most, as text; bytes that are not UTF-8 become U+FFFD.

    Raises:
        RequestError: the body does not come in time, or its length is not said.
        TooLargeError: the body is longer.
    """
    from edge_i2i.hosting.incoming import read_body

    return (await read_body(request, LARGEST_BODY, BODY_SECONDS)).decode("utf-8", "replace")


def refusal(status: int, why: str) -> Response:
    """An answer of one sentence, ``why``, with an HTTP status."""
    from starlette.responses import PlainTextResponse

    return PlainTextResponse(f"{why}\n", status)


def _application(routes: Sequence[BaseRoute]) -> ASGIApp:
    from starlette.applications import Starlette

    from edge_i2i.hosting.refusals import RequestError, TooLargeError

    async def refuse(_request: Request, error: Exception) -> Response:
        status = error.status if isinstance(error, RequestError) else 413
        return refusal(status, error.what if isinstance(error, EdgeI2IError) else "This cannot be taken.")

    return Starlette(routes=routes, exception_handlers={RequestError: refuse, TooLargeError: refuse})


@dataclass(frozen=True)
class _Guard:
    """Who is answered. ``base``: the path beneath which the routes lie, with the token where one is needed."""

    app: ASGIApp
    base: str
    headers: tuple[tuple[bytes, bytes], ...] = field(default=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        elif scope["type"] == "http":
            refused = self._refusal(scope)
            if refused is not None:
                await _answer(*refused, self._with_headers(send))
            else:
                path = "/" + scope["path"].removeprefix(self.base)
                await self.app({**scope, "path": path}, receive, self._with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if self.base == "/" and not _names_this_machine(host):
            return 403, "This page is served to this machine only."
        if scope["method"] not in ("GET", "HEAD") and not _is_same_origin(headers.get(b"origin"), host):
            return 403, "Only the page itself may do this."
        # compare_digest: how long it takes must not tell how much of the token was right.
        given = scope["path"][: len(self.base)].encode("utf-8", "surrogatepass")
        if not secrets.compare_digest(given, self.base.encode()):
            return 404, "There is nothing here."
        return None

    def _with_headers(self, send: Send) -> Send:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *self.headers]
            await send(message)

        return add


async def _answer(status: int, why: str, send: Send) -> None:
    body = f"{why}\n".encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _names_this_machine(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False


def _is_same_origin(origin: str | None, host: str) -> bool:
    """Whether a request comes from the server's own page, or from no page: programs send no origin."""
    try:
        return origin is None or urlsplit(origin).netloc == host
    except ValueError:
        return False


def parse_offer(text: str) -> dict[str, str] | None:
    """The WebRTC offer in a JSON text: its ``sdp`` and ``type``; None: the text is no offer."""
    try:
        offer = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(offer, dict) or offer.get("type") != "offer" or not isinstance(offer.get("sdp"), str):
        return None
    return {"sdp": offer["sdp"], "type": "offer"}
