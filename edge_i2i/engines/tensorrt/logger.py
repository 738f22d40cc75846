"""TensorRT's messages: sent on to Python's logging, and kept where they explain an error or change a number."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

_log = logging.getLogger(__name__)

# Parser messages after which the engine computes something else than the graph says. Wordings: TensorRT 10.x
# ("doesn't support ... UINT8 zero_point. TensorRT will use INT8 instead"), TensorRT-RTX 1.7 and 11.x ("only on DLA ...
# Defaulting to INT8 instead"), and weights that did not fit the type they were cast to ("... was clamped").
_CHANGED_ARITHMETIC = (
    re.compile(r"zero_?point.*\bINT8 instead", re.DOTALL),
    re.compile(r"weights outside the range of \w+ was clamped"),
)
_KEPT = 200  # messages; a broken build can repeat one thousands of times


class Severity(IntEnum):
    """TensorRT's severities, with its numbers."""

    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2
    INFO = 3
    VERBOSE = 4


# Errors go to the debug log only: each is raised as an exception that quotes it, and need not be said twice.
_LEVELS: dict[int, int] = {
    Severity.INTERNAL_ERROR: logging.DEBUG,
    Severity.ERROR: logging.DEBUG,
    Severity.WARNING: logging.WARNING,
    Severity.INFO: logging.DEBUG,
    Severity.VERBOSE: logging.NOTSET + 5,
}


class MessageLog:
    """The errors and the telling warnings of one build or session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._errors: list[str] = []
        self._changes: list[str] = []

    def add(self, severity: int, message: str) -> None:
        """Keep one of TensorRT's messages if it is an error, or a warning of changed arithmetic."""
        if severity > Severity.WARNING:
            return
        with self._lock:
            if severity <= Severity.ERROR:
                _keep(self._errors, message)
            elif any(pattern.search(message) for pattern in _CHANGED_ARITHMETIC):
                _keep(self._changes, message)

    @property
    def changed_arithmetic(self) -> tuple[str, ...]:
        """The warnings so far that mean other numbers than the graph says, one for each place."""
        with self._lock:
            return tuple(self._changes)

    def take_errors(self) -> str:
        """The error messages since the last call, in one line each."""
        with self._lock:
            text = "\n  ".join(dict.fromkeys(self._errors))
            self._errors.clear()
        return text or "TensorRT gave no reason"


class MessageHub:
    """Sends each message on to every log that is attached.

    TensorRT keeps the first logger of a process for itself and warns about every other one, so there is one logger
    for each product, and builds and sessions attach their logs to it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._logs: list[MessageLog] = []

    def attach(self, log: MessageLog) -> None:
        """Let a log hear all messages from now on."""
        with self._lock:
            self._logs.append(log)

    def detach(self, log: MessageLog) -> None:
        """Let a log hear no more messages; harmless where it is not attached."""
        with self._lock:
            self._logs = [other for other in self._logs if other is not log]

    @contextmanager
    def attached(self, log: MessageLog) -> Iterator[MessageLog]:
        """Attach a log for the length of a block."""
        self.attach(log)
        try:
            yield log
        finally:
            self.detach(log)

    def add(self, severity: int, message: str) -> None:
        """Take one message of TensorRT's; called from several threads."""
        _log.log(_LEVELS.get(severity, logging.DEBUG), "%s", message)
        with self._lock:
            logs = tuple(self._logs)
        for log in logs:
            log.add(severity, message)


def _keep(messages: list[str], message: str) -> None:
    if len(messages) < _KEPT:
        messages.append(message)
