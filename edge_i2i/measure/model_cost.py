"""What a network costs: parameters and multiply-accumulates of each of its graphs, counted without computing anything.

Multiply-accumulates are true ones: a transposed convolution counts its input positions, not its output's (published
tables of the field often count the latter). Convolutions and matrix products count, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_i2i.graphs.picture import example_inputs, to_network_form
from edge_i2i.models.contract import GraphKind, Size
from edge_i2i.models.family import ModelFamily, ModelGraph


@dataclass(frozen=True)
class GraphCost:
    """One graph: its parameters, and the multiply-accumulates of one run."""

    graph: str
    kind: GraphKind
    parameters: int
    macs: int


def cost_of(family: ModelFamily[Any], config: Any, size: Size) -> tuple[GraphCost, ...]:
    """The cost of every graph of an architecture at a size; full-size networks take neither memory nor time.

    Raises:
        UsageError: the network cannot take that size.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(allow_non_fake_inputs=True):
        model = family.random(config, seed=0)
        return tuple(_graph_cost(graph) for graph in model.graphs(size))


def _graph_cost(graph: ModelGraph) -> GraphCost:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    specs = graph.declaration.inputs
    inputs = [to_network_form(*pair) for pair in zip(example_inputs(graph.declaration), specs, strict=True)]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        graph.module(*inputs)
    parameters = sum(parameter.numel() for parameter in graph.module.parameters())
    return GraphCost(graph.declaration.name, graph.declaration.kind, parameters, counter.get_total_flops() // 2)
