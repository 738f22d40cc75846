"""Small pictures of each style: the bundle's example under that look, made when somebody first asks."""

from __future__ import annotations

import asyncio

from edge_i2i.arrays import Picture
from edge_i2i.hosting.refusals import RequestError
from edge_i2i.web.encoding import encode
from edge_i2i.web.looks import Base, BaseKind, ChosenLook
from edge_i2i.web.shared_model import ModelState
from edge_i2i.web.site import Site
from edge_i2i.web.styles import example_frame
from edge_i2i.web.wire import WireFormat

SIDE = 256  # pixels of the longer side
_QUALITY = 85


class Thumbnails:
    """Makes them one by one at a seat of their own, so that tabs keep their turns, and keeps them."""

    def __init__(self, site: Site) -> None:
        self._site, self._seat = site, site.shared.seat()
        self._one_at_a_time = asyncio.Lock()
        self._made: dict[str, bytes] = {}

    async def jpeg(self, number: str) -> bytes:
        """The thumbnail of a style.

        Raises:
            RequestError: there is no such style, or the model is not ready.
            EdgeI2IError: the model failed.
        """
        if number not in {style.id for style in self._site.styles}:
            raise RequestError(404, f"There is no style '{number}'.", remedy="bundle.json lists them.")
        if self._site.shared.state is not ModelState.READY:
            raise RequestError(503, "The model is not ready.", remedy="Ask again in a moment.")
        async with self._one_at_a_time:
            if number not in self._made:
                self._made[number] = await self._make(number)
        return self._made[number]

    async def _make(self, number: str) -> bytes:
        example = await self._site.in_pool(example_frame, self._site.bundle)
        await asyncio.wrap_future(self._seat.wear(ChosenLook(Base(BaseKind.STYLE, number))))
        result = await asyncio.wrap_future(self._seat.translate(example))
        return await self._site.in_pool(lambda: encode(_small(result.image), WireFormat.JPEG, _QUALITY))


def _small(picture: Picture) -> Picture:
    import cv2
    import numpy as np

    height, width = picture.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
