"""The sound of a video file, copied packet for packet beside the pictures that are written anew."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.errors import PictureError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet

_log = logging.getLogger(__name__)


class AudioCopy:
    """The first audio stream of ``source``, muxed into ``target`` as time goes on, without decoding it.

    ``origin`` (seconds) is the source's time that becomes 0 in the target, the same as for its pictures. A codec that
    the target's format cannot hold is left out with a warning in the log; ``present`` says whether there is sound.
    """

    def __init__(self, source: Path, target: OutputContainer, origin: Fraction) -> None:
        import av

        self._path, self._target, self._origin = source, target, origin
        self._input: InputContainer = av.open(f"file:{source}", "r", metadata_errors="ignore")
        self._output: AudioStream | None = None
        stream = next(iter(self._input.streams.audio), None)
        if stream is not None and self._fits(stream):
            self._output = target.add_stream_from_template(stream)
        self._packets = self._demux(stream) if stream is not None and self._output is not None else iter(())
        self._ahead: Packet[AudioStream] | None = next(self._packets, None)

    @property
    def present(self) -> bool:
        """Whether the target gets an audio stream."""
        return self._output is not None

    def copy_until(self, seconds: Fraction | None) -> None:
        """Mux every packet that starts before ``seconds`` of the target's time (None: all that are left).

        Raises:
            PictureError: the source's sound cannot be read to its end.
        """
        if self._output is None:
            return
        while self._ahead is not None and (seconds is None or self._start(self._ahead) < seconds):
            packet, self._ahead = self._ahead, next(self._packets, None)
            shift = round(self._origin / packet.time_base)
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = self._output
            self._target.mux(packet)

    def close(self) -> None:
        """Let go of the source file."""
        self._input.close()

    def _fits(self, stream: AudioStream) -> bool:
        codec = stream.codec_context.codec.canonical_name
        if codec in self._target.supported_codecs:
            return True
        _log.warning("The sound of '%s' is left out: %s does not fit the output's format.", self._path, codec)
        return False

    def _demux(self, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
        import av

        try:
            for packet in self._input.demux(stream):
                if packet.dts is not None:  # the last packet is empty: it tells decoders to flush
                    yield packet
        except av.error.FFmpegError as error:
            raise PictureError(
                f"The sound of the video '{self._path}' cannot be read: {error.strerror}.",
                remedy="Fetch or record the video again.",
            ) from error

    def _start(self, packet: Packet[AudioStream]) -> Fraction:
        ticks = packet.dts if packet.dts is not None else 0
        return ticks * packet.time_base - self._origin
