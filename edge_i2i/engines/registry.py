"""Every engine by name. Listing them imports none of them; looking one up imports that one file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from edge_i2i.engines.protocol import Engine
from edge_i2i.errors import UsageError, known_names

# Their order here says nothing about the order in which `auto` tries them: see `choice`.
_ENGINES: Mapping[str, str] = MappingProxyType(
    {
        "onnxruntime": "edge_i2i.engines.onnxruntime.engine:OnnxRuntimeEngine",
        "openvino": "edge_i2i.engines.openvino.engine:OpenVinoEngine",
        "torch": "edge_i2i.engines.torch.engine:TorchEngine",
        "tensorrt": "edge_i2i.engines.tensorrt.engine:TensorRtEngine",
        "rtx": "edge_i2i.engines.tensorrt.engine:TensorRtRtxEngine",
    }
)


def engine_names() -> tuple[str, ...]:
    """The names that ``--engine`` takes, besides ``auto``."""
    return tuple(_ENGINES)


def get_engine(name: str) -> Engine:
    """The engine of that name, whether or not it can run here.

    Raises:
        UsageError: there is no such engine; suggests the nearest name.
    """
    if name not in _ENGINES:
        raise UsageError(f"There is no engine '{name}'.", remedy=known_names(name, _ENGINES, "engines"))
    module, _, attribute = _ENGINES[name].partition(":")
    engine: Engine = getattr(importlib.import_module(module), attribute)()
    return engine
