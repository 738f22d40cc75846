"""What a person starts while a session runs: a recording that is switched on and off, and snapshots."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.errors import UsageError
from edge_i2i.live.frame import Origin, Result
from edge_i2i.live.sinks.file import FileSink
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.media.pictures import write_picture


def numbered(folder: Path, stem: str, suffix: str) -> Path:
    """A path in ``folder`` that is not taken: ``stem``, date and time, ``suffix``: ``snapshot-20261121-094500.png``."""
    time = f"{datetime.now():%Y%m%d-%H%M%S}"
    path, number = folder / f"{stem}-{time}{suffix}", 2
    while path.exists():
        path, number = folder / f"{stem}-{time}-{number}{suffix}", number + 1
    return path


class SwitchedRecording(Sink):
    """Records while it is switched on, each time into a file of its own in ``folder``.

    ``finished``: the files that are complete.
    """

    name: ClassVar[str] = "recording"
    wants_every: ClassVar[bool] = True
    on_request: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()  # keys come from another thread than results
        self._file: FileSink | None = None
        self.finished: list[Path] = []

    @property
    def is_on(self) -> bool:
        """Whether it records now."""
        return self._file is not None

    def toggle(self) -> Path | None:
        """Switch it on, and give the file's name; or off, and give None.

        Raises:
            EdgeI2IError: the file cannot be written or completed.
        """
        with self._lock:
            if self._file is not None:
                self._finish()
                return None
            path = numbered(self._folder, "recording", ".mp4")
            file = FileSink(path)
            file.check()
            self._file = file
            return self._file.path

    def write(self, picture: Picture, result: Result) -> None:
        """Add a frame, if it is on."""
        with self._lock:
            if self._file is not None:
                self._file.write(picture, result)

    def close(self) -> None:
        """Complete the file that is open."""
        with self._lock:
            self._finish()

    def _finish(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()
            self.finished += file.finished


class SnapshotSink(Sink):
    """Keeps the newest picture at hand, to be written when somebody asks."""

    name: ClassVar[str] = "snapshots"
    on_request: ClassVar[bool] = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._newest: Picture | None = None

    def open(self, size: Size) -> None:
        """Nothing to get ready."""

    def write(self, picture: Picture, result: Result) -> None:
        """Remember the picture, for a snapshot that may be asked for."""
        if result.origin is not Origin.PASSED_THROUGH:
            self._newest = picture

    def save(self) -> Path:
        """Write the newest picture as a PNG; returns its path.

        Raises:
            UsageError: there is none yet.
            EdgeI2IError: it cannot be written.
        """
        if self._newest is None:
            raise UsageError("There is no translated picture yet.")
        path = numbered(self._folder, "snapshot", ".png")
        write_picture(path, self._newest)
        return path

    def close(self) -> None:
        """Forget the newest picture."""
        self._newest = None
