"""``serve``: a bundle's page, its server and its model, in this process."""

from __future__ import annotations

import itertools
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from types import TracebackType
from typing import Self, Unpack

from edge_i2i.bundle.reader import Bundle, open_bundle
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.engines.choice import AUTO
from edge_i2i.hosting.host import HostOptions, WebHost, need_web_packages
from edge_i2i.hosting.reach import LOOPBACK, Reach, is_loopback, listen, reachable
from edge_i2i.translate.conditions import Given
from edge_i2i.translate.translator import LoadOptions, Translator, load
from edge_i2i.web.model import check_takes_pictures, model_loader
from edge_i2i.web.security import TOKEN, Rules
from edge_i2i.web.shared_model import ModelState, SharedModel
from edge_i2i.web.site import Site
from edge_i2i.web.styles import LooksTaken, check_looks, named_styles, own_styles
from edge_i2i.web.uploads import Exemplars, Limits
from edge_i2i.web.wire import FRAME_HEADER

STOP_SECONDS = 2.0

BundlePath = str | PathLike[str]


def serve(
    bundle: BundlePath,
    *more: BundlePath,
    host: str = LOOPBACK,
    port: int = 0,
    reach: Reach | None = None,
    variant: str = AUTO,
    styles: Mapping[str, Given] | None = None,
    limits: Limits | None = None,
    clock: Clock | None = None,
    **options: Unpack[LoadOptions],
) -> Server:
    """Serve bundles to browsers; returns as soon as the address is taken, while the model still loads.

    Args:
        bundle: the ``.i2i`` bundle; its network takes camera pictures.
        more: further ones that visitors can choose; each is loaded when it is first chosen.
        host: the address to listen on. Any but loopback needs the token that ``Server.url`` holds.
        port: 0 takes a free one.
        reach: where else the page is found, in place of ``host`` and ``port``.
        variant: ``auto`` or a variant of the bundles.
        options: ``engine``, ``precision``, ``threads``, ``fit``, …, as ``edge_i2i.load`` takes them.
        styles: what the page offers, by title, each as ``Translator.condition`` takes it; by default what the bundle
            can show by itself (see ``styles``).
        limits: what visitors may ask for.
        clock: waits and threads.

    Raises:
        BundleError: a bundle is damaged, unsafe or too new.
        UsageError: a network takes no camera pictures, or not the styles; or the address cannot be listened on.
        MissingRequirementError: a package of the extra ``web`` is not installed.

    Example:
        >>> import edge_i2i
        >>> with edge_i2i.serve("city.i2i", engine="onnxruntime", threads=1) as server:
        ...     server.url.startswith("http://127.0.0.1:"), server.wait_ready(60)
        (True, True)
    """
    need_web_packages("Serving a page")
    paths = (bundle, *more)
    opened = [open_bundle(path) for path in paths]
    for item in opened:
        check_takes_pictures(item)
        check_looks(item, styles or {})
    names = _ids(opened)

    def site(name: str, path: BundlePath, item: Bundle) -> Site:
        def make() -> Translator:
            return load(path, variant=variant, **options)

        return _site(item, make, styles, limits or Limits(), clock or SystemClock(), names, name)

    sites = {name: site(name, path, item) for name, path, item in zip(names, paths, opened, strict=True)}
    return Server(sites, reach or Reach(host, port))


def _ids(bundles: Sequence[Bundle]) -> dict[str, str]:
    """Names of bundles by what stands for them in addresses."""
    ids: dict[str, str] = {}
    for bundle in bundles:
        name = re.sub(r"[^a-z0-9]+", "-", bundle.manifest.name.lower()).strip("-")[:40] or "bundle"
        number = next(count for count in itertools.count(1) if _numbered(name, count) not in ids)
        shown = bundle.manifest.name if number == 1 else f"{bundle.manifest.name} ({number})"
        ids[_numbered(name, number)] = shown
    return ids


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}-{number}"


def _site(
    bundle: Bundle,
    make: Callable[[], Translator],
    styles: Mapping[str, Given] | None,
    limits: Limits,
    clock: Clock,
    names: Mapping[str, str],
    name: str,
) -> Site:
    takes = LooksTaken.by(bundle)
    offered = named_styles(styles) if styles else own_styles(bundle, takes)
    exemplars = Exemplars(limits.exemplars_bytes)
    load_model = model_loader(make, bundle, takes, offered, exemplars.find)
    return Site(bundle, takes, offered, SharedModel(load_model, clock), exemplars, limits, clock, names, name)


class Server:
    """A running server. A context manager; ``stop`` is idempotent.

    ``url``: what to open in a browser, with the token where one is needed. ``urls_elsewhere``: what it is where a proxy
    shows it under ``Reach.names``. ``port``: the port that was taken. ``is_for_others``: whether others may open it.
    """

    def __init__(self, sites: Mapping[str, Site], reach: Reach) -> None:
        self._sites = tuple(sites.values())
        self._site = self._sites[0]
        self._clock = self._site.clock
        listening = listen(reach.host, reach.port)
        self.port: int = listening.getsockname()[1]
        token = reach.new_token()
        self._path = f"{reach.base}{f'?{TOKEN}={token}' if token else ''}"
        self.url = f"{reach.scheme}://{reachable(reach.host)}:{self.port}{self._path}"
        self.urls_elsewhere: tuple[str, ...] = tuple(f"https://{name}{self._path}" for name in reach.names)
        self.is_for_others = not is_loopback(reach.host) or bool(reach.names)
        self._site.shared.start()
        self._host = _host(sites, reach, token, listening)

    @property
    def state(self) -> ModelState:
        """Whether the model is loading, ready, failed or stopped."""
        return self._site.shared.state

    @property
    def note(self) -> str:
        """How far loading is, as a text for people."""
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
        return self._host.wait(timeout)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Close every tab, free the port and the model, in ``timeout`` seconds at most.

        A model that hangs is abandoned in its thread, which does not keep the process alive.
        """
        deadline = self._clock.now() + timeout
        self._host.stop(timeout * 0.9)
        for site in self._sites:
            site.shared.stop(max(0.0, deadline - self._clock.now()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _host(sites: Mapping[str, Site], reach: Reach, token: str | None, listening: socket.socket) -> WebHost:
    from edge_i2i.web.app import make_app

    first = next(iter(sites.values()))
    limits = first.limits
    options = HostOptions(
        connections=limits.connections,
        message_bytes=FRAME_HEADER.size + limits.frame_bytes,
        proxies=reach.proxy_networks,
        certificate=reach.certificate,
        key=reach.key,
        patience=limits.patience,
    )
    rules = Rules(reach.own_names(), token, frozenset(reach.names), reach.base, reach.proxy_networks)

    def close() -> None:
        for site in sites.values():
            site.close()

    return WebHost(make_app(sites, rules), listening, first.clock, options, close)
