"""A graph that also gives what its layers read and write, and says which layer is to blame where that is no number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.engines.protocol import GraphSource
from edge_i2i.errors import BadInputError, GraphError
from edge_i2i.quantize.calibration.samples import Sample

if TYPE_CHECKING:
    import onnx_ir as ir

    from edge_i2i.graphs.qdq.layers import Layer


class TappedGraph:
    """A FP32 graph on ONNX Runtime with an output for every tensor that a layer reads and, with ``outputs``, writes.

    ``inputs``, ``outputs``: the tensors by layer name, in graph order.

    Args:
        graph: the FP32 graph.
        outputs: whether to tap what layers write, too.
        threads: CPU threads of ONNX Runtime; None: its own choice.

    Raises:
        BadInputError: the graph has no layer that could be quantized, or a layer's weight holds NaN or infinity.
    """

    def __init__(self, graph: GraphSource, *, outputs: bool = False, threads: int | None = None) -> None:
        self._graph, self._threads = graph, threads
        self._names, data = _tapped(graph, outputs)
        self.inputs, self.outputs = self._names.inputs, self._names.outputs
        self._session = _session(data, threads)

    @property
    def tensors(self) -> tuple[str, ...]:
        """The names of all tensors that a layer reads or, where that was asked for, writes."""
        return tuple(dict.fromkeys([*self.inputs.values(), *self.outputs.values()]))

    def run(self, sample: Sample) -> dict[str, Array]:
        """The tensors of one sample, float32 ``[1, channels, height, width]``, by name.

        Raises:
            BadInputError: one of them holds NaN or infinity; names the layer that made it.
        """
        found = self._run(sample)
        if not all(np.isfinite(array).all() for array in found.values()):
            raise self._not_finite(sample)
        return found

    def _run(self, sample: Sample) -> dict[str, Array]:
        wanted = list(self._names.wanted)
        return dict(zip(wanted, self._session.run(wanted, dict(sample)), strict=True))

    def _not_finite(self, sample: Sample) -> BadInputError:
        """The error, with the first layer in graph order whose input or result is no number."""
        complete = self if self.outputs else TappedGraph(self._graph, outputs=True, threads=self._threads)
        found = complete._run(sample)
        faults = (
            f"{what} the layer '{name}'"
            for name in complete.inputs
            for what, tensors in (("The input of", complete.inputs), ("The result of", complete.outputs))
            if not np.isfinite(found[tensors[name]]).all()
        )
        return BadInputError(
            f"{next(faults)} is NaN or infinite: this network cannot be calibrated.",
            remedy="Check the checkpoint (edge-i2i verify), and leave odd frames out of the calibration set.",
        )


@dataclass(frozen=True)
class _Names:
    """Tensors by layer name, and all that a run has to give."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    wanted: tuple[str, ...]


def _tapped(graph: GraphSource, outputs: bool) -> tuple[_Names, bytes]:
    """The graph with more outputs, as a file; no other copy of it is alive when the engine makes its own."""
    from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
    from edge_i2i.graphs.qdq.layers import find_layers

    model = model_from_bytes(graph.read())
    layers = find_layers(model)
    _refuse_unfit(graph, layers)
    read = [layer.source for layer in layers]
    # No layer reads what the last ones write: NaN there would pass unseen.
    written = [layer.node.outputs[0] for layer in layers if outputs or layer.last]
    model.graph.outputs[:] = list(dict.fromkeys([*model.graph.outputs, *read, *written]))
    names = _Names(
        {layer.name: _name(layer.source) for layer in layers},
        {layer.name: _name(layer.node.outputs[0]) for layer in layers if outputs},
        tuple(dict.fromkeys(map(_name, [*read, *written]))),
    )
    return names, model_to_bytes(model)


def _refuse_unfit(graph: GraphSource, layers: Sequence[Layer]) -> None:
    from edge_i2i.graphs.passes.rewriting import constant

    if not layers:
        raise BadInputError(
            f"The graph '{graph.declaration.name}' has no convolution that could be quantized.",
            remedy="Use it in float: --variant fp16 or fp32.",
        )
    for layer in layers:
        weight = constant(layer.weight)
        if weight is not None and not np.isfinite(weight).all():
            raise BadInputError(
                f"The weight of the layer '{layer.name}' holds NaN or infinity: this network cannot be calibrated.",
                remedy="Check the checkpoint, and export it again.",
            )


def _session(data: bytes, threads: int | None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _name(value: ir.Value) -> str:
    if value.name is None:
        raise GraphError("A tensor of the graph has no name.")
    return value.name
