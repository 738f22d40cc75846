"""Small real bundles, written through the public door."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def folder_bundle(tmp_path: Path) -> Path:
    from samples.bundles import write_sample

    return write_sample(tmp_path / "folder.i2i", "directory")


@pytest.fixture
def zip_bundle(tmp_path: Path) -> Path:
    from samples.bundles import write_sample

    return write_sample(tmp_path / "file.i2i", "file")


@pytest.fixture(params=["file", "directory"])
def any_bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    from samples.bundles import write_sample

    return write_sample(tmp_path / "sample.i2i", request.param)


@pytest.fixture
def edit_header(folder_bundle: Path) -> Callable[[Callable[[dict[str, Any]], None]], Path]:
    """Change the header of a folder bundle, with a checksum that fits: what an attacker would write."""
    from samples.bundles import replace_header

    def edit(change: Callable[[dict[str, Any]], None]) -> Path:
        header = json.loads((folder_bundle / "bundle.json").read_bytes())
        change(header)
        return replace_header(folder_bundle, json.dumps(header).encode())

    return edit
