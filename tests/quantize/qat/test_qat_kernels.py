"""NNCF's kernels: compiled with patience, told of once, and an end with a sentence where they do not come."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from edge_i2i.errors import MissingRequirementError
from edge_i2i.files.caches import cache_folder
from edge_i2i.quantize.qat import kernels as qat_kernels
from edge_i2i.quantize.qat.kernels import LONGEST_S, load_kernels

LIMIT, PLACE = "NNCF_EXTENSION_LOAD_TIMEOUT", "TORCH_EXTENSIONS_DIR"


class Told:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.begun = threading.Event()

    def start(self, total: int | None, what: str) -> None:
        self.lines.append(what)

    def advance(self, n: int = 1, note: str = "") -> None:
        self.lines.append("advance")
        self.begun.set()

    def finish(self) -> None:
        self.lines.append("finish")


class Loader:
    """Stands in for the compiler, which takes ``until`` something; sees the limit and the places that NNCF goes by."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.loads, self.until = folder, 0, threading.Event()
        self.limits, self.places, self.locked = list[str | None](), list[str | None](), list[bool]()
        self.until.set()

    def name(self) -> str:
        return "slow"

    def get_build_dir(self) -> str:
        self.places.append(os.environ.get(PLACE))
        return str(self.folder)

    def load(self) -> Any:
        self.loads += 1
        self.limits.append(os.environ.get(LIMIT))
        self.locked.append((self.folder / "lock").exists())
        self.until.wait(60)
        return type("Kernels", (), {"Quantize_forward": None})


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loader:
    from nncf.torch.extensions import ExtensionNamespace
    from nncf.torch.quantization import extensions

    made = Loader(tmp_path / "kernels")
    made.folder.mkdir()
    for name in (LIMIT, PLACE):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(qat_kernels, "A_MOMENT_S", 0.0)
    monkeypatch.setattr(extensions, "QuantizedFunctionsCPULoader", made)
    monkeypatch.setattr(extensions, "QuantizedFunctionsCPU", ExtensionNamespace(made))
    return made


def test_they_are_given_half_an_hour_and_told_of_once(loader: Loader) -> None:
    told = Told()
    loader.until = told.begun
    load_kernels(told)
    assert len(told.lines) == 3 and "NNCF's kernels" in told.lines[0] and told.lines[-1] == "finish"
    assert loader.limits == [str(LONGEST_S)] and LIMIT not in os.environ
    load_kernels(Told())
    assert loader.loads == 1


def test_what_is_loaded_in_a_moment_is_not_worth_a_word(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat_kernels, "A_MOMENT_S", 3600.0)
    told = Told()
    load_kernels(told)
    assert told.lines == [] and loader.loads == 1


def test_kernels_that_do_not_come_end_with_a_sentence(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT, "1")
    loader.until = threading.Event()
    told = Told()
    try:
        with pytest.raises(MissingRequirementError, match="not compiled in time") as caught:
            load_kernels(told)
    finally:
        loader.until.set()
    assert str(loader.folder) in caught.value.remedy and caught.value.exit_code == 3 and told.lines[-1] == "finish"
    assert os.environ[LIMIT] == "1", "a person's own limit stays"


def test_a_lock_that_a_killed_process_left_is_not_waited_for(loader: Loader) -> None:
    (loader.folder / "lock").touch()
    load_kernels(Told())
    assert loader.locked == [False]


def test_another_process_that_compiles_is_waited_for_and_told_of(
    loader: Loader, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    other = FileLock(loader.folder / "edge-i2i.lock", thread_local=False)
    other.acquire()
    (loader.folder / "lock").touch()
    release = threading.Thread(target=lambda: (told.begun.wait(60), other.release()))
    release.start()
    load_kernels(told)
    release.join()
    assert told.lines[-1] == "finish" and loader.locked == [False]
    with FileLock(loader.folder / "edge-i2i.lock"):
        monkeypatch.setenv(LIMIT, "1")
        with pytest.raises(MissingRequirementError, match="another program is compiling them"):
            load_kernels(Told())


def test_they_lie_in_our_own_cache_one_folder_an_installation(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    load_kernels(Told())
    monkeypatch.setattr(sys, "prefix", "/another/installation")
    load_kernels(Told())
    here, there = loader.places
    assert Path(here).parent == Path(there).parent == cache_folder("kernels") and here != there
    assert PLACE not in os.environ


def test_a_folder_that_a_person_named_is_left_to_torch(loader: Loader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, "/theirs")
    (loader.folder / "lock").touch()
    load_kernels(Told())
    assert loader.places == ["/theirs"] and loader.locked == [True] and os.environ[PLACE] == "/theirs"
