"""Events of a session in a log: as JSON lines in a file, or through the standard ``logging``.

User names, passwords and tokens of addresses never appear, whatever a driver puts into its messages.
"""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edge_i2i.errors import OutputError
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.sources.addresses import without_credentials

_log = logging.getLogger(__name__)

DEFAULT_LIMIT = 10 * 1024 * 1024
"""Bytes of a log file, at which it becomes ``NAME.1`` and a new one begins."""

_TROUBLE = frozenset(
    {EventKind.SOURCE_LOST, EventKind.RETRYING, EventKind.MODEL_FAILED, EventKind.STALLED, EventKind.SINK_FAILED}
)
_STEPS = frozenset({EventKind.LOADING})  # many of them


class JsonLinesLog:
    """Appends a line of JSON for each event: ``time`` (seconds of the session's clock), ``kind``, ``message``, details.

    Is an ``OnEvent``. The file is opened for each event, so that nothing is lost in a crash and others may move it
    away. Where it grows beyond ``limit`` bytes it becomes ``NAME.1``, in place of the one before: two files at most.
    A full disk ends no session: the first event that cannot be written is a warning of ``logging``.

    Raises:
        OutputError: the file cannot be written to.
    """

    def __init__(self, path: Path, limit: int = DEFAULT_LIMIT) -> None:
        self._path, self._limit, self._lock = path, limit, threading.Lock()
        self._failed = False
        try:
            self._append("")
        except OSError as error:
            raise OutputError(f"{path} cannot be written: {error.strerror}.", remedy="Name another file.") from error

    def __call__(self, event: Event) -> None:
        """Append an event to the file."""
        line = json.dumps(_as_json(event), ensure_ascii=False, allow_nan=False) + "\n"
        with self._lock:
            try:
                self._append(line)
            except OSError as error:
                if not self._failed:
                    _log.warning("events are lost: %s cannot be written: %s", self._path, error.strerror)
                self._failed = True

    def _append(self, line: str) -> None:
        if self._is_full(len(line.encode())):
            self._path.replace(self._path.with_name(f"{self._path.name}.1"))
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)

    def _is_full(self, more: int) -> bool:
        return self._path.exists() and self._path.stat().st_size + more > self._limit


class LoggingLog:
    """Passes events on to ``logging`` as ``edge_i2i.live``; is an ``OnEvent``. Installs no handlers.

    Losses are warnings, steps of loading are for debugging, the rest is information. The record carries the event as
    ``record.event``, without credentials.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger("edge_i2i.live")

    def __call__(self, event: Event) -> None:
        """Pass an event on to ``logging``."""
        fields = _as_json(event)
        details = " ".join(f"{name}={value}" for name, value in fields["details"].items())
        text = f"{event.kind}: {fields['message']}" + (f" ({details})" if details else "")
        self._logger.log(_level(event.kind), "%s", text, extra={"event": fields})


def _level(kind: EventKind) -> int:
    if kind in _TROUBLE:
        return logging.WARNING
    return logging.DEBUG if kind in _STEPS else logging.INFO


def _as_json(event: Event) -> dict[str, Any]:
    return {
        "time": round(event.time, 6),
        "kind": event.kind.value,
        "message": without_credentials(event.message),
        "details": _safe(event.details),
    }


def _safe(value: Any) -> Any:
    """The value without credentials, in every text inside, in types that JSON has."""
    if isinstance(value, Mapping):
        return {str(name): _safe(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_safe(item) for item in value]
    if value is None or isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    return without_credentials(str(value))
