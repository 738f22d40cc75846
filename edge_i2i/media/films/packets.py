"""The packets of a film on one time line, where the file's own time stamps may begin anew.

Transport streams are joined by copying one behind the other, and recorders that start again begin their clock again:
the time stamps jump back (or, where the library takes that for a counter that ran over, a day ahead). There the film
goes on after what came before, picture and sound by the same amount, so that they stay together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

_BACK_S = Fraction(1, 10)  # less than this is a time that the library had to work out
_AHEAD_S = Fraction(10)  # a gap that long is a clock that was set anew, in formats whose clocks are
_LOOK_AHEAD = 512  # packets until picture and sound have both arrived behind a jump
# The clock of these is set anew by cuts and joins. In others a long gap is a long frame.
_RESTARTING_FORMATS = frozenset({"mpegts", "mpeg"})
_EDITED_FORMATS = "mov"  # its edit lists hand out frames that are only decoded: their times do go back


def film_stream(container: InputContainer) -> VideoStream | None:
    """The stream that is the film: no cover art and no thumbnail; of several, the default one, then the largest."""

    def rank(stream: VideoStream) -> tuple[bool, int]:
        return bool(stream.disposition & stream.disposition.default), stream.width * stream.height

    films = [stream for stream in container.streams.video if not _is_still(stream)]
    return max(films, key=rank, default=None)


def sound_stream(container: InputContainer) -> AudioStream | None:
    """The sound that goes with the film: the first whose codec is known at all (telephones add their own)."""
    known = [stream for stream in container.streams.audio if stream.codec_context is not None]
    return next(iter(known), None)


def _is_still(stream: VideoStream) -> bool:
    kinds = stream.disposition
    return bool(kinds & (kinds.attached_pic | kinds.still_image | kinds.timed_thumbnails))


class FilmPackets:
    """Iterates over the packets of pictures, sound and subtitles, as the file has them but for joins.

    The last packet of every stream is empty: it tells its decoder to flush. Two openings of one file, this class over
    each, give the same times.
    """

    def __init__(self, container: InputContainer) -> None:
        self._container = container
        film, sound = film_stream(container), sound_stream(container)
        self._together = {stream.index for stream in (film, sound) if stream is not None}
        self._restarts = container.format.name in _RESTARTING_FORMATS
        self._is_edited = _EDITED_FORMATS in container.format.name.split(",")
        self._offsets = [Fraction(0)]  # seconds to add, for each piece of the file
        self._piece: dict[int, int] = {}  # where each stream is
        self._last: dict[int, Fraction] = {}  # its last decoding time, as the file says it
        self._ends: dict[int, Fraction] = {}  # where it has come to on the one time line
        self._starts: dict[int, Fraction] = {}  # where it begins in the piece whose offset is not known yet
        self._waiting: list[tuple[Packet[Stream], int]] = []

    def __iter__(self) -> Iterator[Packet[Stream]]:
        for packet in self._container.demux(self._streams()):
            if packet.dts is None and not packet.size:  # the flush
                self._settle()
                yield from self._release()
                yield packet
                continue
            self._take(packet)
            if not self._starts:
                yield from self._release()

    def _streams(self) -> Sequence[Stream]:
        # Not data and attachments: nobody decodes them, and their times mean nothing for the film.
        return [
            stream
            for stream in self._container.streams
            if stream.type in ("audio", "subtitle") or (stream.type == "video" and not _is_still(stream))  # type: ignore[arg-type]
        ]

    def _take(self, packet: Packet[Stream]) -> None:
        index, piece = packet.stream.index, self._piece.get(packet.stream.index, 0)
        if index in self._together and packet.dts is not None:
            at = packet.dts * packet.time_base
            if self._jumps(index, at):
                piece = self._piece[index] = self._enter(index, piece + 1, at)
            self._last[index] = at
        self._waiting.append((packet, piece))
        if piece < len(self._offsets):
            self._reach(packet, piece)
        if self._starts.keys() >= self._together or len(self._waiting) >= _LOOK_AHEAD:
            self._settle()

    def _jumps(self, index: int, at: Fraction) -> bool:
        last = self._last.get(index)
        if last is None or self._is_edited:
            return False
        if self._restarts:  # decoding times never go back within a recording
            return at < last or at > last + _AHEAD_S
        return at < last - _BACK_S

    def _enter(self, index: int, piece: int, at: Fraction) -> int:
        """Note where a stream begins the piece number ``piece``; returns the piece's number."""
        if piece > len(self._offsets):  # it jumps again before the others came to its last piece
            self._settle()
        if piece >= len(self._offsets):
            self._starts[index] = at
        return piece

    def _settle(self) -> None:
        """Say where the new piece begins: nothing of it before the end of what it follows."""
        if not self._starts:
            return
        self._offsets.append(max(self._ends.get(index, Fraction(0)) - at for index, at in self._starts.items()))
        self._starts.clear()
        for packet, piece in self._waiting:
            if piece == len(self._offsets) - 1:
                self._reach(packet, piece)

    def _reach(self, packet: Packet[Stream], piece: int) -> None:
        if packet.dts is not None:
            end = (packet.dts + (packet.duration or 0)) * packet.time_base + self._offsets[piece]
            index = packet.stream.index
            self._ends[index] = max(end, self._ends.get(index, end))

    def _release(self) -> Iterator[Packet[Stream]]:
        waiting, self._waiting = self._waiting, []
        for packet, piece in waiting:
            shift = round(self._offsets[piece] / packet.time_base) if piece else 0
            if shift:
                packet.pts = None if packet.pts is None else packet.pts + shift
                packet.dts = None if packet.dts is None else packet.dts + shift
            yield packet
