"""The layers of a seeded network, set one after the other as their inputs arrive: see ``cards.seeded_weights``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

# Measured on the one trained network at hand, or tuned until a seeded network of its architecture agrees with it; the
# table in ``cards.seeded_weights`` says how well. _PATCH_SHARE is chosen by what INT8 costs and by nothing else: with
# 0.07 peaks agree, and INT8 costs 10 dB too much.
_OUTPUT_SPREAD = 0.06  # deviation of the log of a filter's norm, over output channels
_INPUT_SPREAD = 0.10  # the same over input channels
_PATCH_SHARE = 0.3  # of a patch in a filter of _PATCH_FAN_IN weights: amplitude, not power; log-normal over filters
_PATCH_SPREAD = 0.5
_PATCH_FAN_IN = 576
_PATCH_FALL = 0.35  # by which power of the fan-in the share falls; with 0.5 the channels of wide networks are too even
_PATCH_SALIENCE = 0.75  # patches are drawn with a probability of (energy of the features there)^0.75
_LOUDEST_LOOK = 16.0  # times what looks change, at most: where no look has entered yet, that is rounding alone
_ROUGHNESS = 0.1  # of transposed convolutions: what is left of a random filter's part that is not bilinear
_NORM_SPREAD = 0.3  # of a norm's scales, log-normal around 1: the trained residual trunk's channels spread as much
_OFFSET = 0.3  # of channel means, in units of the layer's deviation
_MODULATION = 0.5  # deviation of what scales and shifts a norm from outside

_LARGEST_MODULATION = 2.0  # of one that differs from pixel to pixel: peaks would multiply from layer to layer

SMALLEST_SHARE = 0.01  # of what is divided by, in the largest or the typical
_LEAST = 1e-8


class Walk:
    """Runs graphs once and sets every layer as its input arrives; layers that graphs share are set once."""

    def __init__(self, generator: torch.Generator) -> None:
        self._generator = generator
        self._done: set[nn.Module] = set()
        self._vectors: list[tuple[nn.Linear, Tensor]] = []
        self._calls: list[nn.Module] = []
        self.codes: list[nn.Module] = []
        """Of the last graph: its layers with a bias that work at one position, in order, but for norms' modulations."""

    def run(self, module: nn.Module, inputs: Sequence[Tensor]) -> list[nn.Module]:
        """Set the layers of a graph; returns its convolutions and linear layers in the order of calls."""
        self._calls, self._vectors, self.codes = [], [], []
        modulates = any(_is_modulated(layer) for layer in module.modules())
        with hooks() as handles:
            for name, layer in module.named_modules():
                if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                    handles.append(layer.register_forward_pre_hook(self._draw_filters))
                    handles.append(layer.register_forward_hook(partial(self._unit_variance, _deviation_of(name))))
                    if modulates and isinstance(layer, nn.Linear):
                        handles.append(layer.register_forward_hook(self._watch))
                elif _is_modulated(layer):
                    handles.append(layer.register_forward_pre_hook(self._modulate))
                else:
                    handles.append(layer.register_forward_pre_hook(self._draw_norm))
            with torch.enable_grad():  # `_modulate` asks where its arguments come from; weights are frozen
                module(*inputs)
        return self._calls

    def _draw_filters(self, layer: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Align a layer's filters with its input by patches of it, and give its channels their spread."""
        if layer in self._done:
            return
        filters = filters_of(layer)  # a view: [out, in, kH, kW], or [out, in] of a linear layer
        mixed = _unit(_smooth(layer, filters))
        if patches := self._patches(layer, arguments[0], len(filters)):
            share = _PATCH_SHARE * (_PATCH_FAN_IN / filters[0].numel()) ** _PATCH_FALL
            shares = (share * self._log_normal(len(filters), _PATCH_SPREAD)).clamp(max=0.9)
            shares = _along(shares, 0, mixed)
            mixed = (1 - shares.square()).sqrt() * mixed + shares * patches[0]
        for axis, spread in enumerate((_OUTPUT_SPREAD, _INPUT_SPREAD)):
            mixed = mixed * _along(self._log_normal(mixed.shape[axis], spread), axis, mixed)
        filters.copy_(mixed)

    def _patches(self, layer: Any, x: Tensor, count: int) -> list[Tensor]:
        """One tensor [count, in, kH, kW] of centred patches with norm 1; none where the input has no room for any.

        Of a transposed convolution: the features of one position, faded out bilinearly. In a batch of looks, what looks
        change is made as loud as what the picture shows: aligned filters would hardly answer to it otherwise.
        """
        if isinstance(layer, nn.Linear):
            return []
        up = isinstance(layer, nn.ConvTranspose2d)
        height, width = (1, 1) if up else layer.kernel_size
        if x.shape[1] != filters_of(layer).shape[1] or x.shape[2] <= height or x.shape[3] <= width:
            return []
        shared = x.mean(0, keepdim=True)
        inside, between = shared - shared.mean((2, 3), keepdim=True), x - shared
        centred = inside + between * (_rms(inside) / _rms(between).clamp(min=_LEAST)).clamp(max=_LOUDEST_LOOK)
        energy = functional.avg_pool2d(centred.square().mean(1, keepdim=True), (height, width), stride=1)[:, 0]
        chances = (energy + _LEAST).pow(_PATCH_SALIENCE).flatten()
        places = torch.multinomial(chances, count, replacement=True, generator=self._generator).tolist()
        corners = torch.unravel_index(torch.tensor(places), energy.shape)
        patches = torch.stack(
            [centred[n, :, top : top + height, left : left + width] for n, top, left in zip(*corners, strict=True)]
        )
        return [_unit(patches * _fade(layer) if up else patches)]

    @torch.no_grad()
    def _unit_variance(self, deviation: float, layer: Any, _: Any, y: Tensor) -> Tensor | None:
        """Scale a layer so that its output has that deviation inside its channels, and centre the channels."""
        self._calls.append(layer)
        if layer in self._done:
            return None
        self._done.add(layer)
        bias = layer.bias
        products = y if bias is None else y - _along(bias, 1, y)
        flat = products.numel() == products.shape[0] * products.shape[1]  # one position: there is nothing to centre
        if flat and bias is not None:
            self.codes.append(layer)
        means = torch.zeros(y.shape[1]) if flat else products.mean((0, 2, 3))
        centred = products - _along(means, 1, y)
        scale = deviation / float(centred.square().mean().sqrt().clamp(min=_LEAST))
        if deviation < 1:
            scale = min(scale, _LARGEST_MODULATION / float(centred.abs().max().clamp(min=_LEAST)))
        layer.weight.mul_(scale)
        if bias is not None:
            bias.copy_(self._normal(len(bias), _OFFSET * deviation) - means * scale)
        return products * scale + (0.0 if bias is None else _along(bias, 1, y))

    def _draw_norm(self, norm: nn.Module, arguments: tuple[Any, ...]) -> None:
        """Give a norm's scales and shifts a spread, and the statistics that it keeps, if any, those of its input."""
        scale, shift = _affine(norm)
        mean, variance = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
        if norm in self._done or (scale is None and mean is None):
            return
        self._done.add(norm)
        if scale is not None and shift is not None:
            scale.copy_(self._log_normal(len(scale), _NORM_SPREAD))
            shift.copy_(self._normal(len(shift), _OFFSET))
        if mean is not None and variance is not None:
            x = arguments[0]
            mean.copy_(x.mean((0, 2, 3)) if x[0, 0].numel() > 1 else torch.zeros_like(mean))
            typical = x.var(correction=0)  # a training set's variance is not zero where one photograph's is
            variance.copy_(x.var((0, 2, 3), correction=0).clamp(min=float(typical) * SMALLEST_SHARE))

    def _watch(self, layer: nn.Linear, _: Any, y: Tensor) -> Tensor:
        """Make it known later which of the layer's values scale a norm, and which shift it."""
        leaf = y.detach().requires_grad_()
        self._vectors.append((layer, leaf))
        return leaf.clone()

    def _modulate(self, _: nn.Module, arguments: tuple[Any, ...]) -> tuple[Tensor, ...] | None:
        """Bring shifts to 0 ± 0.5 and scales to 1 ± 0.5 in the linear layer that they come from."""
        x, shift, scale = arguments
        if not scale.requires_grad:
            return None
        for layer, rows in self._rows_behind(shift) + self._rows_behind(scale):
            self.codes = [code for code in self.codes if code is not layer]
            layer.weight[rows] *= _MODULATION
            layer.bias[rows] *= _MODULATION
        for layer, rows in self._rows_behind(scale):
            layer.bias[rows] += 1.0
        return x, shift.detach() * _MODULATION, scale.detach() * _MODULATION + 1.0

    def _rows_behind(self, values: Tensor) -> list[tuple[nn.Linear, Tensor]]:
        """Which rows of which linear layer ``values`` were taken from; a layer called twice counts once."""
        leaves = [leaf for _, leaf in self._vectors]
        slopes = torch.autograd.grad(values.sum(), leaves, retain_graph=True, allow_unused=True)
        found = {
            layer: (slope != 0).any(0)
            for (layer, _), slope in zip(self._vectors, slopes, strict=True)
            if slope is not None
        }
        return list(found.items())

    def _normal(self, count: int, deviation: float) -> Tensor:
        return deviation * torch.randn(count, generator=self._generator)

    def _log_normal(self, count: int, deviation: float) -> Tensor:
        return self._normal(count, deviation).exp()


@contextmanager
def hooks() -> Iterator[list[RemovableHandle]]:
    """A list for hooks' handles; in the end each hook that is in it is removed."""
    handles: list[RemovableHandle] = []
    try:
        yield handles
    finally:
        for handle in handles:
            handle.remove()


def _is_modulated(layer: nn.Module) -> bool:
    """Whether it is a norm that is given its shift and scale."""
    return list(inspect.signature(layer.forward).parameters)[1:] == ["shift", "scale"]


def _deviation_of(name: str) -> float:
    """Convolutions named as SPADE's make 1 + gamma and beta (Park et al. 2019)."""
    return _MODULATION if name.rpartition(".")[2] in ("gamma", "beta") else 1.0


def _affine(norm: nn.Module) -> tuple[Tensor | None, Tensor | None]:
    """A norm's scales and shifts, under torch's names or TensorFlow's."""
    own = dict(norm.named_parameters(recurse=False))
    scale, shift = own.get("weight", own.get("gamma")), own.get("bias", own.get("beta"))
    return (scale, shift) if scale is not None and shift is not None and scale.dim() == 1 else (None, None)


def filters_of(layer: Any) -> Tensor:
    """A layer's weights, output channels first, as a view."""
    weight: Tensor = layer.weight
    return weight.transpose(0, 1) if isinstance(layer, nn.ConvTranspose2d) else weight


def _smooth(layer: nn.Module, filters: Tensor) -> Tensor:
    """Filters of a transposed convolution, made mostly bilinear: rough ones draw a grid that training removes."""
    if not isinstance(layer, nn.ConvTranspose2d):
        return filters
    fade = _fade(layer)
    bilinear = (filters * fade).sum((2, 3), keepdim=True) * fade  # `fade` has norm 1: a projection
    return bilinear + _ROUGHNESS * (filters - bilinear)


def _fade(layer: nn.ConvTranspose2d) -> Tensor:
    """The bilinear kernel of a transposed convolution, [kH, kW], with norm 1."""
    sides = [
        (1 - (torch.arange(side) - (side - 1) / 2).abs() / stride).clamp(min=0)
        for side, stride in zip(layer.kernel_size, layer.stride, strict=True)
    ]
    kernel = torch.outer(*sides)
    unit: Tensor = kernel / kernel.norm()
    return unit


def _unit(filters: Tensor) -> Tensor:
    """The filters, each scaled to norm 1."""
    return filters / _along(filters.flatten(1).norm(dim=1).clamp(min=_LEAST), 0, filters)


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()


def _along(values: Tensor, axis: int, like: Tensor) -> Tensor:
    """The vector ``values``, shaped so that it meets the axis ``axis`` of ``like``."""
    return values.reshape([-1 if i == axis else 1 for i in range(like.dim())])
