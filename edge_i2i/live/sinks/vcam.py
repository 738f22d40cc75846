"""A virtual camera, for video calls and streaming programs, with pyvirtualcam (the extra ``vcam``).

pyvirtualcam is under the GPL 2: it is an optional extra, and imported here only, when this sink is made.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, MissingRequirementError
from edge_i2i.live.frame import Origin, Result
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.media.geometry import Fit, place, place_into
from edge_i2i.requirements import require

NOMINAL_FPS = 30.0
"""What the camera announces; frames are sent as they come."""

_DRIVERS = {
    "linux": "Load its driver: sudo apt install v4l2loopback-dkms && sudo modprobe v4l2loopback exclusive_caps=1",
    "darwin": "Install OBS (30 or newer), start its virtual camera once, and quit it.",
    "win32": "Install OBS (26 or newer), start its virtual camera once, and quit it.",
}


class VirtualCameraSink(Sink):
    """Sends results to a virtual camera.

    Its size is fixed when it is opened, for programs that watch a camera do not expect another one: even sides, as
    4:2:0 needs them. Pictures of another size are scaled into it, between black bars. What is passed through while the
    network loads is not sent: who hides behind a translation must not be seen without it.

    Args:
        device: ``/dev/video7`` (Linux) or the camera's name; None: the first one that is free.
        backend: a back end by pyvirtualcam's name; None: every one of this system.

    Raises:
        MissingRequirementError: pyvirtualcam is not installed.
    """

    name: ClassVar[str] = "vcam"

    def __init__(self, device: str | None = None, *, backend: str | None = None) -> None:
        self._library = require("pyvirtualcam", extra="vcam", purpose="The sink 'vcam'")
        self._device, self._backend = device, backend
        self._camera: Any = None  # pyvirtualcam.Camera; the package has no types
        self._canvas: Picture = np.zeros((0, 0, 3), np.uint8)
        self.notes: tuple[str, ...] = ()

    @property
    def place(self) -> Path | None:
        """The path of the camera's device, where one was named by its path."""
        return Path(self._device) if self._device and self._device.startswith("/") else None

    def open(self, size: Size) -> None:
        """Start the camera.

        Raises:
            MissingRequirementError: there is no such camera; says how to get one.
        """
        pyvirtualcam = self._library
        height, width = size.height + size.height % 2, size.width + size.width % 2
        try:
            self._camera = pyvirtualcam.Camera(
                width, height, NOMINAL_FPS, fmt=pyvirtualcam.PixelFormat.RGB, device=self._device, backend=self._backend
            )
        except RuntimeError as error:
            named = f"'{self._device}' " if self._device else ""
            raise MissingRequirementError(
                f"The virtual camera {named}cannot be opened: {error}.",
                remedy=_DRIVERS.get(sys.platform, "pyvirtualcam knows no virtual camera for this system."),
            ) from error
        self._canvas = np.zeros((height, width, 3), np.uint8)
        self.notes = (f"The virtual camera is {self._camera.device}",)

    def write(self, picture: Picture, result: Result) -> None:
        """Send the picture to the camera.

        Raises:
            EdgeI2IError: the camera is gone.
        """
        if self._camera is None or result.origin is Origin.PASSED_THROUGH:
            return
        _lay_into(picture, self._canvas)
        try:
            self._camera.send(self._canvas)
        except (RuntimeError, OSError) as error:
            raise EdgeI2IError(
                f"The virtual camera '{self._camera.device}' takes no more pictures: {error}.",
                remedy="Was its driver unloaded? Start again.",
            ) from error

    def close(self) -> None:
        """Let go of the camera."""
        camera, self._camera = self._camera, None
        if camera is not None:
            camera.close()


def _lay_into(picture: Picture, canvas: Picture) -> None:
    """Scale ``picture`` evenly into the middle of ``canvas``; what is left over is black."""
    size, outer = Size(*picture.shape[:2]), Size(*canvas.shape[:2])
    held = place(size, outer, Fit.LETTERBOX).held
    if held.size != outer:
        canvas[:] = 0
    scaled = np.empty((held.size.height, held.size.width, 3), np.uint8)
    place_into(picture, place(size, held.size, Fit.STRETCH), scaled)
    held.of(canvas)[:] = scaled
