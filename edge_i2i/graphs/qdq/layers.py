"""Which layers of a graph can be quantized, and what is known of each."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.graphs.passes.rewriting import constant, optional, pad_amounts, required, static_shape

CONVOLUTIONS = ("Conv", "ConvTranspose")
_MOVED_ONLY = frozenset({"Gather", "Squeeze", "Reshape", "Identity", "DepthToSpace", "Transpose", "Slice", "Concat"})
_TO_PICTURE = frozenset({"Tanh", "Sigmoid", "Add", "Mul", "Sub", "Div", "Round", "Clip", "Cast", "Where"}) | _MOVED_ONLY


@dataclass(frozen=True)
class Layer:
    """A convolution with constant weights, at a static size.

    ``name`` is its weight's, without what the exporter puts around it; a weight that is used twice gives ``…#2``.
    ``source`` is the tensor to be quantized: the convolution's input, before a ``pad`` that only repeats its values or
    adds zeros. ``macs``: multiplications a run. ``last``: its result becomes the picture without another convolution.
    """

    name: str
    operator: str
    node: ir.Node
    source: ir.Value
    pad: ir.Node | None
    weight: ir.Value
    weight_shape: tuple[int, ...]
    groups: int
    macs: int
    last: bool

    @property
    def output_axis(self) -> int:
        """The weight's axis of output channels."""
        return 0 if self.operator == "Conv" else 1

    @property
    def input_channels(self) -> int:
        """How many channels it reads."""
        return self.weight_shape[1] * self.groups if self.operator == "Conv" else self.weight_shape[0]

    @property
    def output_channels(self) -> int:
        """How many channels it writes."""
        return self.weight_shape[0] if self.operator == "Conv" else self.weight_shape[1] * self.groups


def find_layers(model: ir.Model) -> tuple[Layer, ...]:
    """Every convolution with constant weights, in graph order."""
    seen: Counter[str] = Counter()
    ends = _picture_ends(model.graph)
    layers = []
    for node in model.graph:
        if (layer := _layer(node, node in ends, seen)) is not None:
            layers.append(layer)
    return tuple(layers)


def layer_name(weight: str) -> str:
    """The name of a layer whose weight has that name in the file.

    >>> layer_name("network.model.4.weight"), layer_name("network.dec.up.1.weight_phases")
    ('model.4', 'dec.up.1.phases')
    """
    stem = weight.removeprefix("network.")
    head, found, tail = stem.rpartition(".weight")
    return f"{head}{tail.replace('_', '.', 1)}" if found else stem


def _layer(node: ir.Node, last: bool, seen: Counter[str]) -> Layer | None:
    if node.op_type not in CONVOLUTIONS or len(node.inputs) < 2:
        return None
    value = required(node, 1)
    weight, output = constant(value), static_shape(node.outputs[0])
    given = static_shape(required(node, 0))
    if weight is None or weight.ndim != 4 or output is None or given is None:
        return None
    pad = _plain_pad(required(node, 0))
    stem = layer_name(str(value.name))
    seen[stem] += 1
    return Layer(
        name=stem if seen[stem] == 1 else f"{stem}#{seen[stem]}",
        operator=node.op_type,
        node=node,
        source=required(pad, 0) if pad is not None else required(node, 0),
        pad=pad,
        weight=value,
        weight_shape=tuple(weight.shape),
        groups=node.attributes.get_int("group", 1),
        macs=_macs(node, weight, given, output),
        last=last,
    )


def _macs(node: ir.Node, weight: Array, given: list[int], output: list[int]) -> int:
    """A transposed convolution meets each of its weights once for every input pixel, not for every output pixel."""
    pixels = output if node.op_type == "Conv" else given
    return math.prod(pixels[2:]) * pixels[0] * weight.size


def _plain_pad(value: ir.Value) -> ir.Node | None:
    """The Pad that made a value for one reader alone, where padding its quantized input gives the same."""
    node = value.producer()
    if node is None or node.op_type != "Pad" or required(node, 0).producer() is None:
        return None
    if len(value.uses()) != 1 or value.is_graph_output() or not _pads_pixels(node):
        return None
    if node.attributes.get_string("mode", "constant") in ("reflect", "edge"):
        return node
    fill = optional(node, 2)
    filled = constant(fill)
    return node if fill is None or (filled is not None and not filled.any()) else None


def _pads_pixels(node: ir.Node) -> bool:
    """Whether a Pad adds rows and columns only, no channels."""
    amounts = pad_amounts(node)
    return amounts is not None and all(amount == (0, 0) for amount in amounts[:2])


def _picture_ends(graph: ir.Graph) -> set[ir.Node]:
    """The convolutions behind which only tanh, scaling and rounding come before the picture."""
    found: set[ir.Node] = set()
    open_values = [value for value in graph.outputs]
    visited: set[ir.Value] = set()
    while open_values:
        value = open_values.pop()
        node = value.producer()
        if value in visited or node is None:
            continue
        visited.add(value)
        if node.op_type in CONVOLUTIONS:
            found.add(node)
        elif node.op_type in _TO_PICTURE:
            open_values.extend(given for given in node.inputs if given is not None)
    return found
