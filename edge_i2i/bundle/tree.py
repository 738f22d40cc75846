"""The files of a bundle while it is built: added one by one, hashed on the way, packed at the end."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO

from edge_i2i.bundle.archive import stored_member
from edge_i2i.bundle.disk import disk_faults, fsync_folder
from edge_i2i.bundle.paths import HEADER_NAME, unsafe_because
from edge_i2i.bundle.storage import CHUNK
from edge_i2i.errors import BundleError
from edge_i2i.files.whole import fsync_file

_ZIP_OVERHEAD = 512  # bytes a member at most: its two headers, with a path of 200 characters in each


@dataclass(frozen=True)
class Added:
    """A file that is in the tree: its path there, its checksum in hexadecimal, and its size in bytes."""

    path: str
    sha256: str
    size: int


class FileTree:
    """A folder that becomes a bundle. Files are read and written 1 MiB at a time.

    ``destination`` is the folder that the user named, for messages.
    """

    def __init__(self, root: Path, destination: Path) -> None:
        self.root = root
        self._destination = destination

    def add_bytes(self, path: str, data: bytes) -> Added:
        """Write a new file.

        Raises:
            BundleError: the path is unsafe or taken, or the disk is full.
        """
        place = self._claim(path)
        with disk_faults(self._destination, f"'{path}'", len(data)):
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        return Added(path, hashlib.sha256(data).hexdigest(), len(data))

    def add_file(self, path: str, source: Path, *, move: bool) -> Added:
        """Copy a file into the tree, or move it there.

        Args:
            path: where the file goes inside the bundle, relative and in POSIX form.
            source: the file to take in.
            move: whether ``source`` itself may be taken; it is renamed where it lies on the same disk, else copied and
                deleted.

        Raises:
            BundleError: as ``add_bytes``, or the source cannot be read.
        """
        place = self._claim(path)
        with _open_source(source) as handle:
            size = os.fstat(handle.fileno()).st_size
            with disk_faults(self._destination, f"'{path}'", size):
                place.parent.mkdir(parents=True, exist_ok=True)
                if move and not source.is_symlink() and _moved(source, place):
                    return Added(path, hashlib.file_digest(handle, "sha256").hexdigest(), size)
                added = Added(path, *_copy(_chunks(handle), place))
        if move:
            source.unlink(missing_ok=True)
        return added

    def add_chunks(self, path: str, chunks: Iterable[bytes], size: int) -> Added:
        """Write a new file, piece by piece.

        Args:
            path: where the file goes inside the bundle, relative and in POSIX form.
            chunks: the file's bytes in order, in pieces of any size.
            size: how many bytes they are in all, for the message of a full disk.

        Raises:
            BundleError: as ``add_bytes``; and whatever ``chunks`` raises.
        """
        place = self._claim(path)
        with disk_faults(self._destination, f"'{path}'", size):
            place.parent.mkdir(parents=True, exist_ok=True)
            return Added(path, *_copy(chunks, place))

    def remove(self, path: str) -> None:
        """Take a file out again.

        Raises:
            BundleError: it cannot be removed.
        """
        with disk_faults(self._destination, f"'{path}'"):
            (self.root / path).unlink()

    def settle(self) -> None:
        """Make the folder ready to be the bundle: all files on the disk, and as readable as a new file is here.

        Raises:
            BundleError: the disk is full.
        """
        with disk_faults(self._destination, "the bundle", self._size()):
            mode = stat.S_IMODE((self.root / HEADER_NAME).stat().st_mode)
            for path in self._files():
                path.chmod(mode)  # a file that was moved in may come from tempfile, which lets nobody else read it
                fsync_file(path)
            for folder, _, _ in os.walk(self.root):
                fsync_folder(Path(folder))

    def pack(self, archive: Path) -> None:
        """Put all files into one uncompressed zip, and make sure that it is on the disk.

        Each file is removed once it is in, so that the disk has to hold the bundle once, not twice.

        Raises:
            BundleError: the disk is full.
        """
        with disk_faults(self._destination, "the bundle", self._size()), archive.open("wb") as packed:
            with zipfile.ZipFile(packed, "w") as entries:
                for path in self._files():
                    name, size = path.relative_to(self.root).as_posix(), path.stat().st_size
                    with path.open("rb") as source, entries.open(stored_member(name, size), "w") as place:
                        shutil.copyfileobj(source, place, CHUNK)
                    path.unlink()
            packed.flush()
            os.fsync(packed.fileno())

    def _claim(self, path: str) -> Path:
        """The place for a new file, unless its path may not be used."""
        reason = unsafe_because(path)
        place = self.root / path
        if reason is None and place.exists():
            reason = "was added before"
        if reason:
            raise BundleError(f"Nothing can be stored as {path!r}: this path {reason}.", remedy="Choose another path.")
        return place

    def _files(self) -> list[Path]:
        found = (Path(folder) / name for folder, _, names in os.walk(self.root) for name in names)
        return sorted(found, key=lambda path: path.relative_to(self.root).as_posix())

    def _size(self) -> int:
        return sum(path.stat().st_size + _ZIP_OVERHEAD for path in self._files())


def _open_source(source: Path) -> BufferedReader:
    try:
        if source.is_file():
            return source.open("rb")
        reason = "there is no such file"
    except OSError as error:
        reason = str(error.strerror)
    raise BundleError(f"'{source}' cannot be put into the bundle: {reason}.", remedy="Check the path and export again.")


def _moved(source: Path, place: Path) -> bool:
    try:
        source.replace(place)
    except OSError as error:
        if error.errno == errno.EXDEV:  # on another disk
            return False
        raise
    return True


def _copy(chunks: Iterable[bytes], place: Path) -> tuple[str, int]:
    """Copy and hash in one pass; returns the checksum and the size of what was really written."""
    digest, size = hashlib.sha256(), 0
    with place.open("wb") as copy:
        for chunk in chunks:
            digest.update(chunk)
            size += copy.write(chunk)
    return digest.hexdigest(), size


def _chunks(source: IO[bytes]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK):
        yield chunk
