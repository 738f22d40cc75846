"""Where a bundle's files lie: in a folder. Nothing outside the bundle is ever opened."""

from __future__ import annotations

import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from edge_i2i.bundle.header import GET_AGAIN
from edge_i2i.bundle.paths import unsafe_because
from edge_i2i.errors import BundleError

CHUNK = 1 << 20  # bytes read at a time where a file is only looked through


class Storage(ABC):
    """The files of one bundle by their paths inside it. Holds nothing open between calls."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @abstractmethod
    def names(self) -> frozenset[str]:
        """Every file that is there, listed in the manifest or not."""

    @abstractmethod
    def size(self, name: str) -> int:
        """A file's size in bytes.

        Raises:
            BundleError: the file is missing, is not a regular file, or lies outside the bundle.
        """

    @abstractmethod
    def location(self, name: str) -> Path | None:
        """The file on disk, or None where it has no path of its own."""

    @abstractmethod
    def _opened(self, name: str) -> AbstractContextManager[IO[bytes]]:
        """The file, open; faults of the storage are raised as BundleError."""

    def read(self, name: str) -> bytes:
        """A whole file, unchecked; never more than ``size`` said.

        Raises:
            BundleError: as ``size``, or the file cannot be read.
        """
        size = self.size(name)
        with self._opened(name) as handle:
            return handle.read(size)

    def chunks(self, name: str) -> Iterator[bytes]:
        """A whole file, unchecked, in pieces of 1 MiB at most.

        Raises:
            BundleError: as ``read``.
        """
        self.size(name)
        with self._opened(name) as handle:
            while chunk := handle.read(CHUNK):
                yield chunk

    def _missing(self, name: str) -> BundleError:
        return BundleError(f"'{name}' is missing from the bundle '{self.root}'.", remedy=GET_AGAIN)

    def _refuse_unsafe(self, name: str) -> None:
        if reason := unsafe_because(name):
            raise BundleError(
                f"The bundle '{self.root}' is refused: its path {name!r} {reason}.",
                remedy="Do not use this bundle; get it from a source that you trust.",
            )


class FolderStorage(Storage):
    """A bundle that is a folder. Links are followed only as long as they stay inside it."""

    def names(self) -> frozenset[str]:
        """Every file below the folder; a link to a folder counts as one file, and is not entered."""
        found: set[str] = set()
        for folder, folders, files in os.walk(self.root):
            here = Path(folder)
            links = [name for name in folders if (here / name).is_symlink()]
            found.update((here / name).relative_to(self.root).as_posix() for name in (*files, *links))
        return frozenset(found)

    def size(self, name: str) -> int:
        """See ``Storage.size``."""
        with self._faults_named(name):
            status = self.location(name).stat()
        if not stat.S_ISREG(status.st_mode):
            raise BundleError(f"'{name}' in the bundle '{self.root}' is not a regular file.", remedy=GET_AGAIN)
        return status.st_size

    def location(self, name: str) -> Path:
        """The file on disk, with links resolved.

        Raises:
            BundleError: it is missing, or lies outside the bundle.
        """
        self._refuse_unsafe(name)
        with self._faults_named(name):
            path = (self.root / name).resolve(strict=True)
            inside = path.is_relative_to(self.root.resolve(strict=True))
        if not inside:
            raise BundleError(
                f"The bundle '{self.root}' is refused: '{name}' is a link to something outside the bundle.",
                remedy="If you trust where the link leads, copy the bundle with its links followed: cp -rL FROM TO.i2i",
            )
        return path

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        with self._faults_named(name), self.location(name).open("rb") as handle:
            yield handle

    @contextmanager
    def _faults_named(self, name: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise self._missing(name) from error
        except (OSError, RuntimeError) as error:  # RuntimeError: how pathlib reports a loop of links before 3.13
            raise BundleError(
                f"'{name}' in the bundle '{self.root}' cannot be read: {error}.",
                remedy="Check the file's permissions and the disk, or get the bundle again.",
            ) from error
