"""The table of contents of a zip from a stranger, held against a limit before it is read in one go."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LARGEST_DIRECTORY = 1 << 22  # bytes; some fifty thousand members
_END, _LOCATOR, _LARGE_END = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06"
_END_BYTES, _LOCATOR_BYTES, _LARGE_END_BYTES = 22, 20, 56

ZIP_FAULTS = (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OverflowError, struct.error)


@contextmanager
def opened_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """The zip at ``path``, open for reading.

    Raises:
        BadZipFile: it is no zip, is cut off, or has a table of contents larger than any checkpoint's.
        OSError: it cannot be read.
    """
    _check_directory(path)
    with zipfile.ZipFile(path) as archive:
        yield archive


def _check_directory(path: Path) -> None:
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - _END_BYTES - _LOCATOR_BYTES))
        tail = file.read()
        end, locator = tail[-_END_BYTES:], tail[:-_END_BYTES]
        if len(end) < _END_BYTES or end[:4] != _END:
            raise zipfile.BadZipFile("its end is missing")
        directory = int.from_bytes(end[12:16], "little")
        # Large zips have a second end record, with wider fields; the locator, just before the first one, points at it.
        if locator[:4] == _LOCATOR:
            file.seek(min(int.from_bytes(locator[8:16], "little"), size))
            large = file.read(_LARGE_END_BYTES)
            if len(large) < _LARGE_END_BYTES or large[:4] != _LARGE_END:
                raise zipfile.BadZipFile("its end is damaged")
            directory = int.from_bytes(large[40:48], "little")
    if directory > _LARGEST_DIRECTORY:
        raise zipfile.BadZipFile("its table of contents is larger than that of any checkpoint")
