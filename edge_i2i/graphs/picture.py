"""The picture contract: a network in its own tensor form, wrapped so that uint8 HWC goes in and comes out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge_i2i.contract import DType, GraphDeclaration, Role, TensorSpec
from edge_i2i.metrics.parity import NETWORK_OUTPUT
from edge_i2i.models.family import ModelGraph


def to_network_form(value: Tensor, spec: TensorSpec) -> Tensor:
    """Outside → network form: pictures to float [1, 3, H, W] in [-1, 1], ids to int [1, 1, H, W], masks to float 0..1.

    Everything else gets a leading 1.
    """
    if spec.is_picture:
        return value.to(torch.float32).permute(2, 0, 1).unsqueeze(0) / 127.5 - 1.0
    if spec.role is Role.MASK:
        return value.to(torch.float32)[None, None] / 255.0
    if spec.is_spatial:
        return value.to(torch.int32)[None, None]
    return value.unsqueeze(0)


def to_outside_form(value: Tensor, spec: TensorSpec) -> Tensor:
    """Network form → outside form; a picture is scaled to 0..255, rounded half to even, and clamped."""
    if spec.is_picture:
        grey = ((value[0] + 1.0) * 127.5).permute(1, 2, 0)
        return grey.round().clamp(0.0, 255.0).to(torch.uint8)
    return value[0]


class PictureModule(nn.Module):
    """A graph in outside form.

    Where its output is a picture, the network's float output comes last (without its leading 1), so that parity can be
    checked before rounding; ``output_names`` says so.
    """

    def __init__(self, graph: ModelGraph) -> None:
        super().__init__()
        self.declaration: GraphDeclaration = graph.declaration
        self.network = graph.module

    @property
    def output_names(self) -> list[str]:
        """The names of what ``forward`` returns."""
        names = [spec.name for spec in self.declaration.outputs]
        return [*names, NETWORK_OUTPUT] if self.declaration.outputs[0].is_picture else names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Declared inputs in order → declared outputs in order, then the float network output of a picture."""
        specs = self.declaration.inputs
        result = self.network(*[to_network_form(value, spec) for value, spec in zip(inputs, specs, strict=True)])
        results = (result,) if isinstance(result, Tensor) else tuple(result)
        declared = [to_outside_form(*pair) for pair in zip(results, self.declaration.outputs, strict=True)]
        floats = [results[0][0]] if self.declaration.outputs[0].is_picture else []
        return (*declared, *floats)


def example_inputs(declaration: GraphDeclaration) -> tuple[Tensor, ...]:
    """Zeros of the declared shapes and dtypes, to trace with."""
    dtypes = {DType.UINT8: torch.uint8, DType.INT32: torch.int32, DType.FLOAT32: torch.float32}
    return tuple(torch.zeros(spec.shape, dtype=dtypes[spec.dtype]) for spec in declaration.inputs)
