"""Torch files that say more than they hold, written opcode by opcode."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

LEGACY_PREFACE = (
    0x1950A86A20F9469CFC6C,
    1001,
    {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}},
)


class Malicious:
    """Makes ``sentinel``, a file, where it is unpickled."""

    def __init__(self, sentinel: Path) -> None:
        self.sentinel = sentinel

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.sentinel}'",)


def text(value: str) -> bytes:
    """BINUNICODE."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """BININT, or LONG1 where that is too short."""
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    size = value.bit_length() // 8 + 1
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def name(module: str, what: str) -> bytes:
    """GLOBAL."""
    return f"c{module}\n{what}\n".encode()


def several(*parts: bytes) -> bytes:
    """A tuple."""
    return b"(" + b"".join(parts) + b"t"


def entries(items: Mapping[str, bytes]) -> bytes:
    """A dict."""
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def tensor(
    shape: Sequence[int], stride: Sequence[int], stored: int, offset: int = 0, key: str = "0", legacy: bool = False
) -> bytes:
    """A float tensor of a storage of ``stored`` numbers."""
    view = [b"N"] if legacy else []
    storage = several(text("storage"), name("torch", "FloatStorage"), text(key), text("cpu"), number(stored), *view)
    numbers = (several(*map(number, shape)), several(*map(number, stride)))
    hooks = name("collections", "OrderedDict") + b")R"
    arguments = several(storage + b"Q", number(offset), *numbers, b"\x89", hooks)
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def whole(value: bytes) -> bytes:
    """A pickle."""
    return b"\x80\x02" + value + b"."


def write_zip(path: Path, value: bytes, records: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    """A torch file of today; ``records``: the bytes of storages by key."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("archive/data.pkl", whole(value))
        archive.writestr("archive/version", "3\n")
        for key, data in records.items():
            archive.writestr(f"archive/data/{key}", data)
    return path


def write_legacy(path: Path, value: bytes, storages: Sequence[tuple[str, int, bytes]]) -> Path:
    """A torch file from before 1.6; of each storage its key, how many numbers it is said to have, and its bytes."""
    with path.open("wb") as file:
        for item in LEGACY_PREFACE:
            pickle.dump(item, file, 2)
        file.write(whole(value))
        pickle.dump([key for key, _, _ in storages], file, 2)
        for _, count, data in storages:
            file.write(struct.pack("<q", count) + data)
    return path


def laughs(times: int) -> bytes:
    """A dict that holds the one before it twice, and so on."""
    value = b"}" + text("t") + b"Nsq\x00"
    for index in range(1, times):
        value = b"}(" + text("a") + value + text("b") + b"h" + bytes([index - 1]) + b"u" + b"q" + bytes([index])
    return value
