"""One opening of a source, read in a thread of its own that can be given up when it hangs."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edge_i2i.clock import Clock
from edge_i2i.live.capture.watchdog import Patience, Watchdog
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec


class ReadingListener(Protocol):
    """Told by the reading's thread what happens.

    ``opened`` and ``arrived`` return whether to go on: False where the reading was given up.
    """

    def opened(self, reading: Reading, info: SourceInfo) -> bool:
        """The source is open, and says ``info`` about itself."""
        ...

    def arrived(self, reading: Reading, captured: Captured) -> bool:
        """The source gave a picture."""
        ...

    def over(self, reading: Reading) -> None:
        """The source has ended, or failed with ``reading.error``, and is closed."""
        ...


class Reading:
    """Opens a source, hands over its pictures until there are no more, and closes it. It begins when it is made.

    What it knows about time is guarded by its listener, which decides when the reading is stuck.

    Args:
        clock: starts its thread, and measures the time until it is stuck.
        spec: makes the source.
        listener: told what happens, by the reading's thread.
        patience: how long the source may take.
        stalls: how many openings before this one stalled after a few frames (see ``Watchdog``).
    """

    def __init__(
        self, clock: Clock, spec: SourceSpec, listener: ReadingListener, patience: Patience, stalls: int = 0
    ) -> None:
        self._clock, self._spec, self._listener = clock, spec, listener
        self._patience, self._stalls = patience, stalls
        self._opening_until = clock.now() + patience.opening
        self.repeats_mean_stall = False
        self._delivering = False
        self.watchdog: Watchdog | None = None  # from the moment that the source is open
        self.error: Exception | None = None
        self.has_ended = False
        self.task = clock.spawn(self._run, "edge-i2i source")

    @property
    def deadline(self) -> float | None:
        """When the reading counts as stuck, in seconds of the clock; None: not while a frame is being delivered."""
        if self.watchdog is None:
            return self._opening_until
        return None if self._delivering else self.watchdog.deadline

    @property
    def stuck_because(self) -> str:
        """What the source failed to do in time, as a part of a sentence."""
        if self.watchdog is None:
            return f"it did not open within {self._patience.opening:g} s"
        return f"no new picture came for {self.watchdog.limit:.2g} s"

    def begin_watch(self, now: float) -> None:
        """The source is open since ``now``: from here on, new pictures are waited for."""
        self.watchdog = Watchdog(self._patience, now, self._stalls)

    def excuse(self, now: float) -> None:
        """Begin to wait anew at ``now``: what did not happen before is not the source's fault."""
        self._opening_until = now + self._patience.opening
        if self.watchdog is not None:
            self.watchdog.reads_again(now)

    def begin_delivery(self, now: float) -> None:
        """A new picture came at ``now``. Until it is delivered, which may take long, the source cannot be stuck."""
        if self.watchdog is not None:
            self.watchdog.new_frame(now)
        self._delivering = True

    def end_delivery(self, now: float) -> None:
        """The picture was delivered at ``now``; from here on, the next one is waited for."""
        self.excuse(now)
        self._delivering = False

    def _run(self) -> None:
        try:
            self._play(self._spec.make())
        except Exception as error:  # noqa: BLE001 (drivers raise anything)
            self.error = error
        self._listener.over(self)

    def _play(self, source: Source) -> None:
        try:
            info = source.open()
            self.repeats_mean_stall = source.repeats_mean_stall
            going_on = self._listener.opened(self, info)
            while going_on and (captured := source.read()) is not None:
                _refuse_no_picture(captured)
                going_on = self._listener.arrived(self, captured)
        finally:
            source.close()


def _refuse_no_picture(captured: Captured) -> None:
    image = captured.image
    if not (isinstance(image, np.ndarray) and image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3):
        found = f"{image.dtype} {list(image.shape)}" if isinstance(image, np.ndarray) else type(image).__name__
        raise SourceLostError(
            f"The source gave {found} instead of an RGB picture: its pixel format changed.",
            remedy="Set the source to one pixel format.",
        )
