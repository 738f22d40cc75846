"""Pictures into a folder: each by its frame's number, complete under its name or not there at all."""

from __future__ import annotations

import json
import re
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from edge_i2i.arrays import Picture
from edge_i2i.bundle.locking import only_run
from edge_i2i.contract import Size
from edge_i2i.errors import EdgeI2IError, OutputError, UsageError
from edge_i2i.files.places import check_folder
from edge_i2i.files.whole import replacing
from edge_i2i.live.frame import Origin, Result
from edge_i2i.live.sinks.sink import Sink
from edge_i2i.media.pictures import write_picture

INDEX_NAME = "frames.json"
FORMATS = ("png", "jpg", "webp")

_NUMBERED = re.compile(r"\d{8,}\.(png|jpe?g|webp)")


@dataclass(frozen=True)
class _Entry:
    """A line of the index. ``t_capture``: seconds since the first frame that was written."""

    file: str
    seq: int
    t_capture: float
    age_ms: float


class FolderSink(Sink):
    """Writes every result, or every ``every``-th, as ``00000042.png``, numbered by ``Frame.seq``;
    not what is passed through while the network loads.

    When it is closed, ``frames.json`` lists what is there: file, seq, t_capture (seconds since the first) and age_ms.

    Args:
        folder: made if it is missing; it must not hold an earlier recording.
        format: ``png`` (lossless), ``jpg`` (quality 95, full-resolution colour) or ``webp`` (quality 95).
        every: 1 writes all of them, 10 the first of each ten.

    Raises:
        UsageError: an argument is out of range.
    """

    name: ClassVar[str] = "folder"
    wants_every: ClassVar[bool] = True

    def __init__(self, folder: Path | str, *, format: str = "png", every: int = 1) -> None:
        if format not in FORMATS:
            raise UsageError(f"Pictures cannot be written as '{format}'.", remedy=f"Use one of {', '.join(FORMATS)}.")
        if every < 1:
            raise UsageError(f"Every {every}-th frame cannot be written.", remedy="Give 1 for all, 2 for half of them.")
        self.folder, self._format, self._every = Path(folder), format, every
        self._entries: list[_Entry] = []
        self._began: float | None = None
        self._seen = 0
        self._failed = self._closed = False
        self._alone = ExitStack()

    @property
    def place(self) -> Path:
        """The folder that it writes into."""
        return self.folder

    def check(self) -> None:
        """See ``Sink.check``."""
        check_folder(self.folder)

    def open(self, size: Size) -> None:
        """Make the folder.

        Raises:
            UsageError: it holds an earlier recording.
            OutputError: it cannot be made, or another run is writing there.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._alone.enter_context(only_run(self.folder, inside=True))
            occupied = next((p.name for p in self.folder.iterdir() if _is_ours(p.name)), None)
        except OSError as error:
            raise self._unwritable(error) from error
        if occupied is not None:
            raise UsageError(
                f"The folder '{self.folder}' holds an earlier recording ('{occupied}').",
                remedy="Choose another folder, or empty this one.",
            )

    def write(self, picture: Picture, result: Result) -> None:
        """Write the picture, if it is its turn.

        Raises:
            EdgeI2IError: the file cannot be written.
        """
        if result.origin is Origin.PASSED_THROUGH:
            return
        turn, self._seen = self._seen % self._every, self._seen + 1
        if turn:
            return
        frame = result.frame
        if self._began is None:
            self._began = frame.t_capture
        entry = _Entry(
            f"{frame.seq:08d}.{self._format}",
            frame.seq,
            round(frame.t_capture - self._began, 6),
            round(result.age_ms, 3),
        )
        try:
            write_picture(self.folder / entry.file, picture)
        except EdgeI2IError:
            self._failed = True
            raise
        self._entries.append(entry)

    def close(self) -> None:
        """Write the index.

        Raises:
            EdgeI2IError: it cannot be written, and no picture was refused before.
        """
        with self._alone:
            self._complete()

    def _complete(self) -> None:
        if self._closed or not self._entries:
            return
        self._closed = True
        lines = ",\n".join(f" {json.dumps(asdict(entry))}" for entry in self._entries)
        try:
            with replacing(self.folder / INDEX_NAME) as temporary:
                temporary.write_text(f"[\n{lines}\n]\n", "utf-8")
        except OSError as error:
            if not self._failed:  # a full disk is said once
                raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"The folder '{self.folder}' cannot be written to: {error.strerror or error}.",
            remedy="Check that you may write there, and that the disk has room.",
        )


def _is_ours(name: str) -> bool:
    return name == INDEX_NAME or _NUMBERED.fullmatch(name) is not None
