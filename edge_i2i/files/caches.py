"""What is kept between runs: one folder for all of it, a folder in it for each kind."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from edge_i2i.errors import EdgeI2IError, UsageError, known_names

KINDS: Mapping[str, str] = MappingProxyType(
    {
        "https": "the certificate that serve --https made for itself, and its key",
        "keras": "settings of TensorFlow's Keras",
        "kernels": "NNCF's kernels, compiled once an installation by qat",
        "matplotlib": "settings of matplotlib, and its list of fonts",
        "pairs": "training pairs, prepared by train",
        "quantize": "calibration statistics and verdicts of quantize and sensitivity",
    }
)
"""Names of the folders, and what each holds; whatever else lies there is shown by its name."""


@dataclass(frozen=True)
class Cache:
    """One folder of the cache: its name, what it holds, its path, its files and their size in bytes."""

    name: str
    purpose: str
    path: Path
    files: int
    bytes: int


def cache_root() -> Path:
    """``$XDG_CACHE_HOME/edge-i2i`` where that is set, else the system's place for caches.

    Linux: ``~/.cache/edge-i2i``; macOS: ``~/Library/Caches/edge-i2i``; Windows: ``%LOCALAPPDATA%/edge-i2i/Cache``.
    """
    from platformdirs import user_cache_path

    told = os.environ.get("XDG_CACHE_HOME")
    return Path(told) / "edge-i2i" if told else user_cache_path("edge-i2i", appauthor=False)


def cache_folder(kind: str) -> Path:
    """Where this kind is kept: a name of ``KINDS``. It need not be there yet."""
    return cache_root() / kind


def list_caches() -> list[Cache]:
    """Every folder of the cache that is there, by name; also what earlier versions kept elsewhere."""
    found = [path for root in _roots() if root.is_dir() for path in root.iterdir()]
    return [_described(path) for path in sorted(found, key=lambda path: (path.name, str(path)))]


def clear_caches(names: Iterable[str]) -> list[Cache]:
    """Remove these folders and return what they were; one that is empty or not there is no error.

    Raises:
        UsageError: there is no kind of that name, here or in ``KINDS``.
        EdgeI2IError: a folder cannot be removed.
    """
    there = list_caches()
    known = sorted({*KINDS, *(cache.name for cache in there)})
    wanted = set(names)
    for name in wanted - set(known):
        raise UsageError(f"There is no cache '{name}'.", remedy=known_names(name, known, "caches"))
    gone = [cache for cache in there if cache.name in wanted]
    for cache in gone:
        _remove(cache.path)
    return gone


def _roots() -> list[Path]:
    """The folder that is used, and the one that macOS and Windows had until 0.1."""
    earlier = Path.home() / ".cache" / "edge-i2i"
    return list(dict.fromkeys([cache_root(), earlier])) if not os.environ.get("XDG_CACHE_HOME") else [cache_root()]


def _described(path: Path) -> Cache:
    files = [path] if not _is_folder(path) else [item for item in path.rglob("*") if not _is_folder(item)]
    return Cache(path.name, KINDS.get(path.name, ""), path, len(files), sum(map(_size, files)))


def _size(path: Path) -> int:
    """The size of a file in bytes; 0 for one that another process removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return path.lstat().st_size
    return 0


def _is_folder(path: Path) -> bool:
    """A link to a folder is none: what it points to is not ours to count or to remove."""
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    try:
        if _is_folder(path):
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError as error:
        raise EdgeI2IError(
            f"{path} cannot be removed: {error.strerror or error}.", remedy="Remove it by hand, or see who may."
        ) from error
