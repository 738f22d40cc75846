"""Write down which operators and attributes our graphs use: the allow-list of the gate for graphs.

Every tiny architecture of every model is traced, with and without its rewrites, given no passes, the usual ones and all
of them, converted to FP16, and quantized for every target. Takes some ten minutes. What is kept by hand stays: the
versions, and the operators that are allowed besides.

Example: python -m benchmarks.gate.graph_vocabulary
         python -m benchmarks.gate.graph_vocabulary --only unit --only munit    (adds to what is known)
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from functools import partial
from typing import Any

import onnx_ir as ir

from benchmarks.figures import write_json
from edge_i2i.contract import GraphKind
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.gate.vocabulary import FILE
from edge_i2i.graphs.fp16 import to_fp16
from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
from edge_i2i.graphs.passes import DEFAULT_PASSES, PASSES, get_passes, keep_declared_outputs, upsample_conv_as_phases
from edge_i2i.graphs.qdq.targets import get_target, target_names
from edge_i2i.graphs.samples import sample_network
from edge_i2i.graphs.trace import trace
from edge_i2i.models.family import ModelGraph
from edge_i2i.models.registry import family_names, get_family
from edge_i2i.quantize.calibration.statistics import collect_statistics
from edge_i2i.quantize.quantizer import Quantizer

FULL_CONVOLUTIONS = (0, 2)
Words = dict[str, Any]


def main() -> None:
    """Gather, and write the file anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=family_names(), help="this model only; repeatable")
    only = parser.parse_args().only
    stored = json.loads(FILE.read_text("utf-8"))
    words: Words = stored["written"] if only else {}
    for name in only or family_names():
        for architecture, config in get_family(name).tiny_architectures().items():
            print(f"{name}: {architecture}", flush=True)  # noqa: T201
            for model in graphs_of(name, config):
                note(words, model)
    stored["written"] = {operator: settled(words[operator]) for operator in sorted(words)}
    stored["architectures"] = {name: sorted(get_family(name).tiny_architectures()) for name in family_names()}
    write_json(FILE, stored, indent=1)


def graphs_of(name: str, config: Any) -> Iterator[ir.Model]:
    """Every graph that we write for a network, in every form."""
    family = get_family(name)
    network = family.random(config, 5)
    for rewrites in (None, frozenset[str]()):
        graphs = network.graphs(family.tiny_size, rewrites)
        for graph in graphs:
            traced = trace(graph)
            for passes in ((), DEFAULT_PASSES, tuple(PASSES)):
                yield from _float_graphs(traced.clone(), passes)
            if graph.declaration.kind is GraphKind.FRAME:
                yield from _quantized_graphs(graphs, graph, traced)


def _float_graphs(model: ir.Model, passes: tuple[str, ...]) -> Iterator[ir.Model]:
    for item in get_passes(passes):
        everywhere = partial(upsample_conv_as_phases, least_saving=0)
        (everywhere if item.apply is upsample_conv_as_phases and passes != DEFAULT_PASSES else item.apply)(model)
    for full in FULL_CONVOLUTIONS:
        half = model.clone()
        to_fp16(half, full)
        keep_declared_outputs(half)
        yield half
    keep_declared_outputs(model)
    yield model


def _quantized_graphs(graphs: tuple[ModelGraph, ...], graph: ModelGraph, traced: ir.Model) -> Iterator[ir.Model]:
    *_, model = _float_graphs(traced.clone(), DEFAULT_PASSES)
    source = GraphInMemory(graph.declaration, model_to_bytes(model))
    sample = sample_network(graphs, 3)[graph.declaration.name]
    statistics = collect_statistics(source, [sample], "", outputs=True, threads=1)
    for target in target_names():
        quantizer = Quantizer(source, statistics, get_target(target))
        layers = quantizer.placement.quantized
        for chosen in filter(None, (layers, layers[::2])):
            yield model_from_bytes(quantizer.quantize(chosen, "int8").source.data)


def note(words: Words, model: ir.Model) -> None:
    """Add what a graph says to what is known."""
    for node in model.graph:
        word = words.setdefault(node.op_type, {"inputs": [99, 0], "outputs": [99, 0], "attributes": {}, "texts": {}})
        for key, count in (("inputs", len(node.inputs)), ("outputs", len(node.outputs))):
            word[key] = [min(word[key][0], count), max(word[key][1], count)]
        for name, attribute in node.attributes.items():
            word["attributes"][name] = attribute.type.name.lower()
            if attribute.type is ir.AttributeType.STRING:
                word["texts"][name] = sorted({*word["texts"].get(name, ()), attribute.as_string()})


def settled(word: Words) -> Words:
    """An entry in the order in which it is kept."""
    kept = {
        "inputs": word["inputs"],
        "outputs": word["outputs"],
        "attributes": dict(sorted(word["attributes"].items())),
    }
    return {**kept, "texts": dict(sorted(word["texts"].items()))} if word.get("texts") else kept


if __name__ == "__main__":
    main()
