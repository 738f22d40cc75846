"""NNCF's kernels: compiled with patience, told of once, and an end with a sentence where they do not come."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.errors import MissingRequirementError
from edge_i2i.quantize.qat_kernels import LONGEST_S, load_kernels

LIMIT = "NNCF_EXTENSION_LOAD_TIMEOUT"


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def start(self, total: int | None, what: str) -> None:
        self.lines.append(what)

    def advance(self, n: int = 1, note: str = "") -> None:
        self.lines.append("advance")

    def finish(self) -> None:
        self.lines.append("finish")


class Loader:
    """Stands in for the compiler: ``seconds`` long, and what it leaves; sees the limit that NNCF goes by."""

    def __init__(self, folder: Path, seconds: float = 0.0) -> None:
        self.folder, self.seconds, self.loads, self.limits = folder, seconds, 0, list[str | None]()

    def name(self) -> str:
        return "slow"

    def get_build_dir(self) -> str:
        return str(self.folder)

    def load(self) -> Any:
        self.loads += 1
        self.limits.append(os.environ.get(LIMIT))
        time.sleep(self.seconds)
        (self.folder / "slow.so").touch()
        return type("Kernels", (), {"Quantize_forward": None})


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    from nncf.torch.extensions import ExtensionNamespace
    from nncf.torch.quantization import extensions

    made = Loader(tmp_path)
    monkeypatch.delenv(LIMIT, raising=False)
    monkeypatch.setattr(extensions, "QuantizedFunctionsCPULoader", made)
    monkeypatch.setattr(extensions, "QuantizedFunctionsCPU", ExtensionNamespace(made))
    return made


def test_they_are_given_half_an_hour_and_told_of_once(loader: Loader) -> None:
    told = Told()
    load_kernels(told)
    assert len(told.lines) == 3 and "NNCF's kernels" in told.lines[0] and told.lines[-1] == "finish"
    assert loader.limits == [str(LONGEST_S)] and LIMIT not in os.environ
    load_kernels(told)
    assert len(told.lines) == 3 and loader.loads == 1


def test_what_lies_there_compiled_is_not_worth_a_word(loader: Loader) -> None:
    (loader.folder / "slow.so").touch()
    told = Told()
    load_kernels(told)
    assert told.lines == [] and loader.loads == 1


def test_kernels_that_do_not_come_end_with_a_sentence(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1")
    loader.seconds = 3.0
    told = Told()
    with pytest.raises(MissingRequirementError, match="not compiled in time") as caught:
        load_kernels(told)
    assert str(loader.folder) in caught.value.remedy and caught.value.exit_code == 3 and told.lines[-1] == "finish"
    assert os.environ[LIMIT] == "1", "a person's own limit stays"
