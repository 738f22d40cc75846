"""Which nodes of a graph run in FP16.

Four kinds of nodes do: products with constant weights (what the rewrite is for); what combines FP16 values without
arithmetic risk on the way to the next product; sums of two tensors of one shape of which one is FP16 (residual
blocks); and what only moves FP16 values around, or values that FP16 nodes alone will read, which is the same before
and after rounding. Everything else stays FP32: statistics, sigmoid and its kind, and the picture's scaling at the end.

A norm is computed in FP32, and so is the scale and shift by one value a channel behind it (AdaIN's, a group norm's):
they are its affine part, as the weights that InstanceNormalization itself takes. Style networks give them no bound,
they cancel in part (scale · n + shift), and in FP32 the norm's result is rounded once instead of three times; engines
fuse the two operations and the cast into the norm. SPADE's γ and β are maps of the picture's size that convolutions
wrote in FP16, and the norm's result is combined with them in FP16.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

import numpy as np
import onnx_ir as ir

FULL = ir.DataType.FLOAT
HALF = ir.DataType.FLOAT16

# Heavy in arithmetic, safe in FP16 with FP32 accumulation.
_ANCHORS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# Computed in FP32; what they give may be rounded to FP16 at once.
_NORMS = frozenset({"BatchNormalization", "GroupNormalization", "InstanceNormalization", "LayerNormalization"})
# A norm's scale and shift, where one side is a value a channel.
_AFFINE = frozenset({"Add", "Div", "Mul", "Sub"})
# The same values in another place, or some of them: rounding before or after makes no difference.
_MOVERS = frozenset(
    {"Abs", "Clip", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Max", "MaxPool", "Min", "Neg"}
    | {"Pad", "Relu", "Reshape", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"}
)
# Combine values of like size without arithmetic risk.
_COMBINERS = frozenset({"Add", "AveragePool", "LeakyRelu", "Mul", "PRelu", "Resize"})
# Sums over many values: what they add up must not be a product that FP16 cannot hold.
_REDUCTIONS = frozenset({"GlobalAveragePool", "MatMul", "ReduceL2", "ReduceMean", "ReduceSum", "ReduceSumSquare"})
# Inputs that are no data: a Resize reads its region and its scales as FP32, whatever it resizes.
_ALWAYS_FULL: Mapping[str, tuple[int, ...]] = MappingProxyType({"Resize": (1, 2)})

_SMALLEST_HALF = float(np.finfo(np.float16).tiny)
_LARGEST_HALF = float(np.finfo(np.float16).max)


def choose_half(graph: ir.Graph, full_convolutions: int = 0) -> frozenset[ir.Node]:
    """The nodes that run in FP16; the first ``full_convolutions`` convolutions are not among them."""
    choice = _Choice(graph)
    for node in graph:
        if is_anchor(node):
            if full_convolutions:
                full_convolutions -= 1
            else:
                choice.half.add(node)
        else:
            choice.consider(node)
    for node in reversed(graph):
        choice.reconsider(node)
    return frozenset(choice.half)


def is_anchor(node: ir.Node) -> bool:
    """A product with constant weights. A product of two activations may be a sum over a whole picture: too large."""
    return node.op_type in _ANCHORS and node.inputs[1] is not None and node.inputs[1].is_initializer()


def always_full(node: ir.Node) -> tuple[int, ...]:
    """The inputs that an operator reads as FP32 even where it runs in FP16."""
    return _ALWAYS_FULL.get(node.op_type, ())


class _Choice:
    """The nodes chosen so far, and the values that are computed in FP32 but may be rounded wherever they are read."""

    def __init__(self, graph: ir.Graph) -> None:
        self.half: set[ir.Node] = set()
        self._roundable: set[ir.Value] = set()
        self._before_anchor = _before_anchors(graph)

    def consider(self, node: ir.Node) -> None:
        """Decide on a node, in the graph's order: whether its input makes it FP16, or its output is a norm's."""
        inputs = _floats(node)
        if node.op_type in _NORMS:
            if any(self._is_half(value) for value in inputs):
                self._roundable.update(node.outputs)
        elif self._is_affine_part(node, inputs) or (node.op_type in _MOVERS and self._moves_roundable(inputs)):
            self._roundable.update(node.outputs)
        elif self._follows(node, inputs) or self._is_residual_sum(node, inputs):
            self.half.add(node)

    def reconsider(self, node: ir.Node) -> None:
        """Against the graph's order: a node whose values only FP16 nodes read may as well move them in FP16."""
        moves = node.op_type in _MOVERS or (node.op_type == "Resize" and _mode(node) == "nearest")
        if node in self.half or not moves or not _floats(node) or not _constants_survive(node):
            return
        outputs = [value for value in node.outputs if value.dtype is FULL]
        readers = [(use.node, use.idx) for value in outputs for use in value.uses()]
        if any(value.is_graph_output() for value in outputs) or not readers:
            return
        if all(reader in self.half and index not in always_full(reader) for reader, index in readers):
            self.half.add(node)

    def _is_half(self, value: ir.Value) -> bool:
        return value.producer() in self.half or value in self._roundable

    def _follows(self, node: ir.Node, inputs: list[ir.Value]) -> bool:
        if node.op_type not in _MOVERS | _COMBINERS or not inputs or not _constants_survive(node):
            return False
        if node.op_type in _COMBINERS and (node not in self._before_anchor or _is_risky_product(node)):
            return False
        return all(self._is_half(value) for value in inputs)

    def _is_residual_sum(self, node: ir.Node, inputs: list[ir.Value]) -> bool:
        """A block's result and what it is added to, where either is FP16 and a product follows."""
        if node.op_type != "Add" or len(inputs) != 2 or node not in self._before_anchor:
            return False
        same = inputs[0].shape is not None and inputs[0].shape == inputs[1].shape and len(inputs[0].shape) == 4
        return same and any(self._is_half(value) for value in inputs)

    def _is_affine_part(self, node: ir.Node, inputs: list[ir.Value]) -> bool:
        """The scale or shift of a norm: its result combined with fewer values than it has itself."""
        if node.op_type not in _AFFINE or len(node.inputs) != 2:
            return False
        normed = [value for value in inputs if value in self._roundable]
        return len(normed) == 1 and all(
            _size(other) < _size(normed[0]) for other in node.inputs if other is not None and other is not normed[0]
        )

    def _moves_roundable(self, inputs: list[ir.Value]) -> bool:
        return bool(inputs) and all(value in self._roundable for value in inputs)


def _before_anchors(graph: ir.Graph) -> set[ir.Node]:
    """The nodes whose results reach a product with constant weights."""
    found: set[ir.Node] = set()
    for node in reversed(graph):
        readers = [use.node for value in node.outputs for use in value.uses()]
        if is_anchor(node) or any(reader in found for reader in readers):
            found.add(node)
    return found


def _floats(node: ir.Node) -> list[ir.Value]:
    """The FP32 tensors that a node reads, weights left aside."""
    return [value for value in _given(node) if value.dtype is FULL and not value.is_initializer()]


def _given(node: ir.Node) -> Iterable[ir.Value]:
    skipped = always_full(node)
    return [value for index, value in enumerate(node.inputs) if value is not None and index not in skipped]


def _is_risky_product(node: ir.Node) -> bool:
    """A square, or a product that is summed up next: both outgrow FP16 where their factors do not."""
    if node.op_type != "Mul":
        return False
    if node.inputs[0] is node.inputs[1]:
        return True
    return any(use.node.op_type in _REDUCTIONS for use in node.outputs[0].uses())


def _constants_survive(node: ir.Node) -> bool:
    """Whether FP16 can hold the constants: an ε becomes 0 in it, and a mask's -1e9 infinite."""
    for value in _given(node):
        tensor = ir.convenience.get_const_tensor(value) if value.dtype is FULL and value.is_initializer() else None
        if tensor is not None:
            sizes = np.abs(tensor.numpy())
            if not np.all((sizes == 0) | ((sizes >= _SMALLEST_HALF) & (sizes <= _LARGEST_HALF))):
                return False
    return True


def _mode(node: ir.Node) -> str:
    return node.attributes.get_string("mode", "nearest")


def _size(value: ir.Value) -> float:
    """How many numbers a tensor holds; unknown sides count as large."""
    if value.shape is None:
        return float("inf")
    return float(np.prod([side if isinstance(side, int) else 1e6 for side in value.shape], dtype=float))
