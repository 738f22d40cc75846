"""NNCF's fake quantizers on the layers of a network, with the arithmetic of ``graphs.qdq``, and reading them back.

NNCF offers three ways to quantize in torch. ``nncf.quantize`` places quantizers by its own rules (in front of norms and
sums, which costs 5 to 8 dB), its hooks are tied to names that depend on call order, and what either makes can hardly be
exported. Its quantizer modules themselves, with trainable ranges and their gradients, do exactly what is needed; they
are put in front of the layers directly.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx_ir as ir
import torch
from torch import Tensor, nn

from edge_i2i.graphs.passes.rewriting import constant
from edge_i2i.graphs.qdq.layers import Layer, find_layers
from edge_i2i.graphs.qdq.scheme import Range, Scheme, is_signed, weight_scales
from edge_i2i.quantize.qat.network import GraphNetwork
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

_BITS = 8
_LARGEST = 127  # of a signed step, of activations and weights alike


class FakeQuantizers:
    """The quantizers of those layers of a network whose ranges are given, by layer name.

    Layers that read the same tensor share its quantizer, and those of one weight its scales, as ``insert_qdq`` has it.

    Args:
        network: the graph in torch; its layers' steps get the quantizers.
        model: the same graph in ONNX.
        ranges: what the input of each layer to quantize reaches, by layer name.
        scheme: how activations are written.
        scales: where weight scales begin, float32 ``[channels]`` by layer; None: at those of the least squared error.
    """

    def __init__(
        self,
        network: GraphNetwork,
        model: ir.Model,
        ranges: Mapping[str, Range],
        scheme: Scheme,
        scales: Mapping[str, NDArray[np.float32]] | None = None,
    ) -> None:
        self._nncf = _import_nncf()
        self._scheme = scheme
        self._inputs: dict[str, Any] = {}
        self._weights: dict[str, Any] = {}
        shared: dict[Any, nn.Module] = {}
        for layer in find_layers(model):
            if layer.name in ranges:
                step, read = network.layer(layer.name), layer.node.inputs[0]
                if read not in shared:
                    shared[read] = _activation_quantizer(self._nncf, ranges[layer.name], scheme)
                if layer.weight not in shared:
                    shared[layer.weight] = _weight_quantizer(self._nncf, layer, (scales or {}).get(layer.name))
                step.input_quantizer = self._inputs[layer.name] = shared[read]
                step.weight_quantizer = self._weights[layer.name] = shared[layer.weight]

    def modules(self) -> Iterator[nn.Module]:
        """Every quantizer of activations and weights, once even where layers share it."""
        yield from {id(module): module for module in (*self._inputs.values(), *self._weights.values())}.values()

    def parameters(self) -> list[nn.Parameter]:
        """What is learned of the quantizers: lower ends, and logarithms of ranges and scales."""
        return [item for module in self.modules() for item in module.parameters() if item.is_floating_point()]

    def freeze(self) -> None:
        """Stop learning ranges and scales; the network's weights are learned on."""
        for parameter in self.parameters():
            parameter.requires_grad_(False)

    def ranges(self) -> dict[str, Range]:
        """The learned range of each layer's input; zero lies on one of its steps."""
        with torch.no_grad():
            return {name: _range(module, self._scheme) for name, module in self._inputs.items()}

    def weight_scales(self) -> dict[str, NDArray[np.float32]]:
        """The learned scales of each layer's weights: float32 [channels]."""
        return {
            name: (module.scale.detach().abs() / _LARGEST).cpu().numpy().reshape(-1).astype(np.float32)
            for name, module in self._weights.items()
        }


def _import_nncf() -> ModuleType:
    """NNCF's quantizers. Its log goes to stderr: stdout is for results."""
    module = require("nncf.torch.quantization.layers", extra="quantize", purpose="QAT")
    for handler in logging.getLogger("nncf").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.__stdout__):
            handler.setStream(sys.stderr)
    return module


def _range(module: Any, scheme: Scheme) -> Range:
    low, high = (float(end) for end in module.get_input_low_input_high())
    # NNCF's symmetric range has one step more below zero than above; a quantizer's scale follows from the upper end.
    return Range(-high, high) if low < 0 and scheme is not Scheme.ASYMMETRIC else Range(low, high)


def _activation_quantizer(nncf: ModuleType, reached: Range, scheme: Scheme) -> nn.Module:
    if scheme is not Scheme.ASYMMETRIC:
        largest = torch.tensor([reached.largest], dtype=torch.float32)
        return _symmetric(nncf, largest, narrow=False, signed=is_signed(reached, scheme))
    low, high = min(reached.low, 0.0), max(reached.high, 0.0)
    module: nn.Module = nncf.AsymmetricQuantizer(_spec(nncf, "asymmetric", (1,), narrow=False))
    module.input_low = nn.Parameter(torch.tensor([low], dtype=torch.float32))
    module.input_range = nn.Parameter(_positive(torch.tensor([high - low])))
    return module


def _weight_quantizer(nncf: ModuleType, layer: Layer, scales: NDArray[np.float32] | None) -> nn.Module:
    weight = constant(layer.weight)
    if weight is None:
        raise TypeError(f"the weight of '{layer.name}' is not constant")
    # As insert_qdq: output channels of a grouped transposed convolution lie along both axes.
    axis = 0 if layer.groups > 1 else layer.output_axis
    shape = [1] * weight.ndim
    shape[axis] = -1
    found = weight_scales(weight, axis) if scales is None else scales
    return _symmetric(nncf, torch.from_numpy(found * np.float32(_LARGEST)).reshape(shape), narrow=True)


def _symmetric(nncf: ModuleType, largest: Tensor, *, narrow: bool, signed: bool = True) -> nn.Module:
    module: nn.Module = nncf.SymmetricQuantizer(
        _spec(nncf, "symmetric", tuple(largest.shape), narrow=narrow, signed=signed)
    )
    module.scale = nn.Parameter(_positive(largest))
    return module


def _positive(largest: Tensor) -> Tensor:
    """Ranges are learned as logarithms: a step of the optimiser is a share of the range, whatever its size."""
    return largest.float().clamp_min(float(torch.finfo(torch.float32).tiny))


def _spec(nncf: ModuleType, mode: str, shape: tuple[int, ...], *, narrow: bool, signed: bool | None = None) -> Any:
    from nncf.common.quantization.structs import QuantizationScheme

    return nncf.PTQuantizerSpec(
        num_bits=_BITS,
        mode=QuantizationScheme(mode),
        signedness_to_force=signed,
        narrow_range=narrow,
        half_range=False,
        scale_shape=shape,
        logarithm_scale=True,
    )
