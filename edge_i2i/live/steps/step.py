"""What the optional steps of the picture path have in common: each wraps a process and is one itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from edge_i2i.clock import Clock, SystemClock
from edge_i2i.live.frame import Frame
from edge_i2i.live.model.process import Process, Processed


class Decorator(ABC):
    """A process around another, which does the translating. Closing it closes that one."""

    def __init__(self, inner: Process, clock: Clock | None = None) -> None:
        self._inner = inner
        self._clock = clock or SystemClock()

    @property
    def engine(self) -> str:
        """The inner process's engine."""
        return self._inner.engine

    @property
    def effective_precision(self) -> str:
        """The precision at which the inner process really runs."""
        return self._inner.effective_precision

    @abstractmethod
    def __call__(self, frame: Frame) -> Processed:
        """See ``Process.__call__``."""

    def condition(self, **inputs: Any) -> None:
        """Hand a look to the inner process."""
        self._inner.condition(**inputs)

    def close(self) -> None:
        """Close the inner process."""
        self._inner.close()


def with_seconds(done: Processed, seconds: Mapping[str, float]) -> Processed:
    """A copy of ``done`` with further ``seconds`` by stage added to its own.

    >>> import numpy as np
    >>> done = Processed(np.zeros((1, 1, 3), np.uint8), seconds={"model": 2.0, "finish": 1.0})
    >>> with_seconds(done, {"finish": 0.5}).seconds
    {'model': 2.0, 'finish': 1.5}
    """
    total = Counter(done.seconds)
    total.update(seconds)
    return replace(done, seconds=dict(total))
