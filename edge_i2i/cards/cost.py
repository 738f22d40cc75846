"""What a network costs: parameters and multiply-accumulates of each of its graphs, counted without computing anything.

Multiply-accumulates are true ones: a transposed convolution counts its input positions, not its output's (published
tables of the field often count the latter). Convolutions and matrix products count, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_i2i.contract import GraphKind, Size
from edge_i2i.errors import UsageError
from edge_i2i.graphs.picture import example_inputs, to_network_form
from edge_i2i.models.family import ModelFamily, ModelGraph

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class GraphCost:
    """One graph: the names of its inputs, the parameters that it reads, and the multiply-accumulates of one run."""

    graph: str
    kind: GraphKind
    inputs: tuple[str, ...]
    parameters: int
    macs: int


def cost_of(family: ModelFamily[Any], config: Any, size: Size) -> tuple[GraphCost, ...]:
    """The cost of every graph of an architecture at a size; full-size networks take neither memory nor time.

    Args:
        family: the published model.
        config: its architecture.
        size: height and width of the frame in pixels.

    Raises:
        UsageError: the network cannot take that size.
    """
    return costs_of(family, config, [size])[size]


def costs_of(
    family: ModelFamily[Any], config: Any, sizes: Iterable[Size], *, fitting: bool = False
) -> dict[Size, tuple[GraphCost, ...]]:
    """The costs at several sizes, of one network that is built once.

    Args:
        family: the published model.
        config: its architecture.
        sizes: of the frame, in pixels; the same one twice is counted once.
        fitting: leave out the sizes that the network cannot take.

    Raises:
        UsageError: the network cannot take one of the sizes, and ``fitting`` was not asked for.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    costs = {}
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = family.random(config, seed=0)
        for size in dict.fromkeys(sizes):
            try:
                costs[size] = tuple(_graph_cost(graph) for graph in model.graphs(size))
            except UsageError:
                if not fitting:
                    raise
    return costs


def _graph_cost(graph: ModelGraph) -> GraphCost:
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    declaration = graph.declaration
    pairs = zip(example_inputs(declaration), declaration.inputs, strict=True)
    inputs = [to_network_form(*pair) for pair in pairs]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter, _reads(graph.module) as read:
        graph.module(*inputs)
    names = tuple(spec.name for spec in declaration.inputs)
    parameters = sum(tensor.numel() for tensor in read.values())
    return GraphCost(declaration.name, declaration.kind, names, parameters, counter.get_total_flops() // 2)


@contextmanager
def _reads(module: nn.Module) -> Iterator[dict[int, Tensor]]:
    """The parameters that are read inside the block: a module may hold others, of which a graph uses a part."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils._pytree import tree_iter

    owned = {id(tensor) for tensor in module.parameters()}
    read: dict[int, Tensor] = {}

    # torch ships this class without types, which is all that the two ignores say
    class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            read.update({id(leaf): leaf for leaf in tree_iter((args, kwargs)) if id(leaf) in owned})
            return func(*args, **(kwargs or {}))

    with Recorder():  # type: ignore[no-untyped-call]
        yield read
