"""A window of OpenCV without a screen."""

from __future__ import annotations

from edge_i2i.arrays import Picture
from edge_i2i.errors import EdgeI2IError

GUI_BUILD = "\nGeneral configuration for OpenCV\n  GUI:                           QT5\n    QT: YES\n\n  Media I/O:\n"


class FakeGui:
    """A window without a screen: keys are pressed and it is closed by the test."""

    def __init__(self) -> None:
        self.shown: list[Picture] = []
        self.keys: list[int] = []
        self.closed_by_user = False
        self.closed = 0
        self.broken = False

    def show(self, picture: Picture) -> None:
        if self.broken:
            raise EdgeI2IError("The window cannot be shown: no.")
        self.shown.append(picture)

    def poll(self) -> int:
        return self.keys.pop(0) if self.keys else -1

    def is_open(self) -> bool:
        return not self.closed_by_user

    def close(self) -> None:
        self.closed += 1
