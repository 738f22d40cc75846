"""How large a graph may be: what networks of the declared size can need, with room to spare."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_i2i.contract import GraphDeclaration, TensorSpec


@dataclass(frozen=True)
class GraphCost:
    """What one run of a graph takes: operations, bytes of values that are alive at once, and multiplications."""

    nodes: int
    memory: int
    work: int


@dataclass(frozen=True)
class Limits:
    """What one run of a graph may take: by its pixels, by its other numbers, and in any case.

    The largest published networks take 636 operations (quantized), 19 % of the memory and 21 % of the work
    (``docs/figures/gate.json``). OpenVINO takes half a minute for 1,500 operations, and four times that for 3,000.

    ``memory_per_pixel``, ``memory_per_number`` and ``least_memory``: bytes of values that are alive at once.
    ``work_per_pixel``, ``work_per_number`` and ``least_work``: multiplications. ``nodes``: how many operations.
    """

    memory_per_pixel: int = 8 << 10
    memory_per_number: int = 64
    least_memory: int = 64 << 20
    work_per_pixel: int = 8_000_000
    work_per_number: int = 10_000
    least_work: int = 1 << 34
    nodes: int = 1_500

    def memory(self, declaration: GraphDeclaration) -> int:
        """Bytes that may be alive at once."""
        declared = self.memory_per_pixel * _pixels(declaration) + self.memory_per_number * _numbers(declaration)
        return max(self.least_memory, declared)

    def work(self, declaration: GraphDeclaration) -> int:
        """Multiplications that one run may take."""
        declared = self.work_per_pixel * _pixels(declaration) + self.work_per_number * _numbers(declaration)
        return max(self.least_work, declared)

    def shares(self, cost: GraphCost, declaration: GraphDeclaration) -> dict[str, float]:
        """What share a graph takes of what it may: ``nodes``, ``memory``, ``work``; 1 is the limit."""
        return {
            "nodes": cost.nodes / self.nodes,
            "memory": cost.memory / self.memory(declaration),
            "work": cost.work / self.work(declaration),
        }


def _specs(declaration: GraphDeclaration) -> tuple[TensorSpec, ...]:
    return (*declaration.inputs, *declaration.outputs)


def _pixels(declaration: GraphDeclaration) -> int:
    """The pixels of the largest picture or map that goes in or out."""
    return max((math.prod(spec.shape[:2]) for spec in _specs(declaration) if spec.is_spatial), default=0)


def _numbers(declaration: GraphDeclaration) -> int:
    """How many numbers go in and out in tensors that are no picture and no map."""
    return sum(math.prod(spec.shape) for spec in _specs(declaration) if not spec.is_spatial)
