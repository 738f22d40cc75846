"""Where a page is found: the address to listen on, the names and the path under which others know it, HTTPS."""

from __future__ import annotations

import ipaddress
import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge_i2i.errors import UsageError

LOOPBACK = "127.0.0.1"
_BACKLOG = 64
_FEWEST_TOKEN_CHARACTERS = 16
_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")
_BASE = re.compile(r"(/[A-Za-z0-9_~.-]+)+")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Reach:
    """How a server is reached.

    Args:
        host, port: what is listened on; port 0 takes a free one.
        names: what else the server is called: by a reverse proxy, a tunnel, a Compose service.
        base: the path under which a proxy shows it, ``/`` or ``/i2i/``.
        proxies: addresses or networks whose ``X-Forwarded-…`` headers are believed.
        token: what visitors have to know; empty: beyond loopback a random one, on loopback nothing.
        certificate, key: PEM files; with them, HTTPS is spoken.

    Raises:
        UsageError: a name, a path, an address or a token that cannot be one.
    """

    host: str = LOOPBACK
    port: int = 0
    names: Sequence[str] = ()
    base: str = "/"
    proxies: Sequence[str] = ()
    token: str = field(default="", repr=False)
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(_checked_name(name) for name in self.names))
        object.__setattr__(self, "base", _checked_base(self.base))
        _ = self.proxy_networks
        if self.token and (len(self.token) < _FEWEST_TOKEN_CHARACTERS or not re.fullmatch(r"[\w-]+", self.token, re.A)):
            raise UsageError(
                "That token is too short, or has characters that change in addresses.",
                remedy=f"Give {_FEWEST_TOKEN_CHARACTERS} or more letters, digits, - and _.",
            )

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        """The addresses in ``proxies`` as networks.

        Raises:
            UsageError: one of them is no address and no network.
        """
        return tuple(_network(text) for text in self.proxies)

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return "http" if self.certificate is None else "https"

    def own_names(self) -> frozenset[str]:
        """What this machine is called, besides its addresses and ``names``."""
        if is_loopback(self.host):
            return frozenset({self.host.lower()})
        own = socket.gethostname().lower()
        return frozenset({self.host.lower(), own, f"{own}.local"})

    def every_name(self) -> frozenset[str]:
        """All names and addresses that a certificate has to be for."""
        address = reachable(self.host).strip("[]")
        every = {address, *self.names, *self.own_names()}
        return frozenset(name for name in every if name and not _is_every_address(name))

    def new_token(self) -> str | None:
        """What visitors have to know: on loopback nothing, unless a token is named."""
        if is_loopback(self.host):
            return self.token or None
        return self.token or secrets.token_urlsafe(24)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it.

    >>> is_loopback("localhost"), is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    address = address_of(host)
    return address is not None and address.is_loopback


def address_of(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The IP address that a text is; None: it is a name."""
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def reachable(host: str) -> str:
    """What to write in an address, so that others reach this machine: never an address that means all of them."""
    if host in ("", "0.0.0.0"):
        return _own_address(socket.AF_INET)
    if (address := address_of(host)) is not None and address.is_unspecified:
        own = _own_address(socket.AF_INET)  # a socket of `::` takes both kinds, and these are easier to type
        return own if address_of(own) is not None else _own_address(socket.AF_INET6)
    return f"[{host}]" if ":" in host else host


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; port 0 takes a free one.

    Raises:
        UsageError: the address is not this machine's, or is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not _is_every_address(host)))
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


def _is_every_address(host: str) -> bool:
    address = address_of(host)
    return address is not None and address.is_unspecified


def _own_address(family: socket.AddressFamily) -> str:
    """The address from which this machine would reach others; nothing is sent."""
    elsewhere = "192.0.2.1" if family == socket.AF_INET else "2001:db8::1"  # of documentation (RFC 5737, RFC 3849)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))
            own = str(probe.getsockname()[0]).partition("%")[0]
        except OSError:
            return socket.gethostname()
        return f"[{own}]" if ":" in own else own


def _checked_name(name: str) -> str:
    bare = name.strip().lower().rstrip(".")
    if not _NAME.fullmatch(bare):
        raise UsageError(
            f"'{name}' is no name of a host.", remedy="Give it as in i2i.example.org, without https:// and port."
        )
    return bare


def _checked_base(base: str) -> str:
    bare = base.strip().strip("/")
    if bare and (not _BASE.fullmatch(f"/{bare}") or ".." in bare.split("/") or "." in bare.split("/")):
        raise UsageError(f"'{base}' is no path of an address.", remedy="Give it as in /i2i.")
    return f"/{bare}/" if bare else "/"


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise UsageError(
            f"'{text}' is no address of a proxy.", remedy="Give it as in 127.0.0.1 or 172.18.0.0/16."
        ) from error
