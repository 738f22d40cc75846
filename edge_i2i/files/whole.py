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
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, in the folder of ``path``; moved to ``path`` when the block ends without an error.

    After an error or an interrupt the temporary file is removed and whatever was at ``path`` before is untouched. The
    temporary name is hidden and unique, so two writers of the same path never share one: the later one wins whole.

    Raises:
        OSError: the file cannot be moved to its place.
    """
    temporary = beside(path, f"{os.getpid()}-{secrets.token_hex(4)}.part")
    try:
        yield temporary
        # Not fsync: a power cut may leave an empty file behind, which readers of outputs treat as missing.
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def discard_unfinished(paths: Collection[Path]) -> None:
    """Remove what killed runs left of these files; only for whoever knows that nobody writes them at this moment."""
    wanted = {beside(path, "") for path in paths}
    for folder in {path.parent for path in paths}:
        for file in folder.glob(".*.part"):
            mark = _UNFINISHED.search(file.name)
            if mark and mark.end() == len(file.name) and file.with_name(file.name[: mark.start()]) in wanted:
                with suppress(OSError):
                    file.unlink()
