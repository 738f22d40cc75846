"""The frame graph of a bundle as a torch module that can be trained: what is fine-tuned is what runs.

Training the exported graph instead of the network it came from keeps every rewrite of the export (phase convolutions,
baked spectral norm, dropped biases) in the training, and every layer under the name that the quantized graph knows it
by. Only weights and biases of the convolutions are trained: quantization disturbs nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from edge_i2i.engines.torch.interpreter import OPERATIONS
from edge_i2i.errors import GraphError
from edge_i2i.graphs.qdq.layers import find_layers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edge_i2i.engines.torch.interpreter.arguments import Attributes, Operation

_BEHIND_ROUNDING = frozenset({"Cast", "Clip", "Identity", "Transpose", "Squeeze", "Reshape"})


def with_float_picture(model: ir.Model) -> ir.Model:
    """A copy of a frame graph that ends with the picture before it is rounded: float32 [H, W, 3], about 0..255.

    Rounding has no gradient. The copy's weights are the model's own arrays.

    Raises:
        GraphError: the graph's result is not rounded to a picture.
    """
    copy = model.clone()
    value: ir.Value | None = copy.graph.outputs[0]
    while value is not None and (node := value.producer()) is not None:
        value = node.inputs[0]
        if node.op_type == "Round" and value is not None:
            copy.graph.outputs[:] = [value]
            return copy
        if node.op_type not in _BEHIND_ROUNDING:
            break
    raise GraphError(
        f"The graph '{model.graph.name}' does not end by rounding a picture: nothing to fine-tune against.",
        remedy="Fine-tune the frame graph of a bundle that edge-i2i export wrote.",
    )


class Step(nn.Module):
    """One node of the graph. ``input_quantizer`` and ``weight_quantizer`` of a layer are set from outside."""

    input_quantizer: nn.Module | None
    weight_quantizer: nn.Module | None

    def __init__(self, operation: Operation, attributes: Attributes) -> None:
        super().__init__()
        self._operation, self._attributes = operation, attributes
        self.input_quantizer = self.weight_quantizer = None
        self._watcher: Callable[[Tensor], None] | None = None

    def watch(self, watcher: Callable[[Tensor], None] | None) -> None:
        """Show the first input of every run to ``watcher``; None: to nobody any more."""
        self._watcher = watcher

    def forward(self, inputs: Sequence[Tensor | None]) -> tuple[Tensor, ...]:
        """The node's inputs in order (None: left out) → its outputs."""
        given = list(inputs)
        for index, quantizer in enumerate((self.input_quantizer, self.weight_quantizer)):
            if quantizer is not None:
                given[index] = quantizer(given[index])
        if self._watcher is not None and given[0] is not None:
            self._watcher(given[0])
        result = self._operation(given, self._attributes)
        return (result,) if isinstance(result, Tensor) else tuple(result)


class GraphNetwork(nn.Module):
    """An ONNX graph with one output as a module; weights and biases of its convolutions are parameters.

    Layers go by the names that ``find_layers`` gives them.
    """

    def __init__(self, model: ir.Model) -> None:
        super().__init__()
        proto = ir.to_proto(model)
        unknown = sorted({node.op_type for node in proto.graph.node} - OPERATIONS.keys())
        if unknown:
            raise GraphError(f"The operations {', '.join(unknown)} cannot be trained.", remedy="Quantize without QAT.")
        self.input_names = [value.name for value in proto.graph.input]
        self.output_name = proto.graph.output[0].name
        self._keys = _add_weights(self, proto)
        self._wiring = [self._add_step(node, number) for number, node in enumerate(proto.graph.node)]
        self._last_use = {
            name: number for number, (inputs, outputs) in enumerate(self._wiring) for name in (*outputs, *inputs)
        }
        places = {node: number for number, node in enumerate(model.graph)}
        self._places = {layer.name: places[layer.node] for layer in find_layers(model)}

    def _add_step(self, node: onnx.NodeProto, number: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
        self.add_module(f"step{number}", Step(OPERATIONS[node.op_type], attributes))
        return tuple(node.input), tuple(node.output)

    def layer(self, name: str) -> Step:
        """The step that computes a layer, by the layer's name in ``find_layers``."""
        return self._step(self._places[name])

    def _step(self, number: int) -> Step:
        step = self.get_submodule(f"step{number}")
        if not isinstance(step, Step):
            raise TypeError(f"step{number} is no step of the graph")
        return step

    def forward(self, *inputs: Tensor) -> Tensor:
        """The graph's inputs in order, in outside form → its output."""
        values: dict[str, Tensor] = dict(zip(self.input_names, inputs, strict=True))
        for number, (names, outputs) in enumerate(self._wiring):
            given = [self._value(values, name) for name in names]
            values.update(zip(outputs, self._step(number)(given), strict=False))
            for name in (*names, *outputs):
                if self._last_use[name] == number and name != self.output_name:
                    values.pop(name, None)
        return values[self.output_name]

    def _value(self, values: Mapping[str, Tensor], name: str) -> Tensor | None:
        if not name:
            return None
        if name in values:
            return values[name]
        constant: Tensor = getattr(self, self._keys[name])
        return constant

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """Copies of the trained weights and biases, float32, by the graph's names for them."""
        trained = {name for name, _ in self.named_parameters(recurse=False)}
        return {
            name: getattr(self, key).detach().cpu().numpy().copy() for name, key in self._keys.items() if key in trained
        }


def _add_weights(network: nn.Module, proto: onnx.ModelProto) -> dict[str, str]:
    """Register every initializer; returns the attribute that holds each (torch allows no dots in names)."""
    trained = {
        name
        for node in proto.graph.node
        if node.op_type in ("Conv", "ConvTranspose")
        for name in node.input[1:]
        if name
    }
    keys = {}
    for number, item in enumerate(proto.graph.initializer):
        keys[item.name] = f"constant{number}"
        # Not from_numpy: torch picks other kernels, which round otherwise, for memory that it has not aligned itself.
        tensor = torch.tensor(numpy_helper.to_array(item))
        if item.name in trained and tensor.is_floating_point():
            network.register_parameter(keys[item.name], nn.Parameter(tensor))
        else:
            network.register_buffer(keys[item.name], tensor)
    return keys


def put_weights(model: ir.Model, weights: Mapping[str, NDArray[np.float32]]) -> None:
    """Replace initializers of a graph by the arrays of the same name.

    Raises:
        GraphError: the graph has no such initializer, or one of another shape.
    """
    for name, array in weights.items():
        value = model.graph.initializers.get(name)
        if value is None or value.const_value is None or tuple(value.const_value.shape) != array.shape:
            raise GraphError(f"The graph has no weight '{name}' of shape {list(array.shape)}.")
        value.const_value = ir.tensor(array, name=name)
