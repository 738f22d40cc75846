"""Whether a film is whole: what came out of it, held against what its file declares."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.media.films.gif import gif_shortfall
from edge_i2i.media.films.tail import has_another_film

if TYPE_CHECKING:
    import av
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream


class FilmTally:
    """Counts what a container hands over of its film.

    ``frames``: that came out of the decoder.
    """

    def __init__(self, path: Path, stream: VideoStream) -> None:
        self._path, self._stream = path, stream
        self.frames = 0
        self._read_until = 0
        self._begins: Fraction | None = None
        self._shown_until = Fraction(0)
        self._cut_packet = False
        self._ends: dict[int, Fraction] = {}

    def count_packet(self, packet: Packet[Stream]) -> None:
        """Note of a packet that was read until when it lasts, where it ends in the file, and whether it is cut."""
        at = packet.pts if packet.pts is not None else packet.dts
        if at is not None:
            end = (at + (packet.duration or 0)) * packet.time_base
            index = packet.stream.index
            if self._begins is None and index == self._stream.index:
                self._begins = (packet.dts if packet.dts is not None else at) * packet.time_base
            self._ends[index] = max(end, self._ends.get(index, end))
        self._cut_packet |= packet.is_corrupt
        self._read_until = max(self._read_until, (packet.pos or 0) + packet.size)

    def count_frame(self, frame: av.VideoFrame) -> None:
        """Count a frame that came out of the decoder, and note until when it is shown."""
        self.frames += 1
        if frame.pts is not None and frame.time_base is not None:
            self._shown_until = max(self._shown_until, (frame.pts + (frame.duration or 0)) * frame.time_base)

    def lead(self, origin: Fraction) -> Fraction:
        """How long after ``origin`` the film's first packet is due."""
        return max(Fraction(0), (self._begins or Fraction(0)) - origin)

    def shortfall(self, container: InputContainer) -> str:
        """What is missing, as the end of a sentence; empty if nothing is."""
        if container.format.name == "mpegts":
            return ""  # recordings off the air begin and end anywhere
        if self._cut_packet:
            return "the file ends in the middle of a packet"
        if container.format.name == "gif":
            return gif_shortfall(self._path, self.frames)
        if self._stream.frames and self._lacks_frames():
            return f"it declares {self._stream.frames}"
        if "matroska" in container.format.name and self._lacks_time(container):
            return f"the file ends before the {(container.duration or 0) / 1e6:.2f} s that it declares"
        if has_another_film(self._path, container.format.name, self._read_until):
            return "another film was copied behind it, which cannot be reached there"
        return ""

    def _lacks_frames(self) -> bool:
        # Frames that an edit list cuts away are declared and not handed over: the duration must agree as well.
        wanted = self._seconds(self._stream.start_time) + self._seconds(self._stream.duration)
        return self.frames < self._stream.frames and self._shown_until + self._tolerance() < wanted

    def _lacks_time(self, container: InputContainer) -> bool:
        # The container's duration is that of its longest stream, which need not be the film.
        whole = Fraction(container.duration or 0, 1_000_000)
        film = _matroska_duration(self._stream) or whole
        end, tolerance = self._ends.get(self._stream.index, Fraction(0)), self._tolerance()
        return max(self._ends.values(), default=0) + tolerance < whole and end + tolerance < film

    def _tolerance(self) -> Fraction:
        """A frame and a half: containers round time stamps, and differ on whether the last frame lasts."""
        return Fraction(3, 2) / (self._stream.average_rate or Fraction(25))

    def _seconds(self, ticks: int | None) -> Fraction:
        return (ticks or 0) * (self._stream.time_base or Fraction(0))


def _matroska_duration(stream: Stream) -> Fraction | None:
    """A track's own duration in seconds, which Matroska writers leave in a tag as ``00:01:02.345000000``."""
    match = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3]) if match else None
