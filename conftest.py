"""For all tests: what is made once a process; and files for the examples in docstrings, which run as tests."""

from __future__ import annotations

import functools
import gc
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent
SLOW_CALL, SLOW_FIXTURES = 2.0, 30.0
"""Seconds, by docs/figures/test-durations.json: of a function's slowest call, and of a file's fixtures together."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what took long when it was measured: ``make test`` leaves it to ``make test-all``."""
    measured = json.loads((ROOT / "docs/figures/test-durations.json").read_text(encoding="utf-8"))
    slow = {name for name, seconds in measured["calls"].items() if seconds >= SLOW_CALL}
    slow_files = {name for name, seconds in measured["fixtures"].items() if seconds >= SLOW_FIXTURES}
    for item in items:
        function = item.nodeid.partition("[")[0]
        if function in slow or function.partition("::")[0] in slow_files:
            item.add_marker("slow")


def pytest_collection_finish() -> None:
    """Make once a process what every export would make again: its processor time fell from 5.6 to 2.4 s.

    Measured on a tiny pix2pixHD at 64x64, the fifth export of a process (AMD EPYC).
    """
    if "torch" in sys.modules:
        _read_the_operators_once()
    gc.collect()
    gc.freeze()  # an export collects garbage thrice, each time through all that the tests have imported


def _read_the_operators_once() -> None:
    """torch.onnx parses the source of some 500 operators at every export, to a table that no export changes."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))


@pytest.fixture(scope="session")
def _example_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np
    import torch

    import edge_i2i
    from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin
    from edge_i2i.models.registry import get_family

    folder, options = tmp_path_factory.mktemp("examples"), edge_i2i.ExportOptions(precisions=("fp32",), threads=1)
    family = get_family("munit")
    config = family.tiny(next(iter(family.architectures().values())))
    styles = LoadedModel(family, family.random(config, 3), WeightsOrigin.RANDOM, None, None)
    plain = edge_i2i.load_random("pix2pixhd", {"ngf": "8", "n_blocks_global": "1", "n_downsample_global": "2"}, seed=1)
    for name, loaded in (("city", styles), ("plain", plain)):
        edge_i2i.export_bundle(loaded, edge_i2i.Size(64, 64), folder / f"{name}.i2i", options)
    torch.save(plain.model.generator.state_dict(), folder / "latest_net_G.pth")
    (folder / "frames").mkdir()
    for number in range(4):
        picture = np.random.default_rng(number).integers(0, 256, (90, 120, 3), np.uint8)
        edge_i2i.write_picture(folder / "frames" / f"{number}.png", picture)
    edge_i2i.write_picture(folder / "photo.png", picture)
    return folder


@pytest.fixture(autouse=True)
def _among_example_files(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Each example of what programs import has a folder of its own with those files."""
    if isinstance(request.node, pytest.DoctestItem) and "import edge_i2i\n" in request.node.dtest.docstring:
        place = tmp_path_factory.mktemp("example") / "here"
        shutil.copytree(request.getfixturevalue("_example_files"), place)
        monkeypatch.chdir(place)
    yield
