"""What takes results: opened, written to and closed by a thread of its own, so that it never holds the model up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from edge_i2i.arrays import Picture
from edge_i2i.contract import Size
from edge_i2i.live.frame import Result


class Sink(ABC):
    """Takes results.

    ``name``: for people and in ``stats()``. ``wants_every``: every result in order (a recording), as far as it keeps up
    with a bounded lane; else the newest only. ``for_display``: people look at it now, so that the HUD belongs into it.
    ``takes_keys``: what they press in it does something. ``on_request``: it is there for somebody who may ask for it
    later; that it fails ends no session, and it has figures only while it is on.
    ``notes``: what to tell the user (where to watch), as soon as it is known.
    """

    name: ClassVar[str]
    wants_every: ClassVar[bool] = False
    for_display: ClassVar[bool] = False
    takes_keys: ClassVar[bool] = False
    on_request: ClassVar[bool] = False
    notes: tuple[str, ...] = ()

    @property
    def is_on(self) -> bool:
        """Whether what it is given goes anywhere, and counts."""
        return not self.on_request

    @property
    def place(self) -> Path | None:
        """The file, folder or device that it writes, if it does: nobody else may read or write it."""
        return None

    def check(self) -> None:  # noqa: B027 (most need no place)
        """Check, before a session begins, whether it can be opened later; most sinks have nothing to check.

        Raises:
            OutputError: nothing can be written where it shall write.
        """

    def open(self, size: Size) -> None:  # noqa: B027 (most have nothing to open)
        """Get ready for pictures of a size; called once, before the first ``write``.

        Raises:
            EdgeI2IError: it cannot take them.
        """

    @abstractmethod
    def write(self, picture: Picture, result: Result) -> None:
        """Take a result.

        Args:
            picture: what to show, RGB uint8 ``[H, W, 3]``: the result's image, or a view composed of it; its size may
                change from call to call (another comparison, another size of the source).
            result: where it comes from.

        Raises:
            EdgeI2IError: it cannot go on; it gets no further results.
        """

    @abstractmethod
    def close(self) -> None:
        """Finish. Called once, also after an error, by the thread that writes."""
