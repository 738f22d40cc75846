"""Writing files so that an interrupt or a full disk leaves nothing half-written under the final name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from edge_i2i.errors import EdgeI2IError


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file under a temporary name beside its place, then move it there in one step.

    Raises:
        EdgeI2IError: the folder cannot be written, or the disk is full.
    """
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise EdgeI2IError(
            f"The file {path} cannot be written: {error.strerror or error}.",
            remedy="Free some space, or choose another folder that you may write to.",
        ) from error
