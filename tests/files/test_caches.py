"""What is kept between runs: where, how much, and how it goes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_i2i.errors import UsageError
from edge_i2i.files.caches import KINDS, cache_folder, cache_root, clear_caches, list_caches

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with something in it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    root = tmp_path / "edge-i2i"
    (root / "quantize/deep").mkdir(parents=True)
    (root / "quantize/deep/a").write_bytes(bytes(1000))
    (root / "quantize/b").write_bytes(bytes(24))
    (root / "pairs").mkdir()
    return root


def test_the_old_override_holds(kept: Path) -> None:
    assert cache_root() == kept and cache_folder("quantize") == kept / "quantize"


def test_without_an_override_it_is_the_systems_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert cache_root().is_relative_to(tmp_path) and cache_root().parts.count("edge-i2i") == 1
    if sys.platform == "linux":
        assert cache_root() == tmp_path / ".cache/edge-i2i"


def test_what_an_earlier_version_kept_elsewhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS and Windows had ~/.cache, too."""
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "Library/Caches/edge-i2i")
    (tmp_path / ".cache/edge-i2i/pairs").mkdir(parents=True)
    (tmp_path / "Library/Caches/edge-i2i/pairs").mkdir(parents=True)
    assert [cache.name for cache in list_caches()] == ["pairs", "pairs"]
    assert len(clear_caches(["pairs"])) == 2 and list_caches() == []


def test_sizes_and_purposes(kept: Path) -> None:
    pairs, quantize = list_caches()
    assert (pairs.name, pairs.files, pairs.bytes) == ("pairs", 0, 0)
    assert (quantize.name, quantize.files, quantize.bytes) == ("quantize", 2, 1024)
    assert quantize.purpose == KINDS["quantize"] and quantize.path == kept / "quantize"


def test_only_what_is_named_goes(kept: Path) -> None:
    assert [cache.name for cache in clear_caches(["quantize"])] == ["quantize"]
    assert [path.name for path in kept.iterdir()] == ["pairs"]
    assert clear_caches(["quantize"]) == []


@pytest.mark.parametrize("name", ["..", "/", "quantise", "quantize/deep", ""])
def test_a_name_is_a_name_and_no_path(kept: Path, name: str) -> None:
    with pytest.raises(UsageError, match="There is no cache"):
        clear_caches(["quantize", name])
    assert (kept / "quantize/b").exists()


def test_what_a_link_points_to_is_not_ours(kept: Path, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_bytes(bytes(5000))
    (kept / "linked").symlink_to(precious)
    (kept / "quantize/linked").symlink_to(precious)
    assert sum(cache.bytes for cache in list_caches()) < 5000
    clear_caches(["linked", "quantize"])
    assert (precious / "file").exists() and not (kept / "linked").is_symlink()


def test_the_verb(kept: Path, run_verb: Run) -> None:
    code, out, _ = run_verb("cache")
    assert code == 0 and str(kept) in out and "1 KiB" in out and KINDS["quantize"] in out
    code, out, _ = run_verb("cache", "--json")
    told = json.loads(out)
    assert code == 0 and told["folder"] == str(kept)
    assert [(cache["name"], cache["bytes"]) for cache in told["caches"]] == [("pairs", 0), ("quantize", 1024)]
    code, out, _ = run_verb("cache", "clear", "quantize", "--json")
    assert code == 0 and [cache["name"] for cache in json.loads(out)["cleared"]] == ["quantize"]
    code, _, err = run_verb("cache", "clear", "quantise")
    assert code == 2 and "quantize" in err
    code, _, err = run_verb("cache", "clear")
    assert code == 2 and "names" in err


def test_an_empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_verb: Run) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "none"))
    code, out, _ = run_verb("cache")
    assert code == 0 and "0 B" in out and not (tmp_path / "none").exists()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    program = "from edge_i2i.files.caches import list_caches; assert list_caches() == []"
    subprocess.run([sys.executable, "-c", program], check=True, env={"HOME": str(tmp_path)})
    assert list(tmp_path.iterdir()) == []
