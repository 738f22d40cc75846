"""Files that grow under their own names: what was written is there after a crash, a power cut or a full disk."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SYNC_EVERY = 5.0  # seconds that a power cut may cost
_BINARY = getattr(os, "O_BINARY", 0)  # Windows


class GrowingFile:
    """A new file, for PyAV to write into. It never takes the place of another.

    After a write that failed, nothing more reaches it and ``closed`` says so: an index that is written behind a hole
    would spoil what is there.

    Raises:
        OSError: it exists already, or cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        self._synced = time.monotonic()
        self.closed = False

    def write(self, data: bytes) -> int:
        """Write all of ``data`` at the place where the file is; returns how many bytes that was.

        Raises:
            OSError: the disk is full, or gone; or this was so before.
        """
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            if time.monotonic() - self._synced >= _SYNC_EVERY:
                os.fsync(self._descriptor)
                self._synced = time.monotonic()
        except OSError:
            self.closed = True
            raise
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file; returns its distance from the start, in bytes."""
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        """The place where the file is read or written next, in bytes from the start."""
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)

    def finish(self) -> None:
        """Bring the file to the disk, and close it; calling it twice is harmless."""
        self.closed = True
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            with suppress(OSError):
                os.fsync(descriptor)
            os.close(descriptor)


@contextmanager
def growing(path: Path) -> Iterator[GrowingFile]:
    """Open a new file that stays after an error as well, unless it is empty; closes it behind the block.

    Raises:
        OSError: as ``GrowingFile``.
    """
    file = GrowingFile(path)
    try:
        yield file
    finally:
        file.finish()
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
