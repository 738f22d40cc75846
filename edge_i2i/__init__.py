"""edge-i2i: image-to-image translation networks, from research checkpoint to real-time frames on small machines.

>>> import edge_i2i
>>> translator = edge_i2i.load("model.i2i")      # doctest: +SKIP
>>> picture = translator(frame)                  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edge_i2i.telemetry import switch_off_telemetry

if TYPE_CHECKING:
    from edge_i2i.translator import Translator, load

__version__ = "0.1.0"
__all__ = ["Translator", "__version__", "load"]

switch_off_telemetry()


def __getattr__(name: str) -> Any:
    """Import on first use: ``import edge_i2i`` itself loads no engine, no numpy, no OpenCV."""
    if name in ("load", "Translator"):
        from edge_i2i import translator

        return getattr(translator, name)
    raise AttributeError(f"module 'edge_i2i' has no attribute '{name}'")
