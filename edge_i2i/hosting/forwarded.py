"""What a reverse proxy says of the request that it passes on: believed of proxies that were named, and of nobody else.

Anybody can send ``X-Forwarded-…`` headers. From a named proxy they replace what the connection itself says: who asks
(``For``: the last one that is no proxy of ours), under which name (``Host``), and whether by HTTPS (``Proto``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from edge_i2i.hosting.asgi import Scope
from edge_i2i.hosting.reach import Network, address_of

_SECURE = {"http": "https", "ws": "wss"}


def as_forwarded(scope: Scope, proxies: Sequence[Network]) -> Scope:
    """The request as the visitor made it, where a proxy passed it on."""
    client = scope.get("client")
    if not proxies or client is None or not is_one_of(client[0], proxies):
        return scope
    said = {name: value.decode("latin-1") for name, value in scope["headers"] if name.startswith(b"x-forwarded-")}
    changed = dict(scope)
    if (visitor := _visitor(said.get(b"x-forwarded-for", ""), proxies)) is not None:
        changed["client"] = (visitor, 0)
    if _last(said.get(b"x-forwarded-proto", "")) in ("https", "wss"):
        changed["scheme"] = _SECURE.get(scope["scheme"], scope["scheme"])
    if host := _last(said.get(b"x-forwarded-host", "")):
        others = [(name, value) for name, value in scope["headers"] if name != b"host"]
        changed["headers"] = [*others, (b"host", host.encode("latin-1"))]
    return changed


def _visitor(header: str, proxies: Sequence[Network]) -> str | None:
    """The last address in the header that is no proxy's: what stands before it, the visitor may have made up."""
    for text in reversed(header.split(",")):
        address = _bare(text)
        if address_of(address) is None:
            return None
        if not is_one_of(address, proxies):
            return address
    return None


def _bare(text: str) -> str:
    """The address without port and brackets, which some proxies write."""
    text = text.strip()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _last(header: str) -> str:
    """The last of several values in a header, which the nearest proxy has added."""
    return header.rpartition(",")[2].strip().lower()


def is_one_of(text: str, networks: Iterable[Network]) -> bool:
    """Whether an address lies in one of the networks; an IPv4 address that came by IPv6 is still one."""
    address = address_of(text)
    if address is None:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return any(mapped in network for network in networks)
