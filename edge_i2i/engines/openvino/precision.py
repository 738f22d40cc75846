"""What OpenVINO really computes in, read from the graph that it executes: its properties only say what it was told."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from edge_i2i.engines.effective import INTEGER, Arithmetic

if TYPE_CHECKING:
    import openvino

_CONVOLUTIONS = ("Convolution", "Deconvolution")
_NAMES = {"u8": INTEGER, "i8": INTEGER, "f32": "fp32", "bf16": "bf16", "f16": "fp16"}
_NARROWEST_FIRST = ("bf16", "fp16", "fp32")

# Layers that only hold, hand over or re-arrange numbers: their type says nothing about arithmetic.
_NO_ARITHMETIC = frozenset({"Input", "Output", "Const", "Reorder", "Reshape", "Transpose", "Concatenation", "Split"})


def read_arithmetic(executed: openvino.Model) -> Arithmetic:
    """The arithmetic of an executed graph, ``CompiledModel.get_runtime_model()``.

    A convolution counts by the type of its activations, which OpenVINO gives as the layer's ``runtimePrecision``:
    ``u8`` and ``i8`` are integer convolutions. Names of types that are not listed here are given as they are.
    """
    layers = [(_told(node, "layerType"), _told(node, "runtimePrecision")) for node in executed.get_ordered_ops()]
    found = Counter(_NAMES.get(precision, precision) for kind, precision in layers if kind in _CONVOLUTIONS)
    others = {_NAMES.get(precision) for kind, precision in layers if kind not in (*_CONVOLUTIONS, *_NO_ARITHMETIC)}
    return Arithmetic(dict(found), next((name for name in _NARROWEST_FIRST if name in others), ""))


def _told(node: Any, key: str) -> str:
    return str(node.get_rt_info()[key].astype(str))
