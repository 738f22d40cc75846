"""Frames out of files: pictures and videos, one after the other."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from edge_i2i.collect.frames import Sampling, SourceFrame, SourcePosition, Ticks, Unreadable
from edge_i2i.errors import BadInputError
from edge_i2i.media.film import is_film, open_film
from edge_i2i.media.heif import MissingDecoderError
from edge_i2i.media.pictures import read_picture
from edge_i2i.media.tone_mapping import Hdr


@dataclass(frozen=True)
class FileSource:
    """Picture and video files, one after the other; ``root`` is the folder that positions are told from."""

    kind: str
    name: str
    root: Path
    files: tuple[Path, ...]
    sampling: Sampling = field(default_factory=Sampling)
    hdr: Hdr = Hdr.TONE_MAP
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def total(self) -> int | None:
        """The number of pictures; unknown where there is a video among them."""
        return None if any(map(is_film, self.files)) else len(self.files)

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames; where there are several files, one that cannot be read is noted and passed over."""
        for path in self.files:
            name = path.relative_to(self.root).as_posix()
            try:
                if is_film(path):
                    yield from self._of_video(path, name)
                else:
                    yield SourceFrame(read_picture(path), SourcePosition(name), path)
            except (BadInputError, MissingDecoderError) as error:
                if self.kind in ("picture", "video"):
                    raise
                self.unreadable.append(Unreadable(name, error.what))

    def _of_video(self, path: Path, name: str) -> Generator[SourceFrame, None, None]:
        ticks = Ticks(self.sampling.every)
        with open_film(path, self.hdr) as reader:
            for frame in reader:
                if self.sampling.seconds is not None and frame.pts_seconds >= self.sampling.seconds:
                    return
                if ticks.due(frame.pts_seconds):
                    at = round(float(frame.pts_seconds), 6)
                    yield SourceFrame(frame.image, SourcePosition(name, frame.index, at))
