"""What ``live`` and ``collect`` ask a source for: one group of options for both."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.choices import HdrFilms, chosen
from edge_i2i.cli.options.numbers import positive
from edge_i2i.errors import UsageError

if TYPE_CHECKING:
    from edge_i2i.contract import Size
    from edge_i2i.sources.source import Asked


@dataclass(frozen=True)
class SourceOptions:
    """What a source is asked for besides frames."""

    source_size: Annotated[
        str | None, typer.Option("--source-size", metavar="WxH", help="Ask the source for this size: 1280x720.")
    ] = None
    source_fps: Annotated[
        float | None,
        typer.Option(
            "--source-fps", parser=positive, metavar="FPS", help="Ask the source for so many frames a second."
        ),
    ] = None
    source_format: Annotated[
        str | None, typer.Option("--source-format", help="Ask a camera for a pixel format: mjpg, yuyv, nv12, …")
    ] = None
    hdr: HdrFilms = "tone-map"

    def of_library(self) -> Asked:
        """The same options as keyword arguments of ``source_spec``."""
        from edge_i2i.media.tone_mapping import Hdr

        return {
            "size": None if self.source_size is None else _width_by_height(self.source_size),
            "fps": self.source_fps,
            "pixel_format": self.source_format,
            "hdr": chosen(self.hdr, Hdr, "ways with a high dynamic range"),
        }


def _width_by_height(text: str) -> Size:
    """Width first, as cameras and players write it; networks' sizes (``export --size``) are height first.

    Raises:
        UsageError: it is no size.
    """
    from edge_i2i.contract import LARGEST_SIDE, Size

    match = re.fullmatch(r"([0-9]{1,5})[xX×]([0-9]{1,5})", text.strip())
    width, height = (int(side) for side in match.groups()) if match else (0, 0)
    if not (0 < width <= LARGEST_SIDE and 0 < height <= LARGEST_SIDE):
        raise UsageError(f"'{text}' is no size of a source.", remedy="Write its width first: 1280x720.")
    return Size(height, width)
