"""What a monitor shows (the extra ``screen``)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock
from edge_i2i.contract import Size
from edge_i2i.errors import MissingRequirementError, UsageError
from edge_i2i.requirements import require
from edge_i2i.sources.pace import Pace
from edge_i2i.sources.pixels import to_rgb
from edge_i2i.sources.source import Captured, Source, SourceInfo, SourceLostError, SourceSpec
from edge_i2i.sources.uri import SourceRequest

if TYPE_CHECKING:
    from mss.base import MSS

DEFAULT_FPS = 30.0


class ScreenSource(Source):
    """What a monitor shows.

    Args:
        monitor: its number from 1, or 0 for all of them in one picture.
        clock: what the pace is kept by.
        fps: frames a second; None: 30.
    """

    live = True

    def __init__(self, monitor: int = 1, *, clock: Clock, fps: float | None = None) -> None:
        self._monitor, self._fps = monitor, fps or DEFAULT_FPS
        self._pace = Pace(clock)
        self._screen: MSS | None = None
        self._index = 0

    def open(self) -> SourceInfo:
        """Connect to the display and look up the monitor.

        Raises:
            MissingRequirementError: there is no display, or ``mss`` is not installed.
            UsageError: there is no such monitor.
        """
        mss = require("mss", extra="screen", purpose="Capturing the screen")
        try:
            self._screen = screen = mss.MSS()
            monitors = screen.monitors
        except mss.ScreenShotError as error:
            raise MissingRequirementError(
                f"There is no display whose picture could be taken: {error}.",
                remedy="Run it in a desktop session (on Linux under X11; a Wayland session shows its windows to no "
                "other program), or set DISPLAY. On macOS, allow screen recording in the privacy settings.",
            ) from error
        if self._monitor >= len(monitors):
            raise UsageError(
                f"There is no monitor {self._monitor}.",
                remedy=f"Here are 1 to {len(monitors) - 1}; 0 is all of them.",
            )
        return SourceInfo(f"monitor {self._monitor}", Size(*self._grab(screen).shape[:2]), self._fps)

    def read(self) -> Captured:
        """What it shows next. ``t_source``: seconds from the first."""
        if self._screen is None:
            raise SourceLostError("The screen is not open.")
        moment = self._index / self._fps
        self._index += 1
        self._pace.wait_until(moment)
        return Captured(self._grab(self._screen), moment)

    def close(self) -> None:
        """Let go of the display."""
        if self._screen is not None:
            self._screen.close()

    def _grab(self, screen: MSS) -> Picture:
        import mss

        try:
            shot = screen.grab(screen.monitors[self._monitor])
        except (mss.ScreenShotError, IndexError) as error:
            raise SourceLostError(
                f"Monitor {self._monitor} gives no picture: {error}.", remedy="Was it switched off or locked?"
            ) from error
        return to_rgb(np.frombuffer(shot.raw, np.uint8).reshape(shot.height, shot.width, 4))


def screen_spec(request: SourceRequest) -> SourceSpec:
    """The source that ``screen:`` names, or ``screen:N`` for one of several monitors."""
    if not re.fullmatch(r"[0-9]{0,3}", request.rest):
        raise UsageError(f"'{request.text}' names no monitor.", remedy="Give its number: screen:1.")
    monitor = int(request.rest or 1)
    return request.spec(lambda: ScreenSource(monitor, clock=request.clock, fps=request.fps), live=True)
