"""An ASGI application on a listening socket, in a thread of its own: what ``serve`` and the sinks' pages stand on."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_i2i.clock import Clock, Signal, Task
from edge_i2i.errors import EdgeI2IError
from edge_i2i.hosting.asgi import ASGIApp
from edge_i2i.hosting.doors import Doors, Patience, most_connections
from edge_i2i.hosting.quiet import QuietApp
from edge_i2i.hosting.reach import Network
from edge_i2i.requirements import require

if TYPE_CHECKING:
    import uvicorn

_log = logging.getLogger(__name__)

BACKLOG = 64

_GRACE_SECONDS = 1  # for requests under way when the server stops; uvicorn takes whole seconds
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True)
class HostOptions:
    """Limits and settings of a web server.

    ``connections``: how many there may be at once. ``message_bytes``: the largest WebSocket message. ``proxies``:
    addresses that speak for many visitors. ``certificate``, ``key``: PEM files; with both, HTTPS is spoken.
    ``patience``: how long connections may do nothing.
    """

    connections: int = 64
    message_bytes: int = 1 << 16
    proxies: Sequence[Network] = ()
    certificate: Path | None = None
    key: Path | None = None
    patience: Patience = field(default_factory=Patience)


def need_web_packages(purpose: str) -> None:
    """Check that the web server is installed. ``purpose``: what it is needed for, for the error's text.

    Raises:
        MissingRequirementError: one of its packages is not installed.
    """
    for package in ("starlette", "uvicorn", "websockets"):
        require(package, extra="web", purpose=purpose)


class WebHost:
    """Serves an application from the moment that it is made until it is stopped.

    Args:
        app: the ASGI application.
        listening: the socket, which listens already; it is closed at the end.
        clock: starts the server's thread and measures its waits.
        options: limits and HTTPS; None: the defaults.
        at_end: called in the server's thread when it has ended.
    """

    def __init__(
        self,
        app: ASGIApp,
        listening: socket.socket,
        clock: Clock,
        options: HostOptions | None = None,
        at_end: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock, self._listening, self._at_end = clock, listening, at_end
        options = options or HostOptions()
        self._doors = Doors(most_connections(options.connections), options.patience)
        self._server = _make_server(QuietApp(app), self._doors, options)
        self._ended = Signal(clock)
        self._failure: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._begun = Signal(clock)
        self._task: Task = clock.spawn(self._run, "web server")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended, at most ``timeout`` seconds; returns whether it has.

        Raises:
            EdgeI2IError: it has ended by itself.
        """
        ended = self._ended.wait(timeout)
        if self._failure is not None:
            raise EdgeI2IError(f"The server broke off: {self._failure}.") from self._failure
        return ended

    def wait_begun(self) -> asyncio.AbstractEventLoop:
        """Wait until its event loop runs, and return that."""
        self._begun.wait()
        return self._loop

    def stop(self, timeout: float, *, hang_up: bool = False) -> None:
        """Close every connection and free the port, in ``timeout`` seconds at most.

        Requests under way may end first, unless ``hang_up`` closes their connections at once.
        """
        deadline = self._clock.now() + timeout
        self._server.should_exit = True
        if hang_up and not self._ended.is_set():
            with suppress(RuntimeError):  # it ends by itself just now
                self._loop.call_soon_threadsafe(self._doors.close)
        if not self._task.join(timeout * 0.75):
            self._server.force_exit = True
        self._task.join(max(0.0, deadline - self._clock.now()))

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        except Exception as error:  # noqa: BLE001 (the thread's end is told by `wait`, whatever it was)
            self._failure = error
        finally:
            self._listening.close()
            self._at_end()
            self._begun.set()
            self._ended.set()

    async def _serve(self) -> None:
        self._loop.set_exception_handler(self._surprised)
        self._begun.set()
        watching = asyncio.ensure_future(self._doors.watch())
        try:
            await self._server.serve(sockets=[self._listening])
        finally:
            watching.cancel()

    def _surprised(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what goes wrong in the loop itself. Visitors can cause it, so it is never a traceback on the terminal."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _OUT_OF_DESCRIPTORS:
            self._doors.descriptors_ran_out()
        else:
            _log.debug("%s", context.get("message"), exc_info=error)


def _make_server(app: ASGIApp, doors: Doors, options: HostOptions) -> uvicorn.Server:
    from edge_i2i.hosting.protocols import DoorsConfig, DoorsServer

    config = DoorsConfig(
        app,
        doors,
        options.proxies,
        loop="asyncio",
        lifespan="off",
        ws_max_size=options.message_bytes,
        ws_per_message_deflate=False,  # pictures do not shrink, and what inflates can be a bomb
        timeout_graceful_shutdown=_GRACE_SECONDS,
        backlog=BACKLOG,
        log_config=None,
        log_level=logging.DEBUG if _log.isEnabledFor(logging.DEBUG) else logging.CRITICAL,  # QuietApp says what matters
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ssl_certfile=options.certificate,
        ssl_keyfile=options.key,
    )
    return DoorsServer(config)
