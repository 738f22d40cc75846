"""``serve``: a bundle's page, its server and its model, in this process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.conditions import Given
from edge_i2i.engines.choice import AUTO
from edge_i2i.errors import EdgeI2IError, UsageError
from edge_i2i.live.clock import Clock, Signal, SystemClock, Task
from edge_i2i.live.web.model import check_takes_pictures, model_loader
from edge_i2i.live.web.security import TOKEN, Rules, is_loopback, new_token
from edge_i2i.live.web.sharing import ModelState, SharedModel
from edge_i2i.live.web.site import Site
from edge_i2i.live.web.styles import LooksTaken, named_styles, own_styles
from edge_i2i.live.web.uploads import Exemplars, Limits
from edge_i2i.live.web.wire import FRAME_HEADER
from edge_i2i.requirements import require
from edge_i2i.translator import LoadOptions, Translator, load

if TYPE_CHECKING:
    import uvicorn

LOOPBACK = "127.0.0.1"
STOP_SECONDS = 2.0

_GRACE_SECONDS = 1  # for requests under way when the server stops; uvicorn takes whole seconds
_BACKLOG = 64
_CONNECTIONS_A_TAB = 16  # the page's files, thumbnails, the WebSocket; beyond, HTTP 503


def serve(
    bundle: str | PathLike[str],
    *,
    host: str = LOOPBACK,
    port: int = 0,
    variant: str = AUTO,
    styles: Mapping[str, Given] | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
    **options: Unpack[LoadOptions],
) -> Server:
    """Serve a bundle to browsers; returns as soon as the address is taken, while the model still loads.

    Args:
        bundle: the ``.i2i`` bundle; its network takes camera pictures.
        host: the address to listen on. Any but loopback needs the token that ``Server.url`` holds.
        port: 0 takes a free one.
        variant, options: as ``edge_i2i.load``.
        styles: what the page offers, by title, each as ``Translator.condition`` takes it; by default what the bundle
            can show by itself (see ``styles``).
        limits: what visitors may ask for.
        clock: waits and threads.

    Raises:
        BundleError: the bundle is damaged, unsafe or too new.
        UsageError: its network takes no camera pictures, or the address cannot be listened on.
        MissingRequirementError: a package of the extra ``web`` is not installed.
    """
    for package in ("starlette", "uvicorn", "websockets"):
        require(package, extra="web", purpose="Serving a page")
    opened = open_bundle(bundle)
    check_takes_pictures(opened)

    def make() -> Translator:
        return load(bundle, variant=variant, **options)

    site = _site(opened, make, styles, limits or Limits(), clock or SystemClock())
    return Server(site, listen(host, port), host)


def _site(
    bundle: Bundle, make: Callable[[], Translator], styles: Mapping[str, Given] | None, limits: Limits, clock: Clock
) -> Site:
    takes = LooksTaken.by(bundle)
    offered = named_styles(styles) if styles else own_styles(bundle, takes)
    exemplars = Exemplars(limits.exemplars_bytes)
    load_model = model_loader(make, bundle, takes, offered, exemplars.find)
    return Site(bundle, takes, offered, SharedModel(load_model, clock), exemplars, limits, clock)


class Server:
    """A running server. A context manager; ``stop`` is idempotent.

    ``url``: what to open in a browser, with the token where one is needed. ``port``: the port that was taken.
    """

    def __init__(self, site: Site, listening: socket.socket, host: str) -> None:
        self._site, self._clock = site, site.clock
        self.port: int = listening.getsockname()[1]
        token = None if is_loopback(host) else new_token()
        self.url = f"http://{_reachable(host)}:{self.port}/{f'?{TOKEN}={token}' if token else ''}"
        self._uvicorn = _uvicorn_server(site, Rules(_names(host), token))
        self._ended = Signal(self._clock)
        self._failure: Exception | None = None
        site.shared.start()
        self._task: Task = self._clock.spawn(lambda: self._run(listening), "web server")

    @property
    def state(self) -> ModelState:
        """Where the model is."""
        return self._site.shared.state

    @property
    def note(self) -> str:
        """How far loading is, for people."""
        return self._site.shared.note

    def wait_ready(self, timeout: float | None = None) -> bool:
        """Wait until the model is loaded, at most ``timeout`` seconds; returns whether it is.

        Raises:
            EdgeI2IError: it cannot be loaded (the page says so, too).
        """
        return self._site.shared.wait_ready(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the server has ended, at most ``timeout`` seconds; returns whether it has.

        Raises:
            EdgeI2IError: it has ended by itself.
        """
        ended = self._ended.wait(timeout)
        if self._failure is not None:
            raise EdgeI2IError(f"The server broke off: {self._failure}.") from self._failure
        return ended

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Close every tab, free the port and the model, in ``timeout`` seconds at most.

        A model that hangs is abandoned in its thread, which does not keep the process alive.
        """
        deadline = self._clock.now() + timeout
        self._uvicorn.should_exit = True
        if not self._task.join(timeout * 0.75):
            self._uvicorn.force_exit = True
        self._site.shared.stop(max(0.0, deadline - self._clock.now()))
        self._task.join(max(0.0, deadline - self._clock.now()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, listening: socket.socket) -> None:
        try:
            self._uvicorn.run(sockets=[listening])
        except Exception as error:  # noqa: BLE001 (the thread's end is told by `wait`, whatever it was)
            self._failure = error
        finally:
            listening.close()
            self._site.pool.shutdown(wait=False, cancel_futures=True)
            self._ended.set()


def _uvicorn_server(site: Site, rules: Rules) -> uvicorn.Server:
    import uvicorn

    from edge_i2i.live.web.app import make_app

    return uvicorn.Server(
        uvicorn.Config(
            make_app(site, rules),
            loop="asyncio",
            http="h11",
            lifespan="off",
            ws="websockets-sansio",
            ws_max_size=FRAME_HEADER.size + site.limits.frame_bytes,
            ws_per_message_deflate=False,  # pictures do not shrink, and what inflates can be a bomb
            limit_concurrency=_CONNECTIONS_A_TAB * site.limits.tabs,
            timeout_graceful_shutdown=_GRACE_SECONDS,
            backlog=_BACKLOG,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
        )
    )


def listen(host: str, port: int) -> socket.socket:
    """Take an address; port 0 takes a free one.

    Raises:
        UsageError: it is not this machine's, or taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
        except BaseException:
            listening.close()
            raise
    except (OSError, OverflowError, UnicodeError) as error:
        raise UsageError(
            f"{host}:{port} cannot be listened on: {getattr(error, 'strerror', None) or error}.",
            remedy="Give an address of this machine; port 0 takes a free one.",
        ) from error
    return listening


def _names(host: str) -> frozenset[str]:
    """What this machine is called, besides its addresses."""
    own = set() if is_loopback(host) else {socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}
    return frozenset({host.lower(), *own})


def _reachable(host: str) -> str:
    """What to write in an address, so that others reach this machine."""
    if host in ("0.0.0.0", "::", ""):
        return _own_address()
    return f"[{host}]" if ":" in host else host


def _own_address() -> str:
    """The address from which this machine would reach others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # documentation address (RFC 5737)
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])
