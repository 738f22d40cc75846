"""One export at a time to one path: an advisory lock on a hidden file beside the target."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_i2i.errors import BundleError


@contextmanager
def export_lock(target: Path) -> Iterator[None]:
    """Hold the lock of ``target``; it is freed, and its file removed, however the block ends.

    The kernel frees the lock of a killed process, so a lock file that was left behind locks nobody out.

    Raises:
        BundleError: another export holds it, or the folder takes no locks.
    """
    path = target.with_name(f".{target.name}.lock")
    descriptor = _acquire(path, target)
    try:
        yield
    finally:
        _release(descriptor, path)


def _acquire(path: Path, target: Path) -> int:
    while True:
        descriptor = _open(path, target)
        if _is_current(descriptor, path):
            return descriptor
        os.close(descriptor)  # its last holder removed the file between our opening and our locking it


def _open(path: Path, target: Path) -> int:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o666)
    except OSError as error:
        raise _unwritable(target, error) from error
    try:
        _lock(descriptor)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError | PermissionError):
            raise BundleError(
                f"Another export is writing '{target}' at this moment.",
                remedy="Wait until it has finished, or give another output path.",
            ) from error
        raise _unwritable(target, error) from error
    return descriptor


def _is_current(descriptor: int, path: Path) -> bool:
    """Whether the locked file is still the one that others find under its name."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _unwritable(target: Path, error: OSError) -> BundleError:
    return BundleError(
        f"No bundle can be written to '{target}': {error.strerror}.",
        remedy="Give an output path in a folder on a local disk that you may write to.",
    )


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _release(descriptor: int, path: Path) -> None:
        os.close(descriptor)  # Windows removes no open file, so no other export's lock file can be taken from it
        with contextlib.suppress(OSError):
            path.unlink()

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _release(descriptor: int, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.unlink()  # while it is still locked: whoever waits for this very file then sees that it is gone
        os.close(descriptor)
