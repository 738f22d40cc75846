"""Who may talk to the server: the right host, the right origin, the right token; and what browsers are told.

Three attacks on a server at home or on loopback, and what is in their way. A page of somebody else's posts to it or
opens a WebSocket: browsers say where a page comes from (``Origin``), which has to be this server. Such a page has its
own name point to this machine (DNS rebinding): then ``Host`` is that name, and only addresses and known names are
answered. Somebody in the same network looks in: beyond loopback every request needs a token.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from edge_i2i.hosting.asgi import ASGIApp, Message, Receive, Scope, Send
from edge_i2i.hosting.forwarded import as_forwarded
from edge_i2i.hosting.reach import Network, address_of

TOKEN = "token"
COOKIE = "edge_i2i_token"
OPEN_TO_ALL = frozenset({"/healthz"})
"""Paths that tell everybody whether the server is up, under any name; and strangers nothing else (``STRANGER``)."""

STRANGER = "edge_i2i.stranger"
"""In a scope: whether who asks would be refused elsewhere."""

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


@dataclass(frozen=True)
class Refusal:
    """Why a request is not answered."""

    status: int
    what: str
    remedy: str


@dataclass(frozen=True)
class Rules:
    """Who is let in.

    ``names``: hosts besides addresses and ``localhost``. ``token``: None where none is needed. ``sites``: names under
    which a proxy shows the page, so that it may come from there whatever ``Host`` the proxy sends. ``base``: the path
    before all others, which a proxy may pass on or not. ``proxies``: whose headers are believed.
    """

    names: frozenset[str]
    token: str | None
    sites: frozenset[str] = frozenset()
    base: str = "/"
    proxies: tuple[Network, ...] = ()

    def refusal(self, scope: Scope) -> Refusal | None:
        """Why this request or WebSocket is refused; None: it is not."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get("host", "")
        if not self._is_known(host):
            return Refusal(
                403,
                "This server is not called that.",
                "Use the address that it printed, or start it with --allow-host.",
            )
        if _changes_something(scope) and not self._is_own(headers.get("origin"), host):
            return Refusal(403, "Another site's page may not do this.", "Open the server's own page.")
        if not self._has_token(scope, headers):
            return Refusal(401, "The token is missing or wrong.", "Use the whole address that the server printed.")
        return None

    def without_base(self, scope: Scope) -> Scope:
        """The request with the path that routes know: ``base`` is taken off."""
        if self.base == "/" or not scope["path"].startswith(self.base):
            return scope
        return {**scope, "path": "/" + scope["path"].removeprefix(self.base)}

    def admits_by_address(self, scope: Scope) -> bool:
        """Whether the address itself holds the token, so that a cookie has to be set for what follows."""
        return self.token is not None and _same(_in_address(scope), self.token)

    def _is_known(self, host: str) -> bool:
        name = _name_of(host)
        known = self.names | self.sites | {"localhost"}
        return name is not None and (name in known or address_of(name) is not None)

    def _is_own(self, origin: str | None, host: str) -> bool:
        """Whether a page of this server asks, or no page at all: browsers always say so, programs need not."""
        if origin is None or origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return True
        scheme, mark, place = origin.lower().partition("://")
        return scheme in ("http", "https") and mark != "" and _name_of(place) in self.sites

    def _has_token(self, scope: Scope, headers: dict[str, str]) -> bool:
        if self.token is None:
            return True
        return _same(_in_cookie(headers.get("cookie", "")), self.token) or self.admits_by_address(scope)


class Guard:
    """Stands before an ASGI application: applies rules, and gives every answer the headers above."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self._app, self._rules = app, rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on to the application, or refuse it.

        ``scope``, ``receive`` and ``send`` are those of the ASGI specification: the request, and how its messages are
        received and answered.
        """
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        scope = self._rules.without_base(as_forwarded(scope, self._rules.proxies))
        refusal = self._rules.refusal(scope)
        if refusal is not None and not _is_open_to_all(scope):
            await _refuse(refusal, scope, _with_headers(send, ()))
        elif scope["path"] == self._rules.base.rstrip("/"):
            await _move(self._rules.base, scope["query_string"], _with_headers(send, ()))
        else:
            scope[STRANGER] = refusal is not None
            await self._app(scope, receive, _with_headers(send, self._cookies(scope)))

    def _cookies(self, scope: Scope) -> tuple[bytes, ...]:
        """What the first answer sets, so that later requests need no token in their address."""
        if self._rules.token is None or not self._rules.admits_by_address(scope):
            return ()
        secure = "; Secure" if scope["scheme"] in ("https", "wss") else ""
        cookie = f"{COOKIE}={self._rules.token}; Path={self._rules.base}; HttpOnly; SameSite=Strict{secure}"
        return (cookie.encode(),)


def _is_open_to_all(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and scope["path"] in OPEN_TO_ALL


async def _move(base: str, query: bytes, send: Send) -> None:
    """Redirect to the page's own address, to which its other addresses are relative."""
    headers = [(b"location", base.encode() + (b"?" + query if query else b"")), (b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 308, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(refusal: Refusal, scope: Scope, send: Send) -> None:
    if scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})  # before accepting: HTTP 403
        return
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps({"type": "error", "what": refusal.what, "remedy": refusal.remedy}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def _with_headers(send: Send, cookies: tuple[bytes, ...]) -> Send:
    async def add(message: Message) -> None:
        if message["type"] in ("http.response.start", "websocket.http.response.start"):
            headers = list(message.get("headers", ()))
            cacheable = any(name == b"cache-control" for name, _ in headers)
            set_cookies = [(b"set-cookie", cookie) for cookie in cookies]
            message["headers"] = [*headers, *HEADERS, *(() if cacheable else (_NO_STORE,)), *set_cookies]
        await send(message)

    return add


def _changes_something(scope: Scope) -> bool:
    return scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD")


def _name_of(host: str) -> str | None:
    """The name in a ``Host`` header, without port and brackets."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 (checks that it is a number)
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _in_address(scope: Scope) -> Iterable[str]:
    return parse_qs(scope["query_string"].decode("latin-1")).get(TOKEN, ())


def _in_cookie(header: str) -> Iterable[str]:
    pairs = (pair.strip().partition("=") for pair in header.split(";"))
    return [value for name, _, value in pairs if name == COOKIE]


def _same(given: Iterable[str], token: str) -> bool:
    return any(secrets.compare_digest(text.encode(), token.encode()) for text in given)
