"""A small web server for the sinks that are watched in a browser: on this machine only, unless told otherwise.

Without a token only requests that name this machine are answered: a page from elsewhere cannot reach it under a name
of its own (DNS rebinding). On any other address the URL holds a random token, which nobody can guess.
"""

from __future__ import annotations

import ipaddress
import logging
import os
import secrets
import select
import socket
import socketserver
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import urlsplit

from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.clock import Clock, Task

_log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"
LARGEST_BODY = 64 * 1024  # bytes; a WebRTC offer has about 5 kB

_STUCK_AFTER = 10.0  # seconds without a byte taken: a viewer whose cable was pulled
_POLL = 0.05  # seconds until the server notices that it has to end
# What lies in the socket is old when it arrives: little of it, so that a slow viewer sees newer pictures.
_SEND_BUFFER = 128 * 1024


@dataclass(frozen=True)
class Address:
    """Where to listen. ``port`` 0: any free one."""

    host: str = LOOPBACK
    port: int = 0

    @classmethod
    def parse(cls, text: str, port: int) -> Self:
        """From ``""``, ``"8090"``, ``"0.0.0.0:8090"`` or ``"[::1]:8090"``; ``port``: where none is named.

        >>> Address.parse("0.0.0.0:8123", 8090)
        Address(host='0.0.0.0', port=8123)

        Raises:
            UsageError: it is no address.
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
        return _is_loopback(self.host)


class Exchange(BaseHTTPRequestHandler):
    """One request and its answer."""

    server: _Server
    timeout = _STUCK_AFTER

    def do_GET(self) -> None:  # noqa: N802, RUF100 (the name that the standard library calls)
        """Answer a request."""
        self.server.answer(self)

    do_POST = do_GET  # noqa: N815, RUF100

    @property
    def path_only(self) -> str:
        """The request's path, without its query."""
        return urlsplit(self.path).path

    def body(self) -> bytes | None:
        """What was sent along; None where it is too long, or its length is not said."""
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LARGEST_BODY:
            return None
        return self.rfile.read(int(length))

    def reply(self, data: bytes, kind: str, status: HTTPStatus = HTTPStatus.OK) -> None:
        """Answer in one piece. ``kind``: the media type."""
        self.begin(kind, status, length=len(data))
        self.send(data)

    def refuse(self, status: HTTPStatus, why: str) -> None:
        """Answer with a sentence."""
        self.reply(f"{why}\n".encode(), "text/plain; charset=utf-8", status)

    def begin(self, kind: str, status: HTTPStatus = HTTPStatus.OK, length: int | None = None) -> None:
        """Send the head of an answer; without ``length`` it goes on until the connection ends."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()

    def send(self, data: bytes) -> None:
        """Send a part of the answer.

        Raises:
            OSError: nobody is there any more.
        """
        self.wfile.write(data)

    def is_gone(self) -> bool:
        """Whether the other side has hung up."""
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)

    def log_message(self, format: str, *args: object) -> None:
        """Keep requests out of stderr."""
        _log.debug(format, *args)


Route = Callable[[Exchange], None]


class PageServer:
    """Listens from the start, answers once ``start`` is called, each request in a thread of its own.

    ``routes``: by method and path (``"GET /stream"``). ``url``: what to open; ends with a slash.

    Raises:
        EdgeI2IError: the address cannot be listened on.
    """

    def __init__(self, clock: Clock, address: Address, routes: Mapping[str, Route], *, token: bool = False) -> None:
        self._clock, self._routes = clock, routes
        self._token = secrets.token_urlsafe(16) if token or not address.is_loopback else ""
        self._base = f"/{self._token}/" if self._token else "/"
        self._tasks: list[Task] = []
        self._closed = False
        try:
            self._server = _Server(address, self)
        except OSError as error:
            raise EdgeI2IError(
                f"The page cannot be served at {address.host}:{address.port}: {error.strerror or error}.",
                remedy="Another program may use the port: name another one, or 0 for any free one.",
            ) from error
        self.port: int = self._server.server_address[1]
        shown = f"[{address.host}]" if ":" in address.host else address.host
        self.url = f"http://{shown}:{self.port}{self._base}"

    def start(self) -> None:
        """Begin to answer."""
        self._tasks.append(self._clock.spawn(lambda: self._server.serve_forever(_POLL), "page"))

    def close(self, timeout: float = 2.0) -> None:
        """Hang up on everybody and free the port; twice is harmless. ``timeout``: for all threads together."""
        if self._closed:
            return
        self._closed = True
        if self._tasks:
            self._server.shutdown()
        tasks = [*self._tasks, *self._server.hang_up()]
        self._server.server_close()
        until = self._clock.now() + timeout
        for task in tasks:
            task.join(max(0.0, until - self._clock.now()))

    def answer(self, exchange: Exchange) -> None:
        """Find the route and take it."""
        if not self._token and not _names_this_machine(exchange.headers.get("Host", "")):
            exchange.refuse(HTTPStatus.FORBIDDEN, "This page is served to this machine only.")
            return
        if exchange.command == "POST" and not _is_same_origin(exchange):
            exchange.refuse(HTTPStatus.FORBIDDEN, "Only the page itself may do this.")
            return
        path = exchange.path_only
        route = self._routes.get(f"{exchange.command} /{path.removeprefix(self._base)}")
        if route is None or not secrets.compare_digest(path[: len(self._base)].encode(), self._base.encode()):
            exchange.refuse(HTTPStatus.NOT_FOUND, "There is nothing here.")
            return
        route(exchange)

    def spawn(self, run: Callable[[], None]) -> Task:
        """A thread of the server's clock."""
        return self._clock.spawn(run, "page-request")


class _Server(ThreadingHTTPServer):
    """Knows its connections and threads, so that closing ends all of them."""

    allow_reuse_address = os.name != "nt"  # where it would let two programs share a port
    request_queue_size = 32

    def __init__(self, address: Address, page: PageServer) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._page = page
        self._lock = threading.Lock()
        self._open: dict[socket.socket, Task | None] = {}
        super().__init__((address.host, address.port), Exchange)

    def server_bind(self) -> None:
        # The parent's also asks the name service for this machine's name, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]

    def answer(self, exchange: Exchange) -> None:
        self._page.answer(exchange)

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        request.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        with self._lock:
            self._open[request] = None
        task = self._page.spawn(lambda: self.process_request_thread(request, client_address))
        with self._lock:
            if request in self._open:
                self._open[request] = task

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        with self._lock:
            self._open.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        if isinstance(sys.exception(), OSError):
            _log.debug("The viewer at %s is gone.", client_address)
        else:
            _log.exception("A request of %s could not be answered.", client_address)

    def hang_up(self) -> list[Task]:
        """End every connection; the threads that served them end soon after."""
        with self._lock:
            tasks = [task for task in self._open.values() if task is not None]
            for connection in self._open:
                _end(connection)
        return tasks


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _names_this_machine(host_header: str) -> bool:
    return _is_loopback(urlsplit(f"//{host_header}").hostname or "")


def _is_same_origin(exchange: Exchange) -> bool:
    origin = exchange.headers.get("Origin")  # programs that are no browsers send none
    return origin is None or urlsplit(origin).netloc == exchange.headers.get("Host")
