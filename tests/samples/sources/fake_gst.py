"""As much of PyGObject's ``Gst`` as a pipeline with an appsink needs, with rows padded as GStreamer pads them."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest


class FakeGError(Exception):
    """``GLib.Error``."""


@dataclass
class FakeGst:
    """What the fake saw. ``pictures``: how many it gives; ``trouble``: what the bus says afterwards."""

    shown: np.ndarray
    pictures: int | None = None
    trouble: str = ""
    pipelines: list[str] = field(default_factory=list)
    states: list[str] = field(default_factory=list)
    mapped: int = 0

    def parse_launch(self, text: str) -> Any:
        if "nosuchelement" in text:
            raise FakeGError('no element "nosuchelement"')
        self.pipelines.append(text)
        return SimpleNamespace(
            get_by_name={"edge_i2i": SimpleNamespace(emit=self._emit)}.get,
            set_state=self.states.append,
            get_bus=lambda: SimpleNamespace(pop_filtered=self._message),
        )

    def _emit(self, signal: str, timeout: int) -> Any:
        assert signal == "try-pull-sample" and timeout > 0
        if self.pictures == 0:
            return None
        self.pictures = None if self.pictures is None else self.pictures - 1
        height, width = self.shown.shape[:2]
        rows = np.full((height, -(-3 * width // 4) * 4), 123, np.uint8)
        rows[:, : 3 * width] = cv2.cvtColor(self.shown, cv2.COLOR_RGB2BGR).reshape(height, -1)
        caps = SimpleNamespace(get_value={"height": height, "width": width}.get)
        buffer = SimpleNamespace(map=lambda _: self._map(rows), unmap=self._unmap)
        return SimpleNamespace(
            get_caps=lambda: SimpleNamespace(get_structure=lambda _: caps), get_buffer=lambda: buffer
        )

    def _map(self, rows: np.ndarray) -> tuple[bool, Any]:
        self.mapped += 1
        return True, SimpleNamespace(data=rows.tobytes())

    def _unmap(self, _: Any) -> None:
        self.mapped -= 1

    def _message(self, _: int) -> Any:
        if not self.trouble:
            return None
        kind = 1 if self.trouble == "eos" else 2
        return SimpleNamespace(type=kind, parse_error=lambda: (FakeGError(self.trouble), ""))


def install_fake_gst(monkeypatch: pytest.MonkeyPatch, shown: np.ndarray) -> FakeGst:
    """Have ``gi`` be importable for the time of a test."""
    fake = FakeGst(shown)

    def nothing(*_: Any) -> None:
        pass

    gst = {
        "init": nothing,
        "parse_launch": fake.parse_launch,
        "State": SimpleNamespace(PLAYING="playing", NULL="null"),
        "MessageType": SimpleNamespace(EOS=1, ERROR=2),
        "MapFlags": SimpleNamespace(READ=1),
        "SECOND": 10**9,
    }
    for name, content in (
        ("gi", {"require_version": nothing}),
        ("gi.repository", {}),
        ("gi.repository.Gst", gst),
        ("gi.repository.GLib", {"Error": FakeGError}),
    ):
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return fake
