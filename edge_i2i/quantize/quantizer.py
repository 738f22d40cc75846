"""A quantized graph from a float one: equalise, insert, legalise, and hold against the target."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edge_i2i.contract import LARGEST_WEIGHT
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import GraphSource
from edge_i2i.errors import UsageError
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.qdq.equalise import equalise_channels
from edge_i2i.graphs.qdq.insert import insert_qdq
from edge_i2i.graphs.qdq.layers import Layer, find_layers
from edge_i2i.graphs.qdq.scheme import WeightMemo
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
        model = self._model.clone()
        reached = self._statistics.inputs
        ranges = (
            equalise_channels(model, reached, layers)
            if self._equalise
            else {name: channels.whole for name, channels in reached.items()}
        )
        insert_qdq(model, ranges, self.target.scheme, layers, before_pads=self.target.before_pads, memo=self._memo)
        written = {name: channels.whole for name, channels in self._statistics.outputs.items()}
        passes = self.target.legalise(model, written if self.target.needs_outputs else None)
        self.target.check(model)
        quantized = tuple(layer.name for layer in self.layers if layer.name in layers)
        return QuantizedGraph(self._source(model, variant, len(quantized)), quantized, passes)

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
