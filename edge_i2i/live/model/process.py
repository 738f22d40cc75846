"""What a session does to a frame: ``Process``, made by a loader beside the pipeline and swapped in between frames."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge_i2i.arrays import Picture
from edge_i2i.live.frame import Frame, Origin
from edge_i2i.progress import Progress


@dataclass(frozen=True, eq=False)
class Processed:
    """What a process made of a frame. ``seconds``: by stage (``prepare``, ``model``, ``finish``)."""

    image: Picture
    origin: Origin = Origin.TRANSLATED
    seconds: Mapping[str, float] = field(default_factory=dict)


class Process(Protocol):
    """Turns frames into pictures; used by one thread, never by two at once."""

    @property
    def engine(self) -> str:
        """Name of the engine, for HUD and statistics; empty without a network. A ladder may change it at each frame."""
        ...

    @property
    def effective_precision(self) -> str:
        """The precision at which the engine really runs; empty without a network."""
        ...

    def __call__(self, frame: Frame) -> Processed:
        """Translate a frame of any size; the picture is freshly allocated.

        Raises:
            EdgeI2IError: the frame does not fit, or the engine failed.
        """
        ...

    def condition(self, **inputs: Any) -> None:
        """Set a look from the next frame on, by the inputs that ``Translator.condition`` takes."""
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


Loader = Callable[[Progress], Process]
"""Loads and warms up a process; may take minutes (an engine is built), and says how far it is."""
