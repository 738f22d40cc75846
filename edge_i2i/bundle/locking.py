"""One writer at a time to one path: an advisory lock on a hidden file beside the target."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_i2i.errors import BundleOutputError, OutputError
from edge_i2i.files.places import beside

_PATIENCE_S = 0.2
"""Long enough to try again where the last holder removed the file between our opening and our locking it."""


_RUN = "edge-i2i-run"  # what locks of whole runs are called


class LockHeldError(Exception):
    """Another writer, in this process or another, holds the lock."""


@contextmanager
def write_lock(target: Path) -> Iterator[None]:
    """Hold the lock of ``target`` (``.NAME.lock`` beside it); its file is removed however the block ends.

    It does not wait for another holder. The kernel frees the lock of a killed process, so a lock file that was left
    behind locks nobody out; where a file system has no such locks, that is an error, never a lock that outlives its
    holder.

    Raises:
        LockHeldError: another writer holds it.
        OSError: the folder is not there, may not be written, or takes no locks.
    """
    from filelock import FileLock, Timeout

    path = beside(target, "lock")
    path.parent.stat()  # the library would make the folder
    lock = FileLock(path, timeout=_PATIENCE_S, poll_interval=_PATIENCE_S / 10, fallback_to_soft=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockHeldError(f"'{target}' is being written at this moment.") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file; there the library does it afterwards
            path.unlink()  # while it is still locked: whoever waits for this very file then sees that it is gone
        lock.release()


@contextmanager
def export_lock(target: Path) -> Iterator[None]:
    """Hold the ``write_lock`` of a bundle that is being written.

    Raises:
        BundleOutputError: another export holds it, or the folder takes no locks.
    """
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(write_lock(target))
        except LockHeldError as error:
            raise BundleOutputError(
                f"Another export is writing '{target}' at this moment.",
                remedy="Wait until it has finished, or give another output path.",
            ) from error
        except OSError as error:
            raise BundleOutputError(
                f"No bundle can be written to '{target}': {error.strerror or error}.",
                remedy="Give an output path in a folder on a local disk that you may write to.",
            ) from error
        yield


@contextmanager
def only_run(target: Path, *, inside: bool = False) -> Iterator[None]:
    """Keep other runs from writing ``target`` while the block runs, in which it is worked on for long.

    ``inside``: the target is a folder, and holds the lock file itself. Its folder is made. Not the lock of
    ``export_lock``, which writing the bundle takes in the end.

    Raises:
        OutputError: another run holds it, or the folder takes no locks.
    """
    with contextlib.ExitStack() as held:
        try:
            (target if inside else target.parent).mkdir(parents=True, exist_ok=True)
            held.enter_context(write_lock(target / _RUN if inside else target.with_name(f"{target.name}.{_RUN}")))
        except LockHeldError as error:
            raise OutputError(
                f"Another run is writing '{target}' at this moment.",
                remedy="Wait until it has finished, or give another output.",
            ) from error
        except OSError as error:
            raise OutputError(
                f"'{target}' cannot be written: {error.strerror or error}.",
                remedy="Give an output in a folder on a local disk that you may write to.",
            ) from error
        yield
