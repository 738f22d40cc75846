"""The picture contract: a network in its own tensor form, wrapped so that uint8 HWC goes in and comes out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_i2i.models.contract import DType, GraphDeclaration, Role, TensorSpec
from edge_i2i.models.family import ModelGraph

_PICTURES = (Role.FRAME, Role.EXEMPLAR, Role.IMAGE)
_MAPS = (Role.LABEL_MAP, Role.INSTANCE_MAP, Role.MASK)


def to_network_form(value: Tensor, spec: TensorSpec) -> Tensor:
    """Outside → network form: pictures to float [1, 3, H, W] in [-1, 1], maps to [1, 1, H, W], others to [1, ...]."""
    if spec.role in _PICTURES:
        return value.to(torch.float32).permute(2, 0, 1).unsqueeze(0) / 127.5 - 1.0
    if spec.role in _MAPS:
        return value.to(torch.int32).unsqueeze(0).unsqueeze(0)
    return value.unsqueeze(0)


def to_outside_form(value: Tensor, spec: TensorSpec) -> Tensor:
    """Network form → outside form; a picture is scaled to 0..255, rounded half to even, and clamped."""
    if spec.role in _PICTURES:
        grey = ((value[0] + 1.0) * 127.5).permute(1, 2, 0)
        return grey.round().clamp(0.0, 255.0).to(torch.uint8)
    return value[0]


class PictureModule(nn.Module):
    """A graph in outside form. The float network output comes last, so that parity can be checked before rounding."""

    def __init__(self, graph: ModelGraph) -> None:
        super().__init__()
        self.declaration: GraphDeclaration = graph.declaration
        self.network = graph.module

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Declared inputs in order → (declared output, float network output without its leading 1)."""
        specs = self.declaration.inputs
        result = self.network(*[to_network_form(value, spec) for value, spec in zip(inputs, specs, strict=True)])
        return to_outside_form(result, self.declaration.outputs[0]), result[0]


def example_inputs(declaration: GraphDeclaration) -> tuple[Tensor, ...]:
    """Zeros of the declared shapes and dtypes, to trace with."""
    dtypes = {DType.UINT8: torch.uint8, DType.INT32: torch.int32, DType.FLOAT32: torch.float32}
    return tuple(torch.zeros(spec.shape, dtype=dtypes[spec.dtype]) for spec in declaration.inputs)
