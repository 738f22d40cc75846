"""An ONNX file as far as the gate reads it: nodes, weights and borders. Weights stay where they lie.

The schema is that of ``onnx.proto``, without all that our files have no use for: data outside the file, graphs inside
attributes, functions, sparse tensors, sequences, text as data.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.gate.wire import Budget, Field, Kind, WireError, decode_wholes, read_message

Fields = Mapping[int, Field]

ELEMENT_TYPES: Mapping[int, str] = MappingProxyType(
    {
        1: "float32",
        2: "uint8",
        3: "int8",
        4: "uint16",
        5: "int16",
        6: "int32",
        7: "int64",
        9: "bool",
        10: "float16",
    }
)
"""ONNX's numbers for the element types that a graph may use, and numpy's names for them."""

MOST_DIMENSIONS = 8
_MOST_FIELDS = 1_000_000  # a graph of 2,000 nodes has about 60,000
_LARGEST_SIDE = 1 << 31


def _one(name: str, kind: Kind) -> Field:
    return Field(name, kind)


def _message(name: str, fields: Fields, *, many: bool = False) -> Field:
    return Field(name, Kind.MESSAGE, many, fields)


def _refused(reason: str) -> Field:
    return Field("", Kind.BYTES, refused=reason)


_EXTERNAL = _refused("it keeps weights outside itself, in a file or at an address in memory (external data)")
_SUBGRAPH = _refused("it has a graph inside a node (a loop or a branch)")
_PROPERTIES = _message("properties", {1: _one("key", Kind.TEXT), 2: _one("value", Kind.TEXT)}, many=True)
_DIMENSION = {1: _one("value", Kind.WHOLE), 2: _one("parameter", Kind.TEXT)}
_TENSOR_TYPE = {
    1: _one("element", Kind.WHOLE),
    2: _message("shape", {1: _message("dimensions", _DIMENSION, many=True)}),
}
_VALUE = {
    1: _one("name", Kind.TEXT),
    2: _message("type", {1: _message("tensor", _TENSOR_TYPE), 6: _one("denotation", Kind.TEXT)}),
    3: _one("doc", Kind.TEXT),
    4: _PROPERTIES,
}
_TENSOR = {
    1: _one("dims", Kind.WHOLES),
    2: _one("type", Kind.WHOLE),
    4: _one("floats", Kind.FLOATS),
    5: _one("wholes32", Kind.WHOLES),
    7: _one("wholes64", Kind.WHOLES),
    8: _one("name", Kind.TEXT),
    9: _one("raw", Kind.BYTES),
    12: _one("doc", Kind.TEXT),
    13: _EXTERNAL,
    14: _one("location", Kind.WHOLE),
    16: _PROPERTIES,
}
_ATTRIBUTE = {
    1: _one("name", Kind.TEXT),
    2: _one("float", Kind.FLOAT),
    3: _one("int", Kind.WHOLE),
    4: _one("string", Kind.TEXT),
    5: _message("tensor", _TENSOR),
    6: _SUBGRAPH,
    7: _one("floats", Kind.FLOATS),
    8: _one("ints", Kind.WHOLES),
    11: _SUBGRAPH,
    13: _one("doc", Kind.TEXT),
    20: _one("type", Kind.WHOLE),
}
_NODE = {
    1: Field("inputs", Kind.TEXT, many=True),
    2: Field("outputs", Kind.TEXT, many=True),
    3: _one("name", Kind.TEXT),
    4: _one("operator", Kind.TEXT),
    5: _message("attributes", _ATTRIBUTE, many=True),
    6: _one("doc", Kind.TEXT),
    7: _one("domain", Kind.TEXT),
    9: _PROPERTIES,
}
_GRAPH = {
    1: _message("nodes", _NODE, many=True),
    2: _one("name", Kind.TEXT),
    5: _message("weights", _TENSOR, many=True),
    10: _one("doc", Kind.TEXT),
    11: _message("inputs", _VALUE, many=True),
    12: _message("outputs", _VALUE, many=True),
    13: _message("values", _VALUE, many=True),
    15: _refused("it has sparse weights"),
    16: _PROPERTIES,
}
_MODEL = {
    1: _one("ir_version", Kind.WHOLE),
    2: _one("producer", Kind.TEXT),
    3: _one("producer_version", Kind.TEXT),
    4: _one("domain", Kind.TEXT),
    5: _one("version", Kind.WHOLE),
    6: _one("doc", Kind.TEXT),
    7: _message("graph", _GRAPH),
    8: _message("opsets", {1: _one("domain", Kind.TEXT), 2: _one("version", Kind.WHOLE)}, many=True),
    14: _PROPERTIES,
    20: _refused("it describes training"),
    25: _refused("it has functions of its own"),
}
_ATTRIBUTE_KINDS = {1: "float", 2: "int", 3: "string", 4: "tensor", 6: "floats", 7: "ints"}
_DEFAULTS = {"float": 0.0, "int": 0, "string": "", "floats": [], "ints": []}


@dataclass(frozen=True)
class Tensor:
    """A weight or constant: numpy's name for its type, its shape, and its data as a view of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    array: Array


@dataclass(frozen=True)
class Border:
    """A named value with its type: an input, an output, or one in between. A side of None is not stated."""

    name: str
    dtype: str | None
    shape: tuple[int | None, ...] | None


@dataclass(frozen=True)
class Attribute:
    """An attribute: ``kind`` is ``int``, ``float``, ``string``, ``ints``, ``floats`` or ``tensor``."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Node:
    """One operation; an input that is left out is an empty name."""

    name: str
    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    def __str__(self) -> str:
        return f"{shown(self.operator)} {shown(self.name or next(iter(self.outputs), ''))}"


@dataclass(frozen=True)
class OnnxFile:
    """What an ONNX file holds. ``opsets``: versions by domain."""

    ir_version: int
    opsets: tuple[tuple[str, int], ...]
    inputs: tuple[Border, ...]
    outputs: tuple[Border, ...]
    values: tuple[Border, ...]
    weights: tuple[Tensor, ...]
    nodes: tuple[Node, ...]


def shown(name: str) -> str:
    """A name out of a stranger's file, fit to stand in a message."""
    return repr(name if len(name) <= 60 else f"{name[:60]}…")


def read_onnx(data: bytes) -> OnnxFile:
    """Read an ONNX file; no weight is copied.

    Raises:
        WireError: it is not one, it is not in its plain form, or it has a part that graphs here do not have.
    """
    budget = Budget(_MOST_FIELDS)
    model = read_message(memoryview(data), _MODEL, budget)
    if "graph" not in model:
        raise WireError("it holds no graph")
    graph = model["graph"]
    return OnnxFile(
        ir_version=model.get("ir_version", 0),
        opsets=tuple((item.get("domain", ""), item.get("version", 0)) for item in model.get("opsets", [])),
        inputs=tuple(map(_border, graph.get("inputs", []))),
        outputs=tuple(map(_border, graph.get("outputs", []))),
        values=tuple(map(_border, graph.get("values", []))),
        weights=tuple(_tensor(item, budget) for item in graph.get("weights", [])),
        nodes=tuple(_node(item, budget) for item in graph.get("nodes", [])),
    )


def _border(value: Mapping[str, Any]) -> Border:
    name = value.get("name", "")
    tensor = value.get("type", {}).get("tensor")
    if tensor is None:
        raise WireError(f"its value {shown(name)} is no tensor")
    shape = tensor.get("shape")
    return Border(
        name,
        _element_type(tensor.get("element", 0), name) if "element" in tensor else None,
        None if shape is None else tuple(_side(item, name) for item in shape.get("dimensions", [])),
    )


def _side(dimension: Mapping[str, Any], name: str) -> int | None:
    side: int | None = dimension.get("value")
    if side is not None and ("parameter" in dimension or not 0 <= side < _LARGEST_SIDE):
        raise WireError(f"its value {shown(name)} has an impossible side")
    return side


def _node(item: Mapping[str, Any], budget: Budget) -> Node:
    attributes: dict[str, Attribute] = {}
    for attribute in item.get("attributes", []):
        name = attribute.get("name", "")
        if name in attributes:
            raise WireError(f"a node has its attribute {shown(name)} twice")
        attributes[name] = _attribute(attribute, name, budget)
    return Node(
        item.get("name", ""),
        item.get("operator", ""),
        item.get("domain", ""),
        tuple(item.get("inputs", ())),
        tuple(item.get("outputs", ())),
        attributes,
    )


def _attribute(item: Mapping[str, Any], name: str, budget: Budget) -> Attribute:
    kind = _ATTRIBUTE_KINDS.get(item.get("type", 0), "")
    held = item.keys() & _ATTRIBUTE_KINDS_HELD
    if not kind or held - {kind} or (not held and kind == "tensor"):
        raise WireError(f"the attribute {shown(name)} is not of the kind that it says")
    value = item.get(kind, _DEFAULTS.get(kind))
    if kind == "ints":
        value = tuple(decode_wholes(value, budget))
    elif kind == "floats":
        value = tuple(float(number) for number in _plain(value, "<f4"))
    elif kind == "tensor":
        value = _tensor(value, budget)
    if kind in ("float", "floats") and not np.all(np.isfinite(value)):
        raise WireError(f"the attribute {shown(name)} is no number")
    return Attribute(kind, value)


_ATTRIBUTE_KINDS_HELD = frozenset(_ATTRIBUTE_KINDS.values())


def _tensor(item: Mapping[str, Any], budget: Budget) -> Tensor:
    name = item.get("name", "")
    if item.get("location", 0) != 0:
        raise WireError(_EXTERNAL.refused)
    dtype = _element_type(item.get("type", 0), name)
    shape = tuple(decode_wholes(item.get("dims", []), budget))
    if len(shape) > MOST_DIMENSIONS or not all(0 <= side < _LARGEST_SIDE for side in shape):
        raise WireError(f"its weight {shown(name)} has an impossible shape")
    flat = _data(item, dtype, name, budget)
    if math.prod(shape) != flat.size:
        raise WireError(f"its weight {shown(name)} holds another number of values than its shape says")
    return Tensor(name, dtype, shape, flat.reshape(shape))


def _data(item: Mapping[str, Any], dtype: str, name: str, budget: Budget) -> Array:
    """The flat data, which lies in exactly one of four fields."""
    held = [field for field in ("raw", "floats", "wholes32", "wholes64") if field in item]
    if len(held) > 1:
        raise WireError(f"its weight {shown(name)} holds its values twice")
    if not held:
        return np.zeros(0, dtype)
    kind = np.dtype(dtype).newbyteorder("<")
    if held == ["raw"]:
        return _checked(_plain([item["raw"]], kind), name)
    expected = {"float32": "floats", "int64": "wholes64"}.get(dtype, "wholes32")
    if held != [expected] or dtype == "float16":
        raise WireError(f"its weight {shown(name)} holds its values in a field of another type")
    if expected == "floats":
        return _plain(item["floats"], kind)
    numbers = decode_wholes(item[expected], budget)
    limits = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    if any(not limits[0] <= number <= limits[1] for number in numbers):
        raise WireError(f"its weight {shown(name)} holds a value that its type cannot")
    return np.array(numbers, dtype)


def _plain(runs: Sequence[memoryview], dtype: Any) -> Array:
    size = np.dtype(dtype).itemsize
    if any(len(run) % size for run in runs):
        raise WireError("a weight is cut within a value")
    if len(runs) == 1:
        return np.frombuffer(runs[0], dtype)
    return np.frombuffer(b"".join(runs), dtype)


def _checked(array: Array, name: str) -> Array:
    if array.dtype == bool and array.size and int(array.view(np.uint8).max()) > 1:
        raise WireError(f"its weight {shown(name)} holds a truth value that is neither")
    return array


def _element_type(number: int, name: str) -> str:
    if number not in ELEMENT_TYPES:
        raise WireError(f"{shown(name)} has an element type that is not allowed (ONNX type {number})")
    return ELEMENT_TYPES[number]
