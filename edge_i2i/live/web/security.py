"""Who may talk to the server: the right host, the right origin, the right token; and what browsers are told.

Three attacks on a server at home or on loopback, and what is in their way. A page of somebody else's posts to it or
opens a WebSocket: browsers say where a page comes from (``Origin``), which has to be this server. Such a page has its
own name point to this machine (DNS rebinding): then ``Host`` is that name, and only addresses and known names are
answered. Somebody in the same network looks in: beyond loopback every request needs a token.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

TOKEN = "token"
COOKIE = "edge_i2i_token"
OPEN_TO_ALL = frozenset({"/healthz"})
"""Paths that tell nothing but whether the server is up."""

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self' 'wasm-unsafe-eval'",
        "worker-src 'self' blob:",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"cross-origin-opener-policy", b"same-origin"),  # with the next one: SharedArrayBuffer, so threads in WASM
    (b"cross-origin-embedder-policy", b"require-corp"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"referrer-policy", b"no-referrer"),  # the first address holds the token
    (b"x-content-type-options", b"nosniff"),
)
_NO_STORE = (b"cache-control", b"no-store")


def new_token() -> str:
    """192 random bits as text."""
    return secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    address = _address(host)
    return address is not None and address.is_loopback


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    what: str
    remedy: str


@dataclass(frozen=True)
class Rules:
    """Who is let in. ``names``: hosts besides addresses and ``localhost``. ``token``: None where none is needed."""

    names: frozenset[str]
    token: str | None

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this request or WebSocket is refused; None: it is not."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self._is_known(host):
            return Refusal(403, "This server is not called that.", "Use the address that it printed.")
        if _changes_something(scope) and not _is_own(headers.get("origin"), host):
            return Refusal(403, "Another site's page may not do this.", "Open the server's own page.")
        if scope["path"] not in OPEN_TO_ALL and not self._has_token(scope, headers):
            return Refusal(401, "The token is missing or wrong.", "Use the whole address that the server printed.")
        return None

    def admits_by_address(self, scope: Scope) -> bool:
        """Whether the address itself holds the token, so that a cookie has to be set for what follows."""
        return self.token is not None and _same(_in_address(scope), self.token)

    def _is_known(self, host: str) -> bool:
        name = _name_of(host)
        return name is not None and (name == "localhost" or name in self.names or _address(name) is not None)

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        if self.token is None:
            return True
        return _same(_in_cookie(headers.get("cookie", "")), self.token) or self.admits_by_address(scope)


class Guard:
    """Stands before an ASGI application: applies rules, and gives every answer the headers above."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
        elif (refusal := self._rules.refusal(scope)) is not None:
            await _refuse(refusal, scope, _with_headers(send, None))
        else:
            cookie = self._rules.token if self._rules.admits_by_address(scope) else None
            await self._app(scope, receive, _with_headers(send, cookie))


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})  # before accepting: HTTP 403
        return
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps({"type": "error", "what": refusal.what, "remedy": refusal.remedy}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _with_headers(send: Send, token: str | None) -> Send:
    async def add(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = list(message.get("headers", ()))
            cacheable = any(name == b"cache-control" for name, _ in headers)
            cookie = () if token is None else ((b"set-cookie", _cookie(token)),)
            message["headers"] = [*headers, *HEADERS, *(() if cacheable else (_NO_STORE,)), *cookie]
        await send(message)

    return add


def _cookie(token: str) -> bytes:
    return f"{COOKIE}={token}; Path=/; HttpOnly; SameSite=Strict".encode()


def _changes_something(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")


def _is_own(origin: str | None, host: str) -> bool:
    """Whether a page of this server asks, or no page at all: browsers always say so, programs need not."""
    return origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def _name_of(host: str) -> str | None:
    """The name in a ``Host`` header, without port and brackets."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 (checks that it is a number)
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _in_address(scope: Scope) -> Iterable[str]:
    return parse_qs(scope["query_string"].decode("latin-1")).get(TOKEN, ())


def _in_cookie(header: str) -> Iterable[str]:
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


def _same(given: Iterable[str], token: str) -> bool:
    return any(secrets.compare_digest(text.encode(), token.encode()) for text in given)
