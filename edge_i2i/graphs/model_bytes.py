"""ONNX files in memory, to and from the form that passes work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def model_from_bytes(data: bytes) -> ir.Model:
    """The graph of an ONNX file; weights stay in ``data``'s copy, unread until they are needed."""
    import onnx
    import onnx_ir as ir

    return ir.from_proto(onnx.load_from_string(data))


def model_to_bytes(model: ir.Model) -> bytes:
    """The ONNX file of a graph."""
    import onnx_ir as ir

    data: bytes = ir.to_proto(model).SerializeToString()
    return data
