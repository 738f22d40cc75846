"""How the operations read the inputs and attributes of an ONNX node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from edge_i2i.errors import GraphFileError

Attributes = Mapping[str, Any]
Inputs = list[Tensor | None]
Operation = Callable[[Inputs, Attributes], "Tensor | tuple[Tensor, ...]"]
"""What a node does: its inputs (None where left out) and attributes → its output, or several."""


def need(value: Tensor | None) -> Tensor:
    """An input that the operation cannot do without.

    Raises:
        GraphFileError: it is missing.
    """
    if value is None:
        raise GraphFileError("A required input of an ONNX node is missing.")
    return value


def optional(inputs: Inputs, index: int) -> Tensor | None:
    """The input number ``index``; None where the node leaves it out."""
    return inputs[index] if index < len(inputs) else None


def ints(value: Tensor | None) -> list[int]:
    """The numbers of an input that is a tensor of whole numbers.

    Raises:
        GraphFileError: the input is missing.
    """
    return [int(number) for number in need(value).reshape(-1).tolist()]


def wide(x: Tensor) -> Tensor:
    """FP16 operands on a CPU are computed with in FP32: the accumulation that tensor cores do."""
    return x.float() if x.dtype is torch.float16 and x.device.type == "cpu" else x


def text(attributes: Attributes, name: str, default: str) -> str:
    """The text among ``attributes`` that is called ``name``; ``default`` where the node does not say."""
    value = attributes.get(name, default)
    return value.decode() if isinstance(value, bytes) else str(value)
