"""Every architecture of every model, shrunk: what tests that name no model go through."""

from __future__ import annotations

from typing import Any

import pytest

from edge_i2i.models.registry import family_names, get_family


def tiny_architectures() -> list[tuple[str, str, Any]]:
    """Each different tiny network once: (family, architecture, config).

    Full-size ones that shrink to the same network are the same to these tests.
    """
    return [
        (name, architecture, config)
        for name in family_names()
        for architecture, config in get_family(name).tiny_architectures().items()
    ]


def every_architecture() -> list[Any]:
    """Parameters ``(family, config)`` of every tiny network; all but the first of a family run only when asked for."""
    found, begun = [], set[str]()
    for name, architecture, config in tiny_architectures():
        marks = (pytest.mark.every_architecture,) if name in begun else ()
        found.append(pytest.param(name, config, id=f"{name}: {architecture}", marks=marks))
        begun.add(name)
    return found
