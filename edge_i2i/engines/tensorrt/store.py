"""Engines kept on disk: one file for each, and beside it a description of everything that it was built from.

An engine is program code for the GPU, and with ``version_compatible`` for the processor too. So only those are loaded
that this user built, or took over with ``accept``: see ``seal``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from edge_i2i.engines.tensorrt.files import write_durably
from edge_i2i.engines.tensorrt.key import EngineKey
from edge_i2i.engines.tensorrt.seal import is_ours, seal_of
from edge_i2i.errors import UsageError

_log = logging.getLogger(__name__)

_SUFFIX = ".engine"
_LARGEST_DESCRIPTION = 1 << 16  # bytes; a real one is below 2 KiB


@dataclass(frozen=True)
class EngineDescription:
    """What the file beside an engine says. ``seal``: that this user said so."""

    key: EngineKey
    plan_sha256: str
    seal: str = ""

    def message(self) -> bytes:
        """The bytes that the seal is computed over: the description without its seal."""
        return _canonical(replace(self, seal=""))

    def sealed(self) -> EngineDescription:
        """A copy of the description with this user's seal."""
        return replace(self, seal=seal_of(self.message()))


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
        write_durably(path, plan)
        write_durably(_description_path(path), _canonical(description.sealed()))
        return path

    def accept(self) -> tuple[Path, ...]:
        """Take over every whole engine that lies here, as if it had been built by this user here; gives their paths.

        Raises:
            EdgeI2IError: the folder cannot be written.
        """
        accepted = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            description = _described(path)
            if description is not None and _engine(path, description).read() is not None:
                write_durably(_description_path(path), _canonical(description.sealed()))
                accepted.append(path)
        return tuple(accepted)

    def engines_of(self, graph_sha256: str, runtime: str) -> tuple[StoredEngine, ...]:
        """Every described engine of one graph for one runtime, newest first."""
        engines = [engine for engine in self._stored() if _is_of(engine.key, graph_sha256, runtime)]
        return tuple(sorted(engines, key=lambda engine: engine.path.stat().st_mtime_ns, reverse=True))

    def path_of(self, key: EngineKey) -> Path:
        """Where the engine of this key is, or would be."""
        parts = (key.graph, key.variant, key.runtime, key.version, key.digest()[:12])
        return self.folder / ("-".join(_file_name_part(part) for part in parts) + _SUFFIX)

    def timing_cache(self, key: EngineKey) -> Path:
        """Where the timings of this key's TensorRT version and device are kept."""
        device = hashlib.sha256(json.dumps(asdict(key)["device"], sort_keys=True).encode()).hexdigest()[:12]
        return self.folder / f"timing-{_file_name_part(key.runtime)}-{_file_name_part(key.version)}-{device}.cache"

    def _stored(self) -> Iterator[StoredEngine]:
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            stored = _stored(path)
            if stored is not None:
                yield stored


def _is_of(key: EngineKey, graph_sha256: str, runtime: str) -> bool:
    return key.graph_sha256 == graph_sha256 and key.runtime == runtime


def _stored(path: Path) -> StoredEngine | None:
    description = _described(path)
    if description is None:
        return None
    if not is_ours(description.message(), description.seal):
        _log.warning(
            "The stored engine %s is not used: it was not built by you on this machine, and engines are programs. "
            "If it is yours: edge-i2i export trt --bundle BUNDLE --accept-engines",
            path,
        )
        return None
    return _engine(path, description)


def _engine(path: Path, description: EngineDescription) -> StoredEngine:
    return StoredEngine(path, description.key, description.plan_sha256)


def _described(path: Path) -> EngineDescription | None:
    try:
        with _description_path(path).open("rb") as file:
            return _parse(file.read(_LARGEST_DESCRIPTION))
    except (OSError, ValueError, UsageError) as error:  # pydantic's ValidationError is a ValueError
        _log.warning("The stored engine %s is not used: its description is of no use (%s).", path, _one_line(error))
        return None


def _parse(text: bytes) -> EngineDescription:
    fields = from_json(text)
    description = _DESCRIPTION.validate_python(fields)
    # Written by another version of this software, perhaps with fields that decide and that this one does not know.
    if from_json(_canonical(description)) != {"seal": "", **fields}:  # earlier versions wrote no seal
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
