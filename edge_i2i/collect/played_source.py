"""Frames out of what plays: every source of ``live`` that is more than files to go through."""

from __future__ import annotations

import logging
import math
from collections.abc import Generator
from dataclasses import dataclass, field
from fractions import Fraction

from edge_i2i.clock import Clock
from edge_i2i.collect.frames import CAMERA_SECONDS, Sampling, SourceFrame, SourcePosition, Ticks, Unreadable
from edge_i2i.sources.registry import SCHEMES, SourceKind
from edge_i2i.sources.source import Captured, Source, SourceLostError, SourceSpec

_log = logging.getLogger(__name__)

# Cameras begin dark, green or blown out while exposure and white balance settle. Such frames lie far from all others,
# so farthest-point sampling would choose them first.
_WARM_UP_SECONDS = 1.0


@dataclass(frozen=True)
class PlayedSource:
    """The frames of one of ``live``'s sources, opened once: nothing is opened anew after a loss.

    What is live is told by the time of the clock at which each frame arrives, all else by its own times.
    """

    spec: SourceSpec
    sampling: Sampling
    clock: Clock
    unreadable: list[Unreadable] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """What it is, in a word or two."""
        return self._what.word

    @property
    def name(self) -> str:
        """The name of the file that is read, if there is one; else what was given, without credentials."""
        place = self.spec.place
        return place.name if place is not None and place.is_file() else self.spec.uri

    @property
    def _what(self) -> SourceKind:
        return SCHEMES[self.spec.scheme]

    @property
    def total(self) -> int | None:
        """About how many frames will be looked at."""
        seconds = self._seconds
        return math.ceil(seconds / self.sampling.every) if self.sampling.every and seconds is not None else None

    @property
    def _seconds(self) -> float | None:
        return CAMERA_SECONDS if self.sampling.seconds is None and self.spec.live else self.sampling.seconds

    def frames(self) -> Generator[SourceFrame, None, None]:
        """The frames, of a camera after the second in which exposure settles, for as long as the sampling says.

        Raises:
            SourceLostError: it is not there, or gives no frame; one that is lost later ends with a warning.
            EdgeI2IError: it cannot be used.
        """
        source = self.spec.make()
        try:
            source.open()
            yield from self._sampled(source)
        finally:
            source.close()

    def _sampled(self, source: Source) -> Generator[SourceFrame, None, None]:
        ticks = Ticks(self.sampling.every)
        begin = self.clock.now() + (_WARM_UP_SECONDS if self._what.settles else 0.0)
        index = given = 0
        while (captured := self._next(source, index, given)) is not None:
            at = self.clock.now() - begin if self.spec.live else captured.t_source or 0.0
            if self._seconds is not None and at >= self._seconds:
                return
            if at >= 0 and ticks.due(Fraction(at)):
                given += 1
                yield SourceFrame(captured.image, SourcePosition("", index, round(at, 6)))
            index += 1
        if self.spec.live:
            _log.warning("The %s '%s' ended after %d frames.", self.kind, self.name, index)

    def _next(self, source: Source, index: int, given: int) -> Captured | None:
        """The next picture; None: the source has ended, or is lost after it gave something, which is said."""
        try:
            return source.read()
        except SourceLostError as error:
            if not given:
                raise
            _log.warning("%s What it gave in %d frames is used.", error.what, index)
            return None
