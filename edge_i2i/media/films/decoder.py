"""The decoder of a film: bounded in what it allocates, and one that reads transparency where there is any."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, cast

from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.media.rgb import LARGEST_FRAME

if TYPE_CHECKING:
    import av
    from av.packet import Packet
    from av.video.codeccontext import VideoCodecContext
    from av.video.stream import VideoStream

# WebM keeps transparency beside the pictures, where FFmpeg's own decoders of these do not look.
_SEE_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


class FilmDecoder:
    """Decodes one stream. ``name``: what messages call it, as the beginning of a sentence: ``The video 'a.mp4'``.

    Raises:
        PictureError: its frames have more than ``LARGEST_FRAME`` pixels.
    """

    def __init__(self, stream: VideoStream, name: str) -> None:
        self._stream, self._name = stream, name
        if stream.height * stream.width > LARGEST_FRAME:
            raise self._refused(f"is too large: {Size(stream.height, stream.width)} pixels")
        stream.codec_context.options = {**stream.codec_context.options, **bounds()}
        self._other = _that_sees_alpha(stream)

    def decode(self, packet: Packet[VideoStream]) -> list[av.VideoFrame]:
        """The frames that come out for a packet; an empty one flushes.

        Raises:
            PictureError: they have too many pixels; nothing was allocated for them.
            FFmpegError: the packet is damaged.
        """
        import av

        try:
            return self._other.decode(packet) if self._other is not None else packet.decode()
        except av.error.FFmpegError as error:
            if error.errno != errno.EINVAL:
                raise
            # What decoders say of a size above their bound, and hardly of anything else; damage has its own number.
            raise self._refused("is too large, or its decoder refuses it (Invalid argument)") from error

    def _refused(self, why: str) -> PictureError:
        return PictureError(
            f"{self._name} {why}.",
            remedy=f"Make it smaller: up to {LARGEST_FRAME:,} pixels a frame.",
        )


def bounds() -> dict[str, str]:
    """FFmpeg options by which decoders, also those that look at a file being opened, refuse larger frames."""
    return {"max_pixels": str(LARGEST_FRAME)}


def _that_sees_alpha(stream: VideoStream) -> VideoCodecContext | None:
    import av

    name = _SEE_ALPHA.get(stream.codec_context.name)
    if name not in av.codecs_available or stream.metadata.get("alpha_mode") != "1":
        return None
    context = cast("VideoCodecContext", av.CodecContext.create(name, "r"))
    context.extradata = stream.codec_context.extradata
    context.options = bounds()
    context.thread_type = "AUTO"
    return context
