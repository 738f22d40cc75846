"""Bundles to be quantized, photographs, and a cache that the tests of one file share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``studio.i2i``, which bears neither INT8 in one layer nor BF16; ``mild/studio.i2i``, which bears both."""
    from samples.quantizing import write_studios

    return write_studios(tmp_path_factory.mktemp("studio"))


@pytest.fixture
def studio(home: Path, tmp_path: Path) -> Path:
    """A copy of the painter's bundle, whose second layer does not bear INT8."""
    return Path(shutil.copy(home / "studio.i2i", tmp_path / "studio.i2i"))


@pytest.fixture
def mild(home: Path, tmp_path: Path) -> Path:
    """A copy of a bundle whose layers all bear INT8."""
    return Path(shutil.copy(home / "mild" / "studio.i2i", tmp_path / "mild.i2i"))
