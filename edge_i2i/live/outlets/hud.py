"""Figures over a picture: what the session does now, in a few small lines that can be read on any background."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.live.figures.stats import Quantiles, StatsSnapshot

TEXT_HEIGHT = 1 / 48
"""Of the picture's height, for one line: small, for it hides the picture."""

LEAST_PIXELS, MOST_PIXELS = 9, 32
"""Smaller cannot be read, larger hides too much."""

MOST_COVERED = 1 / 3
"""Of the picture's height: lines that do not fit are left out, the last ones first."""

_PIXELS = 22  # height of capitals in OpenCV's simplex font at scale 1
_SPACING = 1.6  # of the capitals' height
_HALO = 3  # pixels at scale 1
_FONT = 0  # FONT_HERSHEY_SIMPLEX


def hud_lines(snapshot: StatsSnapshot, state: str = "") -> list[str]:
    """What the HUD says, the most important first. ``state``: what is wrong or under way, if anything."""
    lines = [state.upper()] if state else []
    fps = snapshot.current_fps or snapshot.fps
    age = snapshot.current_age_ms if snapshot.current_age_ms.count else snapshot.age_ms
    lines.append(f"{fps:.1f} fps   age {_milliseconds(age)}")
    if snapshot.engine:
        lines.append(f"{snapshot.engine}   {snapshot.effective_precision}")
    dropped = "   ".join(f"{cause.value} {count}" for cause, count in snapshot.dropped.items() if count)
    if dropped:
        lines.append(f"dropped: {dropped}")
    extra = {"reused": snapshot.reused, "recovered": snapshot.recoveries}
    counted = "   ".join(f"{name} {count}" for name, count in extra.items() if count)
    return [*lines, counted] if counted else lines


def _milliseconds(age: Quantiles) -> str:
    return f"p50 {age.p50:.0f} p99 {age.p99:.0f} ms" if age.count else "-"


def draw_hud(picture: Picture, lines: Sequence[str]) -> Picture:
    """A copy of the picture with the lines in its upper left corner, white with a black halo.

    They scale with the picture, and narrow where the longest would not fit; none are drawn where they could not be
    read. Characters beyond ASCII are drawn as question marks.
    """
    copy = picture.copy()
    if lines:
        _draw(copy, lines)
    return copy


def _draw(picture: Picture, lines: Sequence[str]) -> None:
    height, width = picture.shape[:2]
    capitals = min(max(height * TEXT_HEIGHT, LEAST_PIXELS), MOST_PIXELS)
    margin = max(2, round(capitals / 2))
    texts = [line.encode("ascii", "replace").decode() for line in lines]
    scale = capitals / _PIXELS
    scale *= min(1.0, (width - 2 * margin) / max(1, _width(texts, scale)))
    step = max(1, round(scale * _PIXELS * _SPACING))
    shown = texts[: int(height * MOST_COVERED) // step]
    if scale > 0 and shown:
        box = picture[: 2 * margin + step * len(shown), : 2 * margin + _width(shown, scale)]
        _write(box, shown, margin, step, scale)


def _width(lines: Sequence[str], scale: float) -> int:
    import cv2

    return max(int(cv2.getTextSize(line, _FONT, scale, _stroke(scale))[0][0]) for line in lines)


def _stroke(scale: float) -> int:
    return max(1, round(2 * scale))


def _write(box: Picture, lines: Sequence[str], margin: int, step: int, scale: float) -> None:
    """White letters, and around them the same letters grown, in black.

    Not the letters in a thicker stroke: OpenCV's heavier letters are wider, and would run away from under them.
    """
    import cv2

    letters = np.zeros(box.shape[:2], np.uint8)
    for number, text in enumerate(lines, 1):
        at = (margin, margin + step * number - step // 3)
        cv2.putText(letters, text, at, _FONT, scale, (255, 255, 255), _stroke(scale), cv2.LINE_AA)
    width = 2 * max(1, round(_HALO * scale)) + 1
    halo = cv2.dilate(letters, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width)))
    darkened = cv2.multiply(box, cv2.merge([255 - halo] * 3), scale=1 / 255)
    box[:] = cv2.add(darkened, cv2.merge([letters] * 3))
