"""A quantized graph from a float one: equalise, insert, legalise, and hold against the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_i2i.arrays import Array
from edge_i2i.contract import LARGEST_WEIGHT
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import GraphSource
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.qdq.equalise import equalise_channels
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import Layer, find_layers
from edge_i2i.graphs.qdq.scheme import Range, WeightMemo
from edge_i2i.graphs.qdq.targets.protocol import Placement
from edge_i2i.quantize.calibration.statistics import Statistics

if TYPE_CHECKING:
    import onnx_ir as ir

    from edge_i2i.graphs.qdq.targets.protocol import Target

KEPT_AS_ASKED = "as asked"


@dataclass(frozen=True)
class QuantizedGraph:
    """A quantized graph in memory, and how it came to be. ``layers``: the quantized ones, in graph order."""

    source: GraphInMemory
    layers: tuple[str, ...]
    passes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class PreparedGraph:
    """A float graph that is ready for INT8: its channels are as wide as they will be, and ``ranges`` are of it.

    ``ranges``: what the input of each layer reaches, by layer name.
    """

    model: ir.Model
    ranges: Mapping[str, Range]


class Quantizer:
    """Makes quantized variants of one float graph for one target; the graph is read once.

    Args:
        graph: the FP32 variant.
        statistics: what its layers reach.
        target: whose rule, scheme and passes count.
        equalise: whether to make the channels of a tensor equally wide before.
        keep_float: layers that stay in float whatever the rule says.
        largest_weight: the largest integer that a weight may become: ``Engine.largest_weight``.

    Raises:
        UsageError: there is no layer of a name.
        GraphError (from ``quantize``): the target would read the quantized graph as another.
    """

    def __init__(
        self,
        graph: GraphSource,
        statistics: Statistics,
        target: Target,
        *,
        equalise: bool = True,
        keep_float: Collection[str] = (),
        largest_weight: int = LARGEST_WEIGHT,
    ) -> None:
        self._graph, self._statistics, self.target, self._equalise = graph, statistics, target, equalise
        self._model, self._memo = model_from_bytes(graph.read()), WeightMemo(largest_weight)
        self.layers = find_layers(self._model)
        self.opset = int(self._model.opset_imports[""])
        check_names(keep_float, self.layers)
        self.largest_weight = largest_weight
        self.rule = target.placement(self.layers)
        self.placement = _without(self.rule, keep_float)

    def quantize(self, layers: Collection[str], variant: str) -> QuantizedGraph:
        """The graph with these layers in INT8, as the target takes it."""
        return self.write(self.prepare(layers), layers, variant)

    def prepare(self, layers: Collection[str]) -> PreparedGraph:
        """A copy of the float graph with equally wide channels where these layers read, and what all layers read."""
        model = self._model.clone()
        reached = self._statistics.inputs
        if self._equalise:
            return PreparedGraph(model, equalise_channels(model, reached, layers))
        return PreparedGraph(model, {name: channels.whole for name, channels in reached.items()})

    def write(
        self,
        prepared: PreparedGraph,
        layers: Collection[str],
        variant: str,
        *,
        scales: Mapping[str, Array] | None = None,
        outputs: Mapping[str, Range] | None = None,
    ) -> QuantizedGraph:
        """The prepared graph with these layers in INT8, as the target takes it; its model is changed in place.

        Args:
            prepared: what ``prepare`` gave, or the same network with other weights and ranges.
            layers: the layers to quantize; a range of each is known.
            variant: what the quantized graph is called.
            scales: of weights, where they were learned: float32 ``[output channels]`` by layer name.
            outputs: what layers write, by layer name, where the weights are others; None: as calibrated.

        Raises:
            GraphError: the target would read the quantized graph as another.
        """
        model = prepared.model
        insert_qdq(
            model,
            prepared.ranges,
            self.target.scheme,
            layers,
            scales,
            before_pads=self.target.before_pads,
            memo=self._memo,
        )
        written = self._written() if outputs is None else outputs
        passes = self.target.legalise(model, written if self.target.needs_outputs else None)
        self.target.check(model)
        quantized = tuple(layer.name for layer in self.layers if layer.name in layers)
        return QuantizedGraph(self._source(model, variant, len(quantized)), quantized, passes)

    def refuse_empty(self) -> None:
        """Refuse to go on where the rule and what was asked for leave nothing to quantize.

        Raises:
            BadInputError: says why each layer stays in float.
        """
        if self.placement.quantized:
            return
        reasons = "; ".join(f"{name}: {reason}" for name, reason in self.placement.left_out.items())
        raise BadInputError(
            f"For {self.target.title}, every layer stays in float: there is nothing to quantize ({reasons}).",
            remedy="Keep fewer layers in float, or leave this target out.",
        )

    def _written(self) -> dict[str, Range]:
        return {name: channels.whole for name, channels in self._statistics.outputs.items()}

    def _source(self, model: ir.Model, variant: str, count: int) -> GraphInMemory:
        precision = "int8" if count >= len(self.rule.quantized) else "mixed"
        return GraphInMemory(
            self._graph.declaration, model_to_bytes(model), variant, precision, targets=(self.target.name,)
        )


def layers_of(graph: GraphSource) -> tuple[Layer, ...]:
    """The layers of a graph, in its order; recipes and ``--keep-float`` say their names."""
    return find_layers(model_from_bytes(graph.read()))


def check_names(names: Collection[str], layers: Collection[Layer]) -> None:
    """Refuse names that no layer has.

    Raises:
        UsageError: a name is unknown; the remedy lists the known ones.
    """
    known = [layer.name for layer in layers]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"The graph has no layer {', '.join(unknown)}.", remedy=f"It has: {', '.join(known)}.")


def _without(rule: Placement, keep_float: Collection[str]) -> Placement:
    quantized = tuple(name for name in rule.quantized if name not in keep_float)
    asked = {name: KEPT_AS_ASKED for name in rule.quantized if name in keep_float}
    delicate = tuple(name for name in rule.delicate if name not in keep_float)
    return Placement(quantized, {**rule.left_out, **asked}, delicate)
