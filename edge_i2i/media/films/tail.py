"""Whether a file goes on with another film behind the one that was read: files that were joined by copying.

Players stop silently at the first film's end; nobody would miss the others before it is too late.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

_SIGNATURES = {"matroska,webm": b"\x1a\x45\xdf\xa3", "flv": b"FLV\x01"}
_CHUNK = 2**20


def has_another_film(path: Path, form: str, read_until: int) -> bool:
    """Whether a film begins in the file behind the one that was read.

    Args:
        path: the file.
        form: the format by FFmpeg's name, as in ``matroska,webm``; in one that is not known here nothing is looked for.
        read_until: the byte behind the last packet that was read; the search begins there (MP4: at the file's start).
    """
    if form.startswith("mov,"):
        return sum(kind == b"ftyp" for kind in _boxes(path)) > 1
    signature = _SIGNATURES.get(form)
    return signature is not None and _holds(path, signature, read_until)


def _boxes(path: Path) -> Iterator[bytes]:
    """The kinds of the boxes of an MP4 or MOV, as far as they follow one another."""
    whole, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at + 8 <= whole:
            file.seek(at)
            size, kind = struct.unpack(">I4s", file.read(8))
            if size == 1:
                (size,) = struct.unpack(">Q", file.read(8).ljust(8, b"\0"))
            if size < 8:  # 0: to the end of the file
                size = whole - at
            yield kind
            at += size


def _holds(path: Path, signature: bytes, start: int) -> bool:
    with path.open("rb") as file:
        file.seek(start)
        before = b""
        while chunk := file.read(_CHUNK):
            if signature in before + chunk:
                return True
            before = chunk[-len(signature) :]
    return False
