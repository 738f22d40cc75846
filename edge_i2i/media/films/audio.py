"""The sound of a video file beside the pictures that are written anew: copied, or converted where it does not fit."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_i2i.errors import PictureError
from edge_i2i.media.films.audio_conversion import AacConversion
from edge_i2i.media.films.packets import FilmPackets, sound_stream

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.error import FFmpegError
    from av.packet import Packet

_log = logging.getLogger(__name__)

_TRIED_PACKETS = 4


class AudioCopy:
    """The first audio stream of ``source`` that can be read, muxed into ``target`` as time goes on.

    ``origin`` (seconds) is the source's time that becomes 0 in the target, the same as for its pictures. Sound is
    copied packet for packet; what the target's format refuses is converted to AAC, and what cannot be decoded either is
    left out. The log says so. ``present`` says whether there is sound.
    """

    def __init__(self, source: Path, target: OutputContainer, origin: Fraction) -> None:
        self._path, self._target, self._origin = source, target, origin
        self._input = _open(source)
        self._output: AudioStream | None = None
        self._last_dts: Fraction | None = None
        self._packets: Iterator[Packet[AudioStream]] = iter(())
        stream = sound_stream(self._input)
        if stream is not None:
            self._begin(stream)
        self._tell_of_others()
        self._ahead = next(self._packets, None)

    @property
    def present(self) -> bool:
        """Whether the target gets an audio stream."""
        return self._output is not None

    def copy_until(self, seconds: Fraction | None) -> None:
        """Mux every packet that starts before ``seconds`` of the target's time (None: all that are left).

        Raises:
            PictureError: the source's sound cannot be read to its end.
        """
        while self._ahead is not None and (seconds is None or self._start(self._ahead) < seconds):
            packet, self._ahead = self._ahead, next(self._packets, None)
            self._retime(packet)
            packet.stream = self._output  # type: ignore[assignment]  # packets come only where there is one
            self._target.mux(packet)

    def close(self) -> None:
        """Let go of the source file."""
        self._input.close()

    def _begin(self, stream: AudioStream) -> None:
        """Copy the sound as it is where the target's format takes it, else convert it to AAC, else leave it out."""
        codec, form = stream.codec_context.codec, self._target.format.name
        if not _is_hardly_played(codec.canonical_name, form) and _is_taken(self._path, form):
            self._output = self._target.add_stream_from_template(stream)
            self._packets = self._read(stream)
            return
        conversion = AacConversion.of(stream)
        if conversion is None:
            _log.warning("The sound of '%s' is left out: %s cannot be decoded.", self._path, codec.canonical_name)
            return
        _log.warning(
            "The sound of '%s' is converted to AAC: %s does not fit into %s.", self._path, codec.canonical_name, form
        )
        self._output = conversion.add_to(self._target)
        self._packets = conversion.packets(self._read(stream))

    def _tell_of_others(self) -> None:
        sounds, texts = len(self._input.streams.audio), len(self._input.streams.subtitles)
        left = [f"{sounds - 1} other sound tracks"] if sounds > 1 else []
        left += [f"{texts} tracks of subtitles"] if texts else []
        if left:
            _log.warning("Of '%s' %s are left out.", self._path, " and ".join(left))

    def _read(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        import av

        try:
            for packet in FilmPackets(self._input):
                if packet.stream.index == stream.index and packet.size:  # the last is empty: decoders flush
                    yield packet  # type: ignore[misc]  # of this stream
        except av.error.FFmpegError as error:
            raise _unreadable(self._path, error) from error

    def _start(self, packet: Packet[Any]) -> Fraction:
        ticks = packet.dts if packet.dts is not None else packet.pts
        return Fraction(0) if ticks is None else ticks * packet.time_base - self._origin

    def _retime(self, packet: Packet[Any]) -> None:
        """Move a packet to the target's time, in which packets have to follow one another."""
        shift = round(self._origin / packet.time_base)
        at = packet.dts if packet.dts is not None else packet.pts
        dts = None if at is None else at - shift
        last = self._last_dts
        if last is not None and (dts is None or dts * packet.time_base <= last):
            dts = int(last / packet.time_base) + 1
        dts = dts or 0
        packet.pts = dts if packet.pts is None else max(packet.pts - shift, dts)
        packet.dts = dts
        self._last_dts = dts * packet.time_base


def _open(source: Path) -> InputContainer:
    import av

    try:
        return av.open(f"file:{source}", "r", metadata_errors="ignore")
    except (av.error.FFmpegError, OSError) as error:
        raise _unreadable(source, error) from error


def _unreadable(source: Path, error: FFmpegError | OSError) -> PictureError:
    return PictureError(
        f"The sound of the video '{source}' cannot be read: {error.strerror or error}.",
        remedy="Fetch or record the video again.",
    )


def _is_hardly_played(codec: str, form: str) -> bool:
    """MP4 has taken bare samples since 2021, in some layouts; most players stay silent, and gaps in them are lost."""
    return form == "mp4" and codec.startswith("pcm_")


def _is_taken(source: Path, form: str) -> bool:
    """Whether a format takes a file's sound as it is: tried with its first packets, in memory."""
    import av

    with _open(source) as trial, av.open(BytesIO(), "w", format=form) as target:
        stream = sound_stream(trial)
        try:
            output = target.add_stream_from_template(stream) if stream is not None else None
            for packet in islice(trial.demux(stream), _TRIED_PACKETS):
                if packet.dts is not None:
                    packet.stream = output  # type: ignore[assignment]
                    target.mux(packet)
            target.close()
        except (av.error.FFmpegError, ValueError):
            return False
    return True
