"""Pictures as JPEG or WebP, for answers and thumbnails."""

from __future__ import annotations

from edge_i2i.arrays import Picture
from edge_i2i.errors import PictureError
from edge_i2i.web.wire import WireFormat

DEFAULT_QUALITY = 80


def encode(picture: Picture, form: WireFormat, quality: int = DEFAULT_QUALITY) -> bytes:
    """A picture as a file.

    Args:
        picture: RGB uint8 ``[H, W, 3]``.
        form: JPEG or WebP.
        quality: 1 to 100.

    Raises:
        PictureError: the format cannot hold the picture.
    """
    import cv2

    suffix, option = {
        WireFormat.JPEG: (".jpg", cv2.IMWRITE_JPEG_QUALITY),
        WireFormat.WEBP: (".webp", cv2.IMWRITE_WEBP_QUALITY),
    }[form]
    try:
        done, encoded = cv2.imencode(suffix, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), [option, quality])
    except cv2.error as error:
        raise PictureError(f"The result cannot be encoded: {error.err}.") from error
    if not done:
        raise PictureError(f"A picture of {picture.shape[0]}x{picture.shape[1]} does not fit the format.")
    return encoded.tobytes()
