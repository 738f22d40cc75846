"""Operations on single values, reductions over axes, and products."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import onnx
import torch
from torch import Tensor
from torch.nn import functional

from edge_i2i.engines.torch.interpreter.arguments import Attributes, Inputs, Operation, ints, need, optional, text, wide
from edge_i2i.errors import GraphFileError

_DTYPES: Mapping[int, torch.dtype] = MappingProxyType(
    {
        onnx.TensorProto.FLOAT: torch.float32,
        onnx.TensorProto.FLOAT16: torch.float16,
        onnx.TensorProto.DOUBLE: torch.float64,
        onnx.TensorProto.UINT8: torch.uint8,
        onnx.TensorProto.INT8: torch.int8,
        onnx.TensorProto.INT32: torch.int32,
        onnx.TensorProto.INT64: torch.int64,
        onnx.TensorProto.BOOL: torch.bool,
    }
)


def _cast(inputs: Inputs, a: Attributes) -> Tensor:
    if a["to"] not in _DTYPES:
        raise GraphFileError(f"The torch reference has no type {onnx.TensorProto.DataType.Name(a['to'])}.")
    return need(inputs[0]).to(_DTYPES[a["to"]])


def _clip(inputs: Inputs, _: Attributes) -> Tensor:
    low, high = optional(inputs, 1), optional(inputs, 2)
    x = need(inputs[0])
    return x if low is None and high is None else torch.clamp(x, min=low, max=high)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _power(inputs: Inputs, _: Attributes) -> Tensor:
    base, exponent = need(inputs[0]), need(inputs[1])
    return torch.pow(base, exponent).to(base.dtype)


def _matmul(inputs: Inputs, _: Attributes) -> Tensor:
    left, right = need(inputs[0]), need(inputs[1])
    return torch.matmul(wide(left), wide(right)).to(left.dtype)


def _gemm(inputs: Inputs, a: Attributes) -> Tensor:
    left, right, added = need(inputs[0]), need(inputs[1]), optional(inputs, 2)
    left = left.T if a.get("transA", 0) else left
    right = right.T if a.get("transB", 0) else right
    result = torch.mul(torch.matmul(wide(left), wide(right)), a.get("alpha", 1.0))
    if added is not None:
        result = torch.add(result, wide(added), alpha=a.get("beta", 1.0))
    return result.to(left.dtype)


def _einsum(inputs: Inputs, a: Attributes) -> Tensor:
    operands = [need(value) for value in inputs]
    result: Tensor = torch.einsum(text(a, "equation", ""), *(wide(x) for x in operands))
    return result.to(operands[0].dtype)


def _softmax(inputs: Inputs, a: Attributes) -> Tensor:
    x = need(inputs[0])
    return torch.softmax(wide(x), a.get("axis", -1)).to(x.dtype)


def _reduction(operation: Callable[[Tensor, list[int], bool], Tensor]) -> Operation:
    def reduce(inputs: Inputs, a: Attributes) -> Tensor:
        x, named = need(inputs[0]), optional(inputs, 1)
        axes = list(a.get("axes", [])) if named is None else ints(named)
        if not axes and a.get("noop_with_empty_axes", 0):
            return operation(x.unsqueeze(-1), [-1], False)
        return operation(wide(x), axes or list(range(x.dim())), bool(a.get("keepdims", 1))).to(x.dtype)

    return reduce


def _extreme_index(operation: Callable[[Tensor, int, bool], Tensor]) -> Operation:
    def find(inputs: Inputs, a: Attributes) -> Tensor:
        x, axis, keep = need(inputs[0]), a.get("axis", 0), bool(a.get("keepdims", 1))
        if a.get("select_last_index", 0):
            return x.shape[axis] - 1 - operation(x.flip(axis), axis, keep)
        return operation(x, axis, keep)

    return find


def _variadic(operation: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda inputs, _: functools.reduce(operation, (need(value) for value in inputs))


def _binary(operation: Callable[[Tensor, Tensor], Tensor]) -> Operation:
    return lambda inputs, _: operation(need(inputs[0]), need(inputs[1]))


def _unary(operation: Callable[[Tensor], Tensor]) -> Operation:
    return lambda inputs, _: operation(need(inputs[0]))


OPERATIONS: Mapping[str, Operation] = MappingProxyType(
    {
        "Abs": _unary(torch.abs),
        "Add": _binary(torch.add),
        "And": _binary(torch.logical_and),
        "ArgMax": _extreme_index(torch.argmax),
        "ArgMin": _extreme_index(torch.argmin),
        "Cast": _cast,
        "Ceil": _unary(torch.ceil),
        "Clip": _clip,
        "Div": _binary(_divide),
        "Einsum": _einsum,
        "Elu": lambda inputs, a: functional.elu(need(inputs[0]), a.get("alpha", 1.0)),
        "Equal": _binary(torch.eq),
        "Erf": _unary(torch.erf),
        "Exp": _unary(torch.exp),
        "Floor": _unary(torch.floor),
        "Gemm": _gemm,
        "Greater": _binary(torch.gt),
        "GreaterOrEqual": _binary(torch.ge),
        "Identity": _unary(lambda x: x),
        "LeakyRelu": lambda inputs, a: functional.leaky_relu(need(inputs[0]), a.get("alpha", 0.01)),
        "Less": _binary(torch.lt),
        "LessOrEqual": _binary(torch.le),
        "Log": _unary(torch.log),
        "MatMul": _matmul,
        "Max": _variadic(torch.maximum),
        "Min": _variadic(torch.minimum),
        "Mul": _binary(torch.mul),
        "Neg": _unary(torch.neg),
        "Not": _unary(torch.logical_not),
        "Or": _binary(torch.logical_or),
        "PRelu": _binary(lambda x, slope: torch.where(x < 0, slope * x, x)),
        "Pow": _power,
        "Reciprocal": _unary(torch.reciprocal),
        "ReduceL2": _reduction(lambda x, axes, keep: x.square().sum(axes, keepdim=keep).sqrt()),
        "ReduceMax": _reduction(lambda x, axes, keep: x.amax(axes, keepdim=keep)),
        "ReduceMean": _reduction(lambda x, axes, keep: x.mean(axes, keepdim=keep)),
        "ReduceMin": _reduction(lambda x, axes, keep: x.amin(axes, keepdim=keep)),
        "ReduceSum": _reduction(lambda x, axes, keep: x.sum(axes, keepdim=keep)),
        "Relu": _unary(torch.relu),
        "Round": _unary(torch.round),
        "Sigmoid": _unary(torch.sigmoid),
        "Sign": _unary(torch.sign),
        "Softmax": _softmax,
        "Softplus": _unary(functional.softplus),
        "Sqrt": _unary(torch.sqrt),
        "Sub": _binary(torch.sub),
        "Tanh": _unary(torch.tanh),
        "Where": lambda inputs, _: torch.where(need(inputs[0]), need(inputs[1]), need(inputs[2])),
    }
)
