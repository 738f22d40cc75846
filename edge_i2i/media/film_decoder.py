"""The decoder of a film: bounded in what it allocates, and one that reads transparency where there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from edge_i2i.media.rgb import LARGEST_FRAME

if TYPE_CHECKING:
    import av
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# WebM keeps transparency beside the pictures, where FFmpeg's own decoders of these do not look.
_SEE_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class FilmDecoder:
    """Decodes one stream."""

    def __init__(self, stream: VideoStream) -> None:
        self._stream = stream
        bound(stream)
        self._other = _that_sees_alpha(stream)

    def decode(self, packet: Packet[VideoStream]) -> list[av.VideoFrame]:
        """The frames that come out for a packet; an empty one flushes."""
        return self._other.decode(packet) if self._other is not None else packet.decode()


def bound(stream: VideoStream) -> None:
    """Let the decoder refuse frames of more than ``LARGEST_FRAME`` pixels before it allocates them."""
    stream.codec_context.options = {**stream.codec_context.options, "max_pixels": str(LARGEST_FRAME)}


def is_too_large(stream: VideoStream) -> bool:
    """Whether its file already says so."""
    return stream.width * stream.height > LARGEST_FRAME


def _that_sees_alpha(stream: VideoStream) -> VideoCodecContext | None:
    import av

    name = _SEE_ALPHA.get(stream.codec_context.name)
    if name not in av.codecs_available or stream.metadata.get("alpha_mode") != "1":
        return None
    context = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    context.extradata = stream.codec_context.extradata
    context.thread_type = "AUTO"
    return context
