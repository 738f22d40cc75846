"""What people are shown of a result: compared with its frame, mirrored, with figures over it.

Settings may be changed by any thread (keys in a window, a web page) while sinks' threads compose.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Any

from edge_i2i.arrays import Picture
from edge_i2i.clock import Clock, SystemClock
from edge_i2i.contract import Size
from edge_i2i.live.figures.events import Event, EventKind
from edge_i2i.live.figures.stats import StatsSnapshot
from edge_i2i.live.frame import Origin, Result
from edge_i2i.live.outlets.compare import Comparison, blend, check_share, side_by_side, split
from edge_i2i.live.outlets.hud import draw_hud, hud_lines
from edge_i2i.live.steps.flip import Flip, flipped
from edge_i2i.media.geometry import Fit, place


@dataclass(frozen=True)
class ViewSettings:
    """How results are shown.

    ``position``: of the split line, from 0 (left) to 1. ``share``: of the translation in a blend. ``flip``: mirrors
    what is shown and recorded, frame and translation alike, and not what the network sees (that is
    ``PicturePathOptions.flip``); writing over it is not mirrored. ``hud``: only where people look at it now.

    Raises:
        UsageError: a position or share is not within 0..1.
    """

    compare: Comparison = Comparison.NONE
    position: float = 0.5
    share: float = 0.5
    flip: Flip = Flip.NONE
    hud: bool = False

    def __post_init__(self) -> None:
        check_share("position", self.position)
        check_share("share", self.share)


@dataclass(frozen=True)
class _State:
    """What is wrong or under way. ``lost``: since when there is no signal, in seconds of the clock."""

    loading: str = ""
    lost: float | None = None

    def text(self, now: float) -> str:
        lost = "" if self.lost is None else f"signal lost for {max(0.0, now - self.lost):.0f} s"
        loading = f"loading: {self.loading}" if self.loading else ""
        return ", ".join(part for part in (lost, loading) if part)


class View:
    """Composes what sinks are given. Thread-safe.

    Args:
        settings: how results are shown at first; None: the defaults, which is the result alone.
        fit: how frames are laid into the network's size; of a ``crop``, the frame is shown cropped as well, so that the
            two show the same.
        clock: tells for how long the signal is lost; None: the machine's own.
    """

    def __init__(
        self, settings: ViewSettings | None = None, *, fit: Fit = Fit.LETTERBOX, clock: Clock | None = None
    ) -> None:
        self._settings, self._state = settings or ViewSettings(), _State()
        self._fit, self._clock = fit, clock or SystemClock()
        self._lock = threading.Lock()  # held for an assignment; nobody waits under it

    @property
    def settings(self) -> ViewSettings:
        """The present settings."""
        return self._settings

    def change(self, **settings: Any) -> ViewSettings:
        """Set some of ``ViewSettings`` by name; the rest stays. Returns what holds from now on.

        Raises:
            UsageError: a value is out of range; nothing is changed.
        """
        with self._lock:
            self._settings = replace(self._settings, **settings)
            return self._settings

    def next_comparison(self) -> Comparison:
        """Go on to the next kind of comparison, around in a circle; returns it."""
        kinds = list(Comparison)
        with self._lock:
            kind = kinds[(kinds.index(self._settings.compare) + 1) % len(kinds)]
            self._settings = replace(self._settings, compare=kind)
            return kind

    def notice(self, event: Event) -> None:
        """Take note of what the HUD tells people: that a network is loading, that the signal is lost."""
        with self._lock:
            self._state = _after(self._state, event)

    def compose(self, result: Result, snapshot: StatsSnapshot, *, for_display: bool) -> Picture:
        """What to show of a result: RGB uint8, not to be written to (it may be the result's own picture).

        A picture that was passed through is not compared with itself, and says what it waits for, also without the HUD.

        Args:
            result: what to show.
            snapshot: the session's figures, for the HUD.
            for_display: whether people look at it now; only then are figures drawn.
        """
        settings, state = self._settings, self._state
        waiting = result.origin is Origin.PASSED_THROUGH
        picture = flipped(result.image, settings.flip) if waiting else self._compared(result, settings)
        if not for_display or not (settings.hud or waiting):
            return picture
        text = state.text(self._clock.now()) or ("loading" if waiting else "")
        return draw_hud(picture, hud_lines(snapshot, text) if settings.hud else [text])

    def _compared(self, result: Result, settings: ViewSettings) -> Picture:
        after = flipped(result.image, settings.flip)
        if settings.compare is Comparison.NONE:
            return after
        before = flipped(self._seen(result), settings.flip)
        if settings.compare is Comparison.SIDE:
            return side_by_side(before, after)
        if settings.compare is Comparison.SPLIT:
            return split(before, after, settings.position)
        return blend(before, after, settings.share)

    def _seen(self, result: Result) -> Picture:
        """The part of the frame that the result shows."""
        frame = result.frame.image
        placement = place(Size(*frame.shape[:2]), Size(*result.image.shape[:2]), self._fit)
        return placement.taken.of(frame)


def _after(state: _State, event: Event) -> _State:
    if event.kind is EventKind.LOADING:
        return replace(state, loading=event.message)
    if event.kind in (EventKind.LOADED, EventKind.SWAPPED, EventKind.MODEL_FAILED):
        return replace(state, loading="")
    if event.kind is EventKind.SOURCE_LOST:
        return replace(state, lost=event.time if state.lost is None else state.lost)
    if event.kind is EventKind.RECOVERED:
        return replace(state, lost=None)
    return state
