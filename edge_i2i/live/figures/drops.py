"""Why a frame was not translated, or a result not shown: every loss has a cause, and is counted."""

from __future__ import annotations

from enum import StrEnum


class DropCause(StrEnum):
    """Causes, as counted in ``stats()`` and ``--json``."""

    NEWER_FRAME = "newer-frame"  # a newer one came before the model was free
    TOO_OLD = "too-old"  # it waited longer than max_age_ms
    PACED = "paced"  # more frames came than the fps that were asked for
    LOADING = "loading"  # it was passed through, because no network was ready
    MODEL_FAILED = "model-failed"  # the model raised, or gave no picture
    ABANDONED = "abandoned"  # a capture that had been given up still delivered it
    PAUSED = "paused"  # the session was paused
    STOPPED = "stopped"  # it was on its way when the session stopped
    SLOW_SINK = "slow-sink"  # a sink had not finished with the result before
    SINK_FAILED = "sink-failed"  # a sink raised
