"""Exact rewrites as named passes over the ONNX graph; each has a test of its own on a tiny graph.

A pass takes a model in place and returns how many places it rewrote. ``PASSES`` lists them by name in the order in
which they run; ``DEFAULT_PASSES`` are the ones that run unless others are asked for: those that were measured to pay
(docs/figures/rewrite-speed.json).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import onnx_ir as ir

from edge_i2i.errors import UsageError, known_names
from edge_i2i.graphs.passes.narrow_convs import narrow_conv_as_phases
from edge_i2i.graphs.passes.norm_bias import drop_bias_before_instance_norm
from edge_i2i.graphs.passes.outputs import keep_declared_outputs
from edge_i2i.graphs.passes.parallel_convs import merge_parallel_convs
from edge_i2i.graphs.passes.reflect_pads import reflect_pad_as_slices
from edge_i2i.graphs.passes.upsampling import upsample_after_pointwise_conv, upsample_conv_as_phases

__all__ = [
    "DEFAULT_PASSES",
    "PASSES",
    "GraphPass",
    "drop_bias_before_instance_norm",
    "get_passes",
    "keep_declared_outputs",
    "merge_parallel_convs",
    "narrow_conv_as_phases",
    "reflect_pad_as_slices",
    "upsample_after_pointwise_conv",
    "upsample_conv_as_phases",
]


@dataclass(frozen=True)
class GraphPass:
    """A rewrite that does not change what the graph computes."""

    name: str
    summary: str
    apply: Callable[[ir.Model], int]


PASSES: Mapping[str, GraphPass] = MappingProxyType(
    {
        item.name: item
        for item in (
            GraphPass(
                "drop-bias-before-instance-norm",
                "convolution biases that instance norm cancels are removed",
                drop_bias_before_instance_norm,
            ),
            GraphPass(
                "merge-parallel-convs",
                "convolutions that read the same tensor with kernels of one shape become one (SPADE's γ and β)",
                merge_parallel_convs,
            ),
            GraphPass(
                "upsample-conv-as-phases",
                "nearest ×2 upsampling and the wide 3x3 or 5x5 convolution behind it run at the low resolution",
                upsample_conv_as_phases,
            ),
            GraphPass(
                "upsample-after-pointwise-conv",
                "nearest ×2 upsampling comes after a 1x1 convolution instead of before it",
                upsample_after_pointwise_conv,
            ),
            GraphPass(
                "narrow-conv-as-phases",
                "convolutions of at most four output channels (the one that makes the picture) do 2x2 pixels a time",
                narrow_conv_as_phases,
            ),
            GraphPass(
                "reflect-pad-as-slices",
                "reflection pads become slices and concatenations (old TensorRT, Core ML with flexible shapes)",
                reflect_pad_as_slices,
            ),
        )
    }
)
DEFAULT_PASSES: tuple[str, ...] = (
    "drop-bias-before-instance-norm",
    "upsample-conv-as-phases",
    "narrow-conv-as-phases",
)


def get_passes(names: Iterable[str]) -> tuple[GraphPass, ...]:
    """Passes by name.

    Raises:
        UsageError: there is no pass of that name; suggests the nearest.
    """
    return tuple(_get_pass(name) for name in names)


def _get_pass(name: str) -> GraphPass:
    if name not in PASSES:
        raise UsageError(f"There is no graph pass '{name}'.", remedy=known_names(name, PASSES, "passes"))
    return PASSES[name]
