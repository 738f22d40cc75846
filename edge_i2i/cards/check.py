"""Does every graph of a network compute the same in torch and on every engine, for every look? And does it build?

The tests check each architecture of each model this way, and ``docs/models.md`` shows what came out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir

from edge_i2i.arrays import Array
from edge_i2i.contract import DType, GraphDeclaration, GraphKind, Role, Size, TensorSpec
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.export.tensorrt import choose_runtime
from edge_i2i.graphs.passes import PASSES, keep_declared_outputs, upsample_conv_as_phases
from edge_i2i.graphs.running import run_torch_network
from edge_i2i.graphs.samples import sample_network
from edge_i2i.graphs.trace import DEFAULT_OPSET, trace
from edge_i2i.metrics.parity import NETWORK_OUTPUT, Parity, compare
from edge_i2i.models.family import ModelFamily, ModelGraph
from edge_i2i.translate.conditions import PER_FRAME

CPU_ENGINES = ("onnxruntime", "openvino", "torch")
LOOKS = 2
"""Two frames and two looks, each with each: one failure is right on the very input that it was traced with."""


@dataclass(frozen=True)
class GraphCheck:
    """One graph: how far each engine is from torch, and its TensorRT-RTX engine's size in bytes (None: not tried)."""

    graph: str
    operators: tuple[str, ...]
    parity: Mapping[str, Parity]
    rtx_bytes: int | None


@dataclass(frozen=True)
class ModelCheck:
    """All graphs of an architecture. ``look_effect``: by how much two looks differ on one frame, in float output
    (None: there is nothing to choose).
    """

    graphs: tuple[GraphCheck, ...]
    look_effect: float | None


def check_model(
    family: ModelFamily[Any],
    config: Any,
    size: Size,
    folder: Path,
    *,
    engines: Sequence[str] = CPU_ENGINES,
    rtx: bool = True,
    threads: int = 2,
    seed: int = 5,
) -> ModelCheck:
    """Trace every graph of a network with random weights and run it everywhere, with every look on every frame.

    All graph passes are applied, those too that are off by default.

    Args:
        family: the published model.
        config: its architecture.
        size: the picture size.
        folder: where scratch files may go.
        engines: which CPU engines.
        rtx: also build TensorRT-RTX engines (no GPU needed).
        threads: CPU threads of each engine.
        seed: of weights and inputs.

    Raises:
        GraphError: a graph cannot be traced, loaded or built; says which operator stops it.
    """
    graphs = family.random(config, seed).graphs(size)
    samples = [sample_network(graphs, seed + i) for i in range(LOOKS)]
    checks, effect = [], None
    for graph in graphs:
        inputs = _every_look_on_every_frame(graph.declaration, [sample[graph.declaration.name] for sample in samples])
        references = run_torch_network(graph, inputs)
        if graph.declaration.kind is GraphKind.FRAME and len(inputs) > LOOKS:
            effect = _look_effect(references)
        checks.append(_check(graph, inputs, references, folder, engines, rtx, threads))
    return ModelCheck(tuple(checks), effect)


def _every_look_on_every_frame(
    declaration: GraphDeclaration, samples: list[dict[str, Array]]
) -> list[dict[str, Array]]:
    """For a frame graph with a look: frame 0 with look 0, frame 0 with look 1, …; else the samples as they are."""
    own = {spec.name for spec in declaration.inputs if spec.role in PER_FRAME}
    if declaration.kind is not GraphKind.FRAME or len(own) == len(declaration.inputs):
        return samples
    return [{name: (frame if name in own else look)[name] for name in frame} for frame in samples for look in samples]


def _look_effect(references: Sequence[Mapping[str, Array]]) -> float:
    first, second = (references[i][NETWORK_OUTPUT] for i in (0, 1))
    return float(np.abs(first - second).max())


def _check(
    graph: ModelGraph,
    inputs: list[dict[str, Array]],
    references: list[Mapping[str, Array]],
    folder: Path,
    engines: Sequence[str],
    rtx: bool,
    threads: int,
) -> GraphCheck:
    model = trace(graph, DEFAULT_OPSET)
    for apply in _passes():
        apply(model)
    operators = tuple(sorted({node.op_type for node in model.graph}))
    source = GraphInMemory(_with_float_output(graph.declaration, references[0]), _serialised(model))
    parity = {name: _on_engine(name, source, inputs, references, threads) for name in engines}
    keep_declared_outputs(model)
    plain = GraphInMemory(graph.declaration, _serialised(model))
    return GraphCheck(graph.declaration.name, operators, parity, _rtx_bytes(plain, folder) if rtx else None)


def _passes() -> list[Callable[[ir.Model], int]]:
    """Every pass, also where a network is too narrow for it to pay: what is checked is that it is exact."""
    everywhere = partial(upsample_conv_as_phases, least_saving=0)
    return [everywhere if item.apply is upsample_conv_as_phases else item.apply for item in PASSES.values()]


def _serialised(model: ir.Model) -> bytes:
    data: bytes = ir.to_proto(model).SerializeToString()
    return data


def _with_float_output(declaration: GraphDeclaration, reference: Mapping[str, Array]) -> GraphDeclaration:
    if NETWORK_OUTPUT not in reference:
        return declaration
    shape = reference[NETWORK_OUTPUT].shape
    spec = TensorSpec(NETWORK_OUTPUT, Role.IMAGE, shape, DType.FLOAT32, -1, 1, "the network's output")
    return replace(declaration, outputs=(*declaration.outputs, spec))


def _on_engine(
    name: str,
    source: GraphInMemory,
    inputs: Sequence[Mapping[str, Array]],
    references: Sequence[Mapping[str, Array]],
    threads: int,
) -> Parity:
    with get_engine(name).load(source, EngineOptions(threads=threads)) as session:
        return compare(name, name, references, [session.run(sample) for sample in inputs])


def _rtx_bytes(source: GraphInMemory, folder: Path) -> int:
    from edge_i2i.engines.tensorrt.options import BuildOptions
    from edge_i2i.engines.tensorrt.store import EngineStore

    built = choose_runtime("rtx").build(source, BuildOptions(), EngineStore(folder / "engines"))
    return built.path.stat().st_size
