"""Every quantization target by name. Listing them imports none of them; looking one up imports that one file."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType

from edge_i2i.errors import UsageError, known_names
from edge_i2i.graphs.qdq.targets.protocol import Target

_TARGETS: Mapping[str, str] = MappingProxyType(
    {
        "openvino": "edge_i2i.graphs.qdq.targets.openvino:OpenVinoTarget",
        "onnxruntime": "edge_i2i.graphs.qdq.targets.onnxruntime:OnnxRuntimeTarget",
        "tensorrt": "edge_i2i.graphs.qdq.targets.tensorrt:TensorRtTarget",
    }
)


def target_names() -> tuple[str, ...]:
    """The names that ``--target`` takes, besides ``all``."""
    return tuple(_TARGETS)


def get_target(name: str) -> Target:
    """The target of that name; its engine need not be here.

    Raises:
        UsageError: there is no such target; suggests the nearest name.
    """
    if name not in _TARGETS:
        raise UsageError(f"There is no quantization target '{name}'.", remedy=known_names(name, _TARGETS, "targets"))
    module, _, attribute = _TARGETS[name].partition(":")
    target: Target = getattr(importlib.import_module(module), attribute)()
    return target
