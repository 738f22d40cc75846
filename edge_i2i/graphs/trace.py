"""Tracing a network to ONNX with torch's dynamo exporter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from edge_i2i.errors import GraphError, UsageError
from edge_i2i.graphs.picture import PictureModule, example_inputs
from edge_i2i.models.family import ModelGraph

if TYPE_CHECKING:
    import onnx_ir as ir

DEFAULT_OPSET = 18
"""The highest opset that every target takes: Jetson's TensorRT, ONNX Runtime's CUDA Resize, the quantizers."""


def trace(graph: ModelGraph, opset: int = DEFAULT_OPSET) -> ir.Model:
    """Trace one graph in outside form; weights are shared with the network, not copied.

    Raises:
        GraphError: the exporter cannot trace the network.
        UsageError: the exporter cannot write that opset.
    """
    declaration = graph.declaration
    module = PictureModule(graph).eval()
    names = [spec.name for spec in declaration.inputs]
    try:
        with _quiet_exporter(), torch.no_grad():
            program = torch.onnx.export(
                module,
                example_inputs(declaration),
                dynamo=True,
                opset_version=opset,
                input_names=names,
                output_names=module.output_names,
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise GraphError(
            f"The graph '{declaration.name}' cannot be traced to ONNX: {_reason(error)}",
            remedy="Rewrite the named operation in the model's file so that torch.export can trace it.",
        ) from error
    if program is None:
        raise GraphError(f"The exporter returned nothing for the graph '{declaration.name}'.")
    model = program.model
    _check_opset(model, opset)
    model.graph.name = declaration.name
    model.metadata_props.clear()
    _forget_traces(model)
    return model


def _reason(error: BaseException) -> str:
    """The first line of the first cause: what torch wraps around it is long, coloured and full of paths."""
    while error.__cause__ is not None:
        error = error.__cause__
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:240]}"


def _check_opset(model: ir.Model, opset: int) -> None:
    """The exporter leaves a graph at another opset, without an error, where its converter fails."""
    written = model.opset_imports[""]
    if written != opset:
        raise UsageError(
            f"The exporter wrote opset {written} instead of {opset}.", remedy=f"Export at opset {DEFAULT_OPSET}."
        )


def _forget_traces(model: ir.Model) -> None:
    """Stack traces would put this machine's paths into the file and make two exports differ."""
    for node in model.graph:
        node.metadata_props.clear()
        node.doc_string = None
    for value in [*model.graph.inputs, *model.graph.outputs]:
        value.metadata_props.clear()


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """The exporter warns about packages that it does not need (torchvision) and about its own internals."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
