"""Networks to calibrate for, and pictures to do it over."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from samples.calibration import Networks


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Networks:
    """Opens toy bundles by their short names."""
    from samples.calibration import Networks

    return Networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight streets: label maps, instance maps and exemplars, named as in Cityscapes."""
    from samples.calibration import street

    return street(tmp_path_factory.mktemp("streets"), 8)
