"""A bundle as one file: an uncompressed zip, read with suspicion and written reproducibly."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from edge_i2i.bundle.header import GET_AGAIN
from edge_i2i.bundle.storage import Storage
from edge_i2i.errors import BundleError

MOST_MEMBERS = 4096
LARGEST_DIRECTORY = 1 << 20  # bytes of the zip's own table of contents

FIRST_MEMBER = b"PK\x03\x04"

# The end record and, before it in archives above 4 GiB, the locator and the large end record (APPNOTE 4.3.14-16).
_END, _END_SIZE = b"PK\x05\x06", 22
_LOCATOR, _LOCATOR_SIZE = b"PK\x06\x07", 20
_LARGE_END, _LARGE_END_SIZE = b"PK\x06\x06", 56

_HARMLESS_FLAGS = 0x0808  # sizes repeated behind the data; UTF-8 names. Anything else means encryption or patching.

# What zipfile raises for archives that are damaged in one way or another.
ZIP_FAULTS = (
    zipfile.BadZipFile,
    NotImplementedError,
    EOFError,
    OverflowError,
    ValueError,
    struct.error,
    OSError,
)


class ArchiveStorage(Storage):
    """A bundle that is one stored zip; its table of contents is checked when this is made.

    Raises:
        BundleError: the file is no such zip, is cut short, or holds anything that could unpack to more than it is.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        with self._faults_named(), self._archive() as archive:
            self._sizes = self._check_members(archive.infolist(), root.stat().st_size)

    def names(self) -> frozenset[str]:
        """See ``Storage.names``."""
        return frozenset(self._sizes)

    def size(self, name: str) -> int:
        """See ``Storage.size``."""
        self._refuse_unsafe(name)
        if name not in self._sizes:
            raise self._missing(name)
        return self._sizes[name]

    def location(self, name: str) -> None:
        """Always None: a member of a zip has no path of its own on the disk."""

    @contextmanager
    def _opened(self, name: str) -> Iterator[IO[bytes]]:
        # Opened anew each time, so that nothing is held between calls and threads do not meet; that costs about 1 ms.
        with self._faults_named(name), self._archive() as archive, archive.open(self._member(archive, name)) as member:
            yield member

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        with self.root.open("rb") as handle:
            entries = self._count_entries(handle, handle.seek(0, 2))
            with zipfile.ZipFile(handle) as archive:
                if len(archive.infolist()) != entries:
                    raise self._damaged("its end record and its table of contents count different numbers of members")
                yield archive

    def _member(self, archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
        """The member, unless the file was exchanged for another one since it was opened."""
        member = archive.NameToInfo.get(name)
        if member is None or member.file_size != self._sizes[name] or reason_to_refuse(member):
            raise self._damaged(f"'{name}' changed while it was in use")
        return member

    def _count_entries(self, handle: IO[bytes], archive_size: int) -> int:
        """The number of members that the end record states.

        zipfile reads the whole table of contents in one go, so its size is checked here, before that.
        """
        handle.seek(0)
        if handle.read(4) != FIRST_MEMBER:
            raise BundleError(
                f"'{self.root}' is not an edge-i2i bundle: it is neither a folder nor an uncompressed zip.",
                remedy="Give the path of a .i2i bundle that 'edge-i2i export' wrote.",
            )
        try:
            entries, directory = stated_directory(handle, archive_size)
        except zipfile.BadZipFile as error:
            raise self._damaged(str(error)) from error
        if entries > MOST_MEMBERS or directory > LARGEST_DIRECTORY:
            raise BundleError(
                f"The bundle '{self.root}' is refused: its zip has {entries:,} members with a table of contents of "
                f"{directory:,} bytes; at most {MOST_MEMBERS:,} and {LARGEST_DIRECTORY:,} are accepted.",
                remedy="Do not use this bundle; get it from a source that you trust.",
            )
        return entries

    def _check_members(self, members: list[zipfile.ZipInfo], archive_size: int) -> dict[str, int]:
        sizes: dict[str, int] = {}
        seen: set[str] = set()
        for member in members:
            self._refuse_unsafe(member.orig_filename.removesuffix("/"))
            if reason := reason_to_refuse(member):
                raise self._damaged(f"its member {member.orig_filename!r} {reason}")
            if member.filename.casefold() in seen:
                raise self._damaged(f"its member {member.filename!r} is there twice")
            seen.add(member.filename.casefold())
            if not member.is_dir():
                sizes[member.filename] = member.file_size
        if sum(sizes.values()) > archive_size:
            raise self._damaged("its members claim to be larger than the whole file")
        if min((member.header_offset for member in members), default=0) != 0:
            raise self._damaged("its table of contents points to the wrong places")
        return sizes

    def _damaged(self, reason: str) -> BundleError:
        return BundleError(f"The bundle '{self.root}' cannot be used: {reason}.", remedy=GET_AGAIN)

    @contextmanager
    def _faults_named(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except ZIP_FAULTS as error:
            where = f"'{name}' in it" if name else "it"
            raise self._damaged(f"{where} cannot be read ({error or type(error).__name__})") from error


def stated_directory(handle: IO[bytes], size: int) -> tuple[int, int]:
    """How many members a zip of ``size`` bytes states, and how many bytes its table of contents takes.

    Raises:
        zipfile.BadZipFile: its end is not that of a zip without a comment.
    """
    handle.seek(max(0, size - _END_SIZE - _LOCATOR_SIZE))
    tail = handle.read(_END_SIZE + _LOCATOR_SIZE)
    end = tail[-_END_SIZE:]
    if len(end) < _END_SIZE or end[:4] != _END or end[20:22] != b"\0\0":
        raise zipfile.BadZipFile("its end is missing; it was cut short, or something was appended to it")
    entries, directory = struct.unpack("<HI", end[10:16])
    return _large_end(handle, size) if tail[:-_END_SIZE][:4] == _LOCATOR else (entries, directory)


def _large_end(handle: IO[bytes], size: int) -> tuple[int, int]:
    """Members and table size from a zip64 end record, which has to stand right before its locator."""
    handle.seek(max(0, size - _END_SIZE - _LOCATOR_SIZE - _LARGE_END_SIZE))
    record = handle.read(_LARGE_END_SIZE)
    if len(record) < _LARGE_END_SIZE or record[:4] != _LARGE_END:
        raise zipfile.BadZipFile("its zip64 end record is missing")
    entries, directory = struct.unpack("<QQ", record[32:48])
    return entries, directory


def reason_to_refuse(member: zipfile.ZipInfo) -> str:
    """Why a zip member is not a plain uncompressed file or an empty folder; empty where it is one."""
    if member.filename != member.orig_filename:
        return f"goes by a second name, {member.filename!r}"
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        return "is compressed; only uncompressed zips are read (zip -0)"
    if member.flag_bits & ~_HARMLESS_FLAGS:
        return "is encrypted or patched"
    if stat.S_ISLNK(member.external_attr >> 16):
        return "is a symbolic link"
    if member.is_dir() and member.file_size:
        return "is a folder with contents of its own"
    return ""


def stored_member(name: str, size: int) -> zipfile.ZipInfo:
    """The zip entry of an uncompressed file: equal contents give equal archives, on every machine and day."""
    member = zipfile.ZipInfo(name)  # dated 1980-01-01, the earliest that the format knows
    member.compress_type = zipfile.ZIP_STORED
    member.create_system = 3  # POSIX, also where written on Windows
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    member.file_size = size  # beforehand, so that zipfile knows whether it needs the large form
    return member
