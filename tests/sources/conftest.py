"""Puts the helpers of this folder on the path; a server for network sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture
def stream_server() -> Iterator[object]:
    """A server of streams on loopback."""
    from samples.sources.stream_server import StreamServer

    with StreamServer() as server:
        yield server
