"""Files that appear under their final name only when they are complete."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from edge_i2i.files.places import beside

_UNFINISHED = re.compile(r"[0-9]+-[0-9a-f]{8}\.part")


@contextmanager
def replacing(path: Path, *, durable: bool = False, private: bool = False, first_stays: bool = False) -> Iterator[Path]:
    """A name to write to, in the folder of ``path``; moved to ``path`` when the block ends without an error.

    After an error or an interrupt the temporary file is removed and whatever was at ``path`` before is untouched. The
    temporary name is hidden and unique, so two writers of the same path never share one: the later one wins whole.

    Args:
        path: the file to be written, or replaced; its folder has to be there.
        durable: make sure that the bytes are on the disk before the file gets its name. Without it a power cut may
            leave an empty file behind, which readers of outputs treat as missing.
        private: nobody but this user may read the file, from its first byte on; the block has to write to the file
            that is there, not to put another in its place.
        first_stays: where another writer has put a file at ``path`` meanwhile, leave that one.

    Raises:
        OSError: the file cannot be made, or not be moved to its place.
    """
    temporary = beside(path, f"{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        if private:
            os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield temporary
        if durable:
            fsync_file(temporary)
        if first_stays and path.exists():
            temporary.unlink()
        else:
            temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def fsync_file(path: Path) -> None:
    """Make sure that a file's bytes are on the disk."""
    with path.open("rb+") as handle:
        os.fsync(handle.fileno())


def discard_unfinished(paths: Collection[Path]) -> None:
    """Remove what killed runs left of these files; only for whoever knows that nobody writes them at this moment."""
    wanted = {beside(path, "") for path in paths}
    for folder in {path.parent for path in paths}:
        for file in folder.glob(".*.part"):
            mark = _UNFINISHED.search(file.name)
            if mark and mark.end() == len(file.name) and file.with_name(file.name[: mark.start()]) in wanted:
                with suppress(OSError):
                    file.unlink()
