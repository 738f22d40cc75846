"""Engines kept on disk: one file for each, and beside it a description of everything that it was built from.

The folder is trusted: an engine is program code for the GPU, and with ``version_compatible`` for the processor too.
Do not put engines of strangers into it.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from edge_i2i.engines.tensorrt.files import write_atomically
from edge_i2i.engines.tensorrt.key import EngineKey
from edge_i2i.errors import UsageError

_log = logging.getLogger(__name__)

_SUFFIX = ".engine"
_LARGEST_DESCRIPTION = 1 << 16  # bytes; a real one is below 2 KiB


@dataclass(frozen=True)
class EngineDescription:
    """What the file beside an engine says."""

    key: EngineKey
    plan_sha256: str


_DESCRIPTION = TypeAdapter(EngineDescription)


@dataclass(frozen=True)
class StoredEngine:
    """An engine on disk; its bytes were not read yet."""

    path: Path
    key: EngineKey
    plan_sha256: str

    def read(self) -> bytes | None:
        """The engine's bytes, or None (and a line in the log) where they are not those that were saved."""
        try:
            plan = self.path.read_bytes()
        except OSError as error:
            _log.warning("The stored engine %s cannot be read: %s.", self.path, error)
            return None
        if hashlib.sha256(plan).hexdigest() != self.plan_sha256:
            _log.warning("The stored engine %s is damaged: its checksum differs. It is not used.", self.path)
            return None
        return plan


class EngineStore:
    """A folder of engines. Several processes may use it at once: files appear whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, key: EngineKey) -> Path | None:
        """The engine of exactly this key, whole and undamaged; else None, with the reason in the log."""
        path = self.path_of(key)
        if not path.exists():
            return None
        stored = _stored(path)
        if stored is None or stored.key != key or stored.read() is None:
            return None
        return path

    def save(self, key: EngineKey, plan: bytes) -> Path:
        """Keep an engine; one of the same key is replaced.

        Raises:
            EdgeI2IError: the folder cannot be written, or the disk is full.
        """
        path = self.path_of(key)
        description = EngineDescription(key, hashlib.sha256(plan).hexdigest())
        # The engine first: until its description is there too, an interrupted save is a miss.
        write_atomically(path, plan)
        write_atomically(_description_path(path), _canonical(description))
        return path

    def engines_of(self, graph_sha256: str, runtime: str) -> tuple[StoredEngine, ...]:
        """Every described engine of one graph for one runtime, newest first."""
        engines = [engine for engine in self._described() if _is_of(engine.key, graph_sha256, runtime)]
        return tuple(sorted(engines, key=lambda engine: engine.path.stat().st_mtime_ns, reverse=True))

    def path_of(self, key: EngineKey) -> Path:
        """Where the engine of this key is, or would be."""
        parts = (key.graph, key.variant, key.runtime, key.version, key.digest()[:12])
        return self.folder / ("-".join(_file_name_part(part) for part in parts) + _SUFFIX)

    def timing_cache(self, key: EngineKey) -> Path:
        """Where the timings of this key's TensorRT version and device are kept."""
        device = hashlib.sha256(json.dumps(asdict(key)["device"], sort_keys=True).encode()).hexdigest()[:12]
        return self.folder / f"timing-{_file_name_part(key.runtime)}-{_file_name_part(key.version)}-{device}.cache"

    def _described(self) -> Iterator[StoredEngine]:
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            stored = _stored(path)
            if stored is not None:
                yield stored


def _is_of(key: EngineKey, graph_sha256: str, runtime: str) -> bool:
    return key.graph_sha256 == graph_sha256 and key.runtime == runtime


def _stored(path: Path) -> StoredEngine | None:
    try:
        with _description_path(path).open("rb") as file:
            description = _parse(file.read(_LARGEST_DESCRIPTION))
    except (OSError, ValueError, UsageError) as error:  # pydantic's ValidationError is a ValueError
        _log.warning("The stored engine %s is not used: its description is of no use (%s).", path, _one_line(error))
        return None
    return StoredEngine(path, description.key, description.plan_sha256)


def _parse(text: bytes) -> EngineDescription:
    fields = from_json(text)
    description = _DESCRIPTION.validate_python(fields)
    # Written by another version of this software, perhaps with fields that decide and that this one does not know.
    if from_json(_canonical(description)) != fields:
        raise ValueError("it has other fields than this version writes")
    return description


def _canonical(description: EngineDescription) -> bytes:
    return json.dumps(asdict(description), indent=1).encode()


def _one_line(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return str(error).partition("\n")[0]


def _description_path(path: Path) -> Path:
    return path.with_suffix(".json")


def _file_name_part(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._]+", "_", text)
