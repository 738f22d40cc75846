"""What keys do in the window of ``edge-i2i live``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from edge_i2i.errors import EdgeI2IError

if TYPE_CHECKING:
    from edge_i2i.live.model.changes import Change
    from edge_i2i.live.model.process import Loader
    from edge_i2i.live.outlets.view import View
    from edge_i2i.live.session import LiveSession
    from edge_i2i.live.sinks.switched import SnapshotSink, SwitchedRecording

KEYS = "keys: n next style · m next model · c compare · h figures · f mirror · s snapshot · r record · q quit"


class LiveKeys:
    """Turns keys into changes of a session. Keys may come from any thread; the session is told of later.

    ``models``: loaders by name, of which the first runs at the beginning. ``stop`` is set by ``q``. ``say`` gets a line
    about what was done.
    """

    def __init__(
        self,
        view: View,
        snapshots: SnapshotSink,
        recording: SwitchedRecording,
        models: Sequence[tuple[str, Loader]],
        stop: threading.Event,
        say: Callable[[str], None],
    ) -> None:
        self._view, self._snapshots, self._recording = view, snapshots, recording
        self._models, self._stop, self._say = models, stop, say
        self._session: LiveSession | None = None
        self._model, self._seed = 0, 0
        self._pending: list[tuple[str, Change]] = []
        self._actions: dict[str, Callable[[], str]] = {
            "n": self._next_style,
            "m": self._next_model,
            "c": lambda: f"comparison: {self._view.next_comparison()}",
            "h": self._figures,
            "f": self._mirror,
            "s": lambda: f"snapshot: {self._snapshots.save()}",
            "r": self._record,
            "q": self._quit,
            "escape": self._quit,
            "quit": self._quit,
        }

    def attach(self, session: LiveSession) -> None:
        """The session that keys change."""
        self._session = session

    def __call__(self, key: str) -> None:
        """A key was pressed; unknown ones do nothing."""
        action = self._actions.get(key.lower())
        if action is None:
            return
        try:
            line = action()
        except EdgeI2IError as error:
            line = f"{error.what}"
        if line:
            self._say(line)

    def report(self) -> None:
        """Tell how changes ended that were asked for before."""
        waiting = []
        for what, change in self._pending:
            try:
                if not change.wait(0):
                    waiting.append((what, change))
            except EdgeI2IError as error:
                self._say(f"{what}: {error}")
        self._pending = waiting

    def _next_style(self) -> str:
        if self._session is None:
            return ""
        self._seed += 1
        what = f"style {self._seed}"
        self._pending.append((what, self._session.condition(style_seed=self._seed)))
        return what

    def _next_model(self) -> str:
        if self._session is None or len(self._models) < 2:
            return "there is one model only; name several bundles to change between them"
        self._model = (self._model + 1) % len(self._models)
        name, loader = self._models[self._model]
        self._pending.append((name, self._session.swap(loader)))
        return f"loading {name}"

    def _figures(self) -> str:
        self._view.change(hud=not self._view.settings.hud)
        return ""

    def _mirror(self) -> str:
        from edge_i2i.live.steps.flip import Flip

        mirrored = self._view.settings.flip is Flip.NONE
        self._view.change(flip=Flip.HORIZONTAL if mirrored else Flip.NONE)
        return ""

    def _record(self) -> str:
        path = self._recording.toggle()
        return f"recording into {path}" if path else f"recorded {self._recording.finished[-1]}"

    def _quit(self) -> str:
        self._stop.set()
        return ""
