"""A residual network that several files quantize; traced once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from samples.graphs.residual import Residual


@pytest.fixture(autouse=True)
def _further_architectures_only_when_asked_for(request: pytest.FixtureRequest) -> None:
    """A family's further architectures are much like its first, and each takes seconds: CI has twenty minutes."""
    name = "every_architecture"
    if request.node.get_closest_marker(name) and name not in request.config.getoption("markexpr"):
        pytest.skip(f"its family's first architecture runs; for the others: pytest -m {name}")


@pytest.fixture(scope="session")
def residual() -> Residual:
    """The network in float, what its layers reach, and reference results."""
    from samples.graphs.residual import Residual

    return Residual()
