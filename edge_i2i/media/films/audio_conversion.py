"""Sound in a codec that every player of MP4, MOV and Matroska knows: AAC, with PyAV's own encoder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import OutputContainer
    from av.filter import Graph
    from av.packet import Packet

_log = logging.getLogger(__name__)

_BITS_PER_CHANNEL = 96_000
_BLOCK = 1024  # samples of an AAC frame
_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000})
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 8: "7.1"}


class AacConversion:
    """Decodes a stream's packets and encodes them anew; times are kept, and gaps filled with silence.

    Args:
        stream: the source's sound, which its decoder reads.
        rate: samples a second of the AAC, one that the codec has.
        layout: the AAC's channels by FFmpeg's name, as in ``stereo``.
    """

    def __init__(self, stream: AudioStream, rate: int, layout: str) -> None:
        self._stream, self._rate, self._layout = stream, rate, layout
        self._output: AudioStream | None = None
        self._graph: Graph | None = None
        self._form: tuple[Any, ...] = ()

    @classmethod
    def of(cls, stream: AudioStream) -> AacConversion | None:
        """The conversion of a source's sound, its rate and number of channels kept where AAC has them.

        None where the sound cannot be decoded here, or says nothing of its channels and rate.
        """
        context = stream.codec_context
        if not (context.codec.is_decoder and context.sample_rate and context.channels):
            return None
        rate = context.sample_rate if context.sample_rate in _RATES else 48_000
        return cls(stream, rate, _LAYOUTS.get(context.channels, "stereo"))

    def add_to(self, target: OutputContainer) -> AudioStream:
        """The stream in the target that takes the packets."""
        self._output = output = target.add_stream("aac", rate=self._rate, layout=self._layout)
        output.bit_rate = _BITS_PER_CHANNEL * output.codec_context.channels
        return output

    def packets(self, packets: Iterable[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
        """The stream's packets encoded anew, with the times of the source."""
        for frame in self._frames(packets):
            yield from self._encode(frame)
        yield from self._drain()
        yield from self._encode(None)

    def _frames(self, packets: Iterable[Packet[AudioStream]]) -> Iterator[AudioFrame]:
        import av

        damaged = 0
        for packet in packets:
            try:
                yield from packet.decode()
            except av.error.FFmpegError:  # those behind it may be whole
                damaged += 1
        with suppress(av.error.FFmpegError):
            yield from self._stream.codec_context.decode(None)
        if damaged:
            _log.warning("%d packets of the sound are damaged, and silent.", damaged)

    def _encode(self, frame: AudioFrame | None) -> Iterator[Packet[Any]]:
        if self._output is None:
            return
        if frame is None:
            yield from self._output.encode(None)
            return
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if form != self._form:
            yield from self._drain()
            self._graph, self._form = self._resampler(frame), form
        if self._graph is not None:
            self._graph.push(frame)
            yield from self._pull(self._graph)

    def _drain(self) -> Iterator[Packet[Any]]:
        graph, self._graph = self._graph, None
        if graph is not None:
            graph.push(None)
            yield from self._pull(graph)

    def _pull(self, graph: Graph) -> Iterator[Packet[Any]]:
        import av

        with suppress(av.error.BlockingIOError, av.error.EOFError):
            while self._output is not None:
                yield from self._output.encode(graph.pull())  # type: ignore[arg-type]  # the graph holds sound

    def _resampler(self, frame: AudioFrame) -> Graph:
        import av.filter

        graph = av.filter.Graph()
        source = graph.add_abuffer(
            sample_rate=frame.sample_rate,
            format=frame.format.name,
            layout=frame.layout.name,
            time_base=frame.time_base or Fraction(1, frame.sample_rate),
        )
        form = f"sample_fmts=fltp:sample_rates={self._rate}:channel_layouts={self._layout}"
        graph.link_nodes(
            source,
            graph.add("aresample", f"{self._rate}:async=1"),  # a gap becomes silence
            graph.add("aformat", form),
            graph.add("asetnsamples", f"n={_BLOCK}:p=0"),
            graph.add("abuffersink"),
        ).configure()
        return graph
