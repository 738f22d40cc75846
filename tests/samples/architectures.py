"""Every architecture of every model, shrunk: what tests that name no model go through."""

from __future__ import annotations

from typing import Any

import pytest

from edge_i2i.models.registry import family_names, get_family


def tiny_architectures() -> list[tuple[str, str, Any]]:
    """Each different tiny network once: (family, architecture, config).

    Full-size ones that shrink to the same network are the same to these tests.
    """
    found = []
    for name in family_names():
        family = get_family(name)
        seen: dict[Any, str] = {}
        for architecture, config in family.architectures().items():
            seen.setdefault(family.tiny(config), architecture)
        found += [(name, architecture, config) for config, architecture in seen.items()]
    return found


def every_architecture() -> list[Any]:
    """Parameters ``(family, config)`` of every tiny network; all but the first of a family run only when asked for."""
    found, begun = [], set[str]()
    for name, architecture, config in tiny_architectures():
        marks = (pytest.mark.every_architecture,) if name in begun else ()
        found.append(pytest.param(name, config, id=f"{name}: {architecture}", marks=marks))
        begun.add(name)
    return found
