"""Why a frame was not translated, or a result not shown: every loss has a cause, and is counted."""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class DropCause(StrEnum):
    """Causes, as counted in ``stats()`` and ``--json``. ``meaning``: the same for people."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Self:
        """A member is its text, as it is counted; the meaning stands beside it."""
        member = str.__new__(cls, value)
        member._value_, member.meaning = value, meaning
        return member

    NEWER_FRAME = (
        "newer-frame",
        "a newer one came before the network was free: the normal case with a slow network",
    )
    TOO_OLD = "too-old", "it waited longer than `--max-age`"
    PACED = "paced", "more came than `--fps` asks for"
    LOADING = "loading", "it was passed through, because no network was ready"
    MODEL_FAILED = "model-failed", "the network raised, or gave no picture; ten in a row end the session"
    ABANDONED = "abandoned", "a driver that had been given up delivered it at last"
    PAUSED = "paused", "the session was paused"
    STOPPED = "stopped", "it was on its way when the session stopped"
    SLOW_SINK = "slow-sink", "a sink had not finished with the result before; counted at that sink"
    SINK_FAILED = "sink-failed", "a sink raised; counted at that sink"
