"""A model that takes as long, and fails as often, as a test wants; and a server of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.clock import Clock, Signal, SystemClock
from edge_i2i.errors import BadInputError
from edge_i2i.hosting.reach import LOOPBACK, Reach
from edge_i2i.web.looks import ChosenLook
from edge_i2i.web.server import Server
from edge_i2i.web.shared_model import ModelInfo, ModelLoader, Note, SharedModel
from edge_i2i.web.site import Site
from edge_i2i.web.styles import LooksTaken, own_styles
from edge_i2i.web.uploads import Exemplars, Limits


class FakeModel:
    """Inverts pictures. A look is the seed that was chosen; 13 is refused. Pictures that are red all over break it."""

    info = ModelInfo("fake", "fp32", "none")

    def __init__(self, clock: Clock, seconds: float = 0.0, hang: Signal | None = None) -> None:
        self._clock, self._seconds, self._hang = clock, seconds, hang
        self.looks: list[ChosenLook] = []
        self.closed = False

    def look(self, chosen: ChosenLook) -> str:
        self.looks.append(chosen)
        name = chosen.base.name if chosen.base else ""
        if name == "13":
            raise BadInputError("13 is no style.", remedy="Take another.")
        return name

    def translate(self, picture: np.ndarray, look: str) -> np.ndarray:
        if self._hang is not None:
            self._hang.wait()
        if picture[..., 0].min() > 200 and picture[..., 1:].max() < 60:
            raise RuntimeError("the driver fell over")
        if self._seconds:
            self._clock.sleep(self._seconds)
        return 255 - picture

    def close(self) -> None:
        self.closed = True


def loads(model: FakeModel, before: Callable[[Note], None] = lambda note: None) -> ModelLoader:
    """A loader of a model that is there already, after what ``before`` does."""

    def load(note: Note) -> FakeModel:
        before(note)
        return model

    return load


def serve_model(bundle: Path, load: ModelLoader, limits: Limits | None = None, host: str = LOOPBACK) -> Server:
    """Serve a model in place of the bundle's own."""
    opened, clock, options = open_bundle(bundle), SystemClock(), limits or Limits()
    takes = LooksTaken.by(opened)
    shared, exemplars = SharedModel(load, clock), Exemplars(options.exemplars_bytes)
    site = Site(opened, takes, own_styles(opened, takes), shared, exemplars, options, clock)
    return Server({"fake": site}, Reach(host))
