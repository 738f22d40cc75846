"""Writing files so that an interrupt or a full disk leaves nothing half-written under the final name."""

from __future__ import annotations

from pathlib import Path

from edge_i2i.errors import EdgeI2IError
from edge_i2i.files.whole import replacing


def write_durably(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, and have it on the disk before it gets its name; its folder is made.

    Raises:
        EdgeI2IError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=True) as unfinished:
            unfinished.write_bytes(content)
    except OSError as error:
        raise EdgeI2IError(
            f"The file {path} cannot be written: {error.strerror or error}.",
            remedy="Free some space, or choose another folder that you may write to.",
        ) from error
