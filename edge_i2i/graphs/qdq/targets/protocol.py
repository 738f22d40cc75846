"""What a quantization target is: the arithmetic of one engine, and the graphs that it takes as they are meant."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import onnx_ir as ir

from edge_i2i.errors import GraphError
from edge_i2i.graphs.passes import GraphPass
from edge_i2i.graphs.qdq.layers import Layer
from edge_i2i.graphs.qdq.scheme import Range, Scheme

_SHOWN_FAULTS = 8


@dataclass(frozen=True)
class Placement:
    """Which layers are quantized by default, in graph order, and why each of the others is not.

    ``delicate``: those of the quantized ones that go back to float first where a budget is missed, the most expensive
    first.
    """

    quantized: tuple[str, ...]
    left_out: Mapping[str, str]
    delicate: tuple[str, ...] = ()


class FaultKind(StrEnum):
    """What a target does with a node that is not legal for it: reads it as something else, or stops there."""

    RE_READ = "is computed as something else"
    REFUSED = "is refused"


@dataclass(frozen=True)
class Fault:
    """A node that a target does not compute as it is written."""

    node: ir.Node
    kind: FaultKind
    reason: str

    def __str__(self) -> str:
        return f"{self.node.op_type} '{self.node.name or self.node.outputs[0].name}' {self.kind}: {self.reason}"


class Target(ABC):
    """One engine's INT8.

    ``scheme``: how activations are written for it. ``before_pads``: whether it pads integers. ``passes``: what makes a
    Q/DQ graph legal for it, also one that another tool quantized. ``needs_outputs``: whether results of convolutions
    have to be quantized, too, so that ``legalise`` wants their ranges.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    scheme: ClassVar[Scheme]
    before_pads: ClassVar[bool] = False
    passes: ClassVar[tuple[GraphPass, ...]] = ()

    @property
    def needs_outputs(self) -> bool:
        """Whether ``legalise`` wants to know what convolutions write."""
        return False

    def placement(self, layers: tuple[Layer, ...]) -> Placement:
        """The layers that are quantized unless others are asked for, and the reason for each that is not."""
        reasons = {layer.name: self.reason_for_float(layer) for layer in layers}
        left_out = {name: reason for name, reason in reasons.items() if reason}
        delicate = [layer for layer in layers if layer.name not in left_out and self.is_delicate(layer)]
        delicate.sort(key=lambda layer: -layer.macs)
        quantized = tuple(name for name in reasons if name not in left_out)
        return Placement(quantized, left_out, tuple(layer.name for layer in delicate))

    @abstractmethod
    def reason_for_float(self, layer: Layer) -> str:
        """Why a layer stays in float by default; empty where it is quantized."""

    def is_delicate(self, layer: Layer) -> bool:
        """Whether a layer is known to lose more in INT8 than others do, so that it goes back to float before them."""
        return False

    def legalise(self, model: ir.Model, outputs: Mapping[str, Range] | None = None) -> dict[str, int]:
        """Run the passes on a graph behind ``insert_qdq``, in place; returns how many places each of them rewrote.

        Args:
            model: a Q/DQ graph.
            outputs: what each layer's result reaches, by layer name; only where the target ``needs_outputs``.
        """
        return {item.name: item.apply(model) for item in self.passes}

    def check(self, model: ir.Model) -> None:
        """Make sure that this target computes a graph as it is written.

        Raises:
            GraphError: it would not; names every such node.
        """
        faults = self.faults(model)
        if faults:
            lines = [str(fault) for fault in faults[:_SHOWN_FAULTS]]
            if len(faults) > _SHOWN_FAULTS:
                names = ", ".join(fault.node.name or "(unnamed)" for fault in faults[_SHOWN_FAULTS:])
                lines.append(f"and {len(faults) - _SHOWN_FAULTS} more: {names}")
            raise GraphError(
                f"{self.title} would not compute this quantized graph as it is written:\n  " + "\n  ".join(lines),
                remedy=f"Quantize for it: edge-i2i quantize BUNDLE --data FOLDER --target {self.name}.",
            )

    @abstractmethod
    def faults(self, model: ir.Model) -> tuple[Fault, ...]:
        """The nodes that this target would re-interpret or refuse, in graph order."""

    def notes(self, layers: tuple[Layer, ...]) -> tuple[str, ...]:
        """What a user should know of these layers' INT8 on this target, a sentence each."""
        return ()

    def emulate(self, model: ir.Model) -> ir.Model:
        """A copy that computes in ONNX Runtime, with fusion of Q/DQ switched off, what the target computes.

        Between the quantizers it is float arithmetic, where targets add up integers: those sums are exact, so the
        results differ by the rounding of a float sum (a step of a later quantizer now and then). What the target
        computes in FP16 or BF16 beside its integers is not emulated.

        Raises:
            GraphError: the target refuses the graph.
        """
        refused = [fault for fault in self.faults(model) if fault.kind is FaultKind.REFUSED]
        if refused:
            raise GraphError(f"{self.title} computes nothing here: {refused[0]}.")
        return model.clone()
