"""What the operating system offers for writing safely: faults in plain words, fsync, and swapping two names."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_i2i.errors import BundleOutputError

# A quota and a file-size limit stop a write exactly as a full disk does. Windows has no EDQUOT.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NO_SUCH_SERVICE = {errno.EINVAL, errno.ENOTSUP}

_AT_CURRENT_FOLDER, _RENAME_EXCHANGE = -100, 2  # Linux: fcntl.h AT_FDCWD, linux/fs.h
_RENAME_SWAP = 2  # macOS: sys/stdio.h


@contextmanager
def disk_faults(folder: Path, what: str, needed: int = 0) -> Iterator[None]:
    """Say which write of the block failed, and how many bytes were needed and free where the disk is full.

    Args:
        folder: the folder that is written into; named in the error, and its disk's free bytes are read beforehand.
        what: what is being written, as the subject of the error: a file's name in quotes, or a few words.
        needed: how many bytes the block writes; 0 where that is not known.

    Raises:
        BundleOutputError: in place of any OSError of the block.
    """
    free = 0
    try:
        free = _free_bytes(folder)
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise BundleOutputError(
                f"The disk is full: {what} needs {needed:,} bytes, and {free:,} were free in '{folder}' "
                f"({error.strerror}).",
                remedy="Free some space, or give an output path on another disk. Nothing was changed.",
            ) from error
        raise BundleOutputError(
            f"{what} cannot be written into '{folder}': {error.strerror or error}.",
            remedy="Check that you may write to that folder and that nothing there is in use, or give another path.",
        ) from error


def exchange(first: Path, second: Path) -> bool:
    """Swap two names in one step, so that neither is ever missing; False where this system or disk cannot."""
    call = _exchange_call()
    return call is not None and call(os.fsencode(first), os.fsencode(second)) == 0


def fsync_folder(path: Path) -> None:
    """Make sure that a folder's names are on the disk, where the system offers that (Windows: no; shares: some)."""
    if sys.platform == "win32":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SUCH_SERVICE:
            raise
    finally:
        os.close(descriptor)


def _exchange_call() -> Callable[[bytes, bytes], int] | None:
    if sys.platform == "win32":
        return None
    libc = ctypes.CDLL(None)
    if sys.platform == "darwin" and hasattr(libc, "renamex_np"):
        return lambda first, second: int(libc.renamex_np(first, second, _RENAME_SWAP))
    if sys.platform == "linux" and hasattr(libc, "renameat2"):
        here = _AT_CURRENT_FOLDER
        return lambda first, second: int(libc.renameat2(here, first, here, second, _RENAME_EXCHANGE))
    return None


def _free_bytes(folder: Path) -> int:
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(existing).free
