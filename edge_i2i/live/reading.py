"""One opening of a source, read in a thread of its own that can be given up when it hangs."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edge_i2i.live.clock import Clock
from edge_i2i.live.frame import Captured
from edge_i2i.live.source import Source, SourceInfo, SourceLostError, SourceSpec
from edge_i2i.live.watchdog import Patience, Watchdog


class ReadingListener(Protocol):
    """Told by the reading's thread what happens. Both return whether to go on: not if the reading was given up."""

    def opened(self, reading: Reading, info: SourceInfo) -> bool:
        """It can be read."""
        ...

    def arrived(self, reading: Reading, captured: Captured) -> bool:
        """It gave a picture."""
        ...

    def over(self, reading: Reading) -> None:
        """It has ended, or failed with ``reading.error``, and the source is closed."""
        ...


class Reading:
    """Opens a source, hands over its pictures until there are no more, and closes it.

    What it knows about time is guarded by its listener, which decides when the reading is stuck.
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
        """When it has to be taken for stuck, unless something happens before; None: not while a frame is taken over."""
        if self.watchdog is None:
            return self._opening_until
        return None if self._delivering else self.watchdog.deadline

    @property
    def stuck_because(self) -> str:
        """What it failed to do in time."""
        if self.watchdog is None:
            return f"it did not open within {self._patience.opening:g} s"
        return f"no new picture came for {self.watchdog.limit:.2g} s"

    def begin_watch(self, now: float) -> None:
        """It is open."""
        self.watchdog = Watchdog(self._patience, now, self._stalls)

    def excuse(self, now: float) -> None:
        """It is not to blame for what did not happen until now."""
        self._opening_until = now + self._patience.opening
        if self.watchdog is not None:
            self.watchdog.reads_again(now)

    def begin_delivery(self, now: float) -> None:
        """A new picture came; until it is taken over, which may take long, the source is not to blame."""
        if self.watchdog is not None:
            self.watchdog.new_frame(now)
        self._delivering = True

    def end_delivery(self, now: float) -> None:
        """It was taken over; now the source is waited for."""
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
