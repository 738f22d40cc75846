"""A virtual camera that keeps what it is sent, as a back end for pyvirtualcam's registry."""

from __future__ import annotations

from typing import Any, ClassVar

from edge_i2i.arrays import Picture


class Camera:
    """What pyvirtualcam's back ends look like."""

    opened: ClassVar[list[Camera]] = []

    def __init__(self, *, width: int, height: int, fps: float, fourcc: int, device: str | None, **_: Any) -> None:
        if device == "/dev/none":
            raise RuntimeError("no such device")
        self.shape, self.fourcc, self._device = (height, width, 3), fourcc, device or "/dev/video42"
        self.sent: list[Picture] = []
        self.closed = 0
        self.gone = False
        self.opened.append(self)

    def send(self, frame: Picture) -> None:
        if self.gone:
            raise RuntimeError("the device is gone")
        self.sent.append(frame.reshape(self.shape).copy())

    def close(self) -> None:
        self.closed += 1

    def device(self) -> str:
        return self._device

    def native_fourcc(self) -> None:
        return None
