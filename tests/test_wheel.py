"""The wheel's build step: the browser's runtime is made, or the build fails and says why."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
RUNTIME = Path("edge_i2i/web/page/ort")


class FakeInterface:
    """Stands for hatchling's, which is here only while a wheel is built."""

    def __init__(self, root: Path) -> None:
        self.root = str(root)


@pytest.fixture
def hook(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The hook, as hatchling makes it."""
    name = "hatchling.builders.hooks.plugin.interface"
    for part in ("hatchling", "hatchling.builders", "hatchling.builders.hooks", "hatchling.builders.hooks.plugin"):
        monkeypatch.setitem(sys.modules, part, ModuleType(part))
    interface = ModuleType(name)
    interface.BuildHookInterface = FakeInterface  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, name, interface)
    monkeypatch.delenv("EDGE_I2I_WITHOUT_BROWSER_RUNTIME", raising=False)
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.BrowserRuntimeHook


def test_a_wheel_without_the_runtime_fails_where_it_cannot_be_fetched(
    hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    with pytest.raises(RuntimeError, match=r"Node\.js 20"):
        hook(tmp_path).initialize("standard", {})


@pytest.mark.parametrize("version", ["editable", "standard"])
def test_editable_installations_and_those_who_say_so_need_no_npm(
    hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    if version == "standard":
        monkeypatch.setenv("EDGE_I2I_WITHOUT_BROWSER_RUNTIME", "1")
    hook(tmp_path).initialize(version, {})


def test_a_runtime_that_is_there_and_right_is_taken(hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (ROOT / RUNTIME).is_dir():
        pytest.skip("The browser's runtime is not here: make web")
    shutil.copytree(ROOT / RUNTIME, tmp_path / RUNTIME)
    monkeypatch.setenv("PATH", "")
    hook(tmp_path).initialize("standard", {})
    (tmp_path / RUNTIME / "ort.wasm.min.mjs").write_text("another")
    with pytest.raises(RuntimeError, match="npm"):
        hook(tmp_path).initialize("standard", {})


def test_the_runtime_is_looked_for_where_the_wheel_takes_it_from(
    hook: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[Path] = []
    monkeypatch.setattr("edge_i2i.web.vendor.check_runtime", looked_at.append)
    hook(tmp_path).initialize("standard", {})
    assert looked_at == [tmp_path / RUNTIME]
    assert f'artifacts = ["{RUNTIME.as_posix()}/*"]' in (ROOT / "pyproject.toml").read_text()


def test_the_build_uses_the_hook() -> None:
    assert 'path = "hatch_build.py"' in (ROOT / "pyproject.toml").read_text()
