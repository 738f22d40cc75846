"""Fair shares: who makes room when everything that there is to have is taken."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from typing import Protocol, TypeVar

_IPV6_SHARE = 64  # bits; a household or a server has a whole network of so many


class Holder(Protocol):
    """Something of which there are only so many: a connection, a tab, an upload. ``since``: seconds, any clock."""

    @property
    def visitor(self) -> str:
        """The visitor whose it is, as ``visitor_of`` names them."""
        ...

    @property
    def since(self) -> float:
        """When it was taken."""
        ...


H = TypeVar("H", bound=Holder)


def visitor_of(address: str) -> str:
    """Whom an address belongs to.

    >>> visitor_of("192.0.2.7"), visitor_of("2001:db8::1:2"), visitor_of("::ffff:192.0.2.7")
    ('192.0.2.7', '2001:db8::/64', '192.0.2.7')
    """
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv4Address):
        return str(known)
    if known.ipv4_mapped is not None:
        return str(known.ipv4_mapped)
    return str(ipaddress.ip_network((known, _IPV6_SHARE), strict=False))


def oldest_of_the_greediest(held: Iterable[H], among: Iterable[H]) -> H | None:
    """The oldest item of ``among`` that belongs to whoever holds the most of ``held``; None: ``among`` is empty."""
    counts = Counter(item.visitor for item in held)
    return min(among, key=lambda item: (-counts[item.visitor], item.since), default=None)


def who_makes_room(held: Iterable[H], newcomer: str) -> H | None:
    """Whose holding a visitor may take over, so that shares become more alike; None: others have no more than that.

    Whoever is alone may take everything; when others come, the oldest of what is too much goes.
    """
    items = list(held)
    counts = Counter(item.visitor for item in items)
    richest = oldest_of_the_greediest(items, items)
    if richest is None or counts[richest.visitor] <= counts[newcomer] + 1:
        return None
    return richest
