"""What every graph pass and every model's own rewrite gains per frame, as speed ratios, engine by engine.

Each is timed against the same frame graph without it, the two turn and turn about in one run. Networks have random
weights, the published widths, and the first published architecture of every family.

Example: python -m benchmarks.models.rewrite_speed --output docs/figures/rewrite-speed.json
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import onnx_ir as ir
import torch
from torch import Tensor, nn

from benchmarks.figures import FOLDER, kept_rows, write_figures
from edge_i2i.contract import GraphDeclaration, GraphKind, Role, Size, picture_spec
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.graphs.passes import DEFAULT_PASSES, PASSES, get_passes, keep_declared_outputs
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.graphs.trace import trace
from edge_i2i.metrics.latency import time_interleaved
from edge_i2i.models.family import ModelGraph, TranslationModel
from edge_i2i.models.registry import family_names, get_family

FIGURES = FOLDER / "rewrite-speed.json"
ENGINES = ("onnxruntime", "openvino")
THREADS = 2
LARGEST = Size(256, 256)
WARM_UP = 2
PAUSE = 0.1
"""Seconds between two calls: the waiting threads of the session before must have stopped spinning on its cores."""


def main() -> None:
    """Time every pass and rewrite on every network, and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=FIGURES)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--networks", nargs="*", help="only these (names of families or blocks)")
    parser.add_argument(
        "--keep", action="store_true", help="keep the output file's rows of other networks (older runs)"
    )
    arguments = parser.parse_args()
    names = [name for name in (*BLOCKS, *family_names()) if not arguments.networks or name in arguments.networks]
    rows = kept_rows(arguments.output, lambda row: arguments.keep and row["network"] not in names)
    for name in names:
        for comparison in comparisons(name):
            rows += [measure(comparison, engine, arguments.rounds) for engine in ENGINES]
            write(arguments.output, rows, arguments.rounds)


def write(output: Path, rows: list[dict[str, Any]], rounds: int) -> None:
    """Keep what is measured so far."""
    about = {
        "included": "the engine call on a frame of the network's size, uint8 in and out",
        "speed": "time without / time with, median of the rounds' ratios; beside it their quartiles",
        "variant": "fp32",
        "rounds": rounds,
        "default_passes": list(DEFAULT_PASSES),
    }
    write_figures(output, rows, f"python -m benchmarks.models.rewrite_speed --rounds {rounds}", THREADS, **about)


@dataclass(frozen=True)
class Comparison:
    """One graph with and without one thing; ``places``: how often a pass found work."""

    network: str
    size: str
    kind: str
    name: str
    places: int | None
    without: GraphInMemory
    having: GraphInMemory


# --- what is compared


def comparisons(network: str) -> Iterator[Comparison]:
    """Every pass that finds work in a network, the default passes together, and every rewrite that it declares."""
    if network in BLOCKS:
        yield from _of_passes(network, BLOCKS[network]())
        return
    family = get_family(network)
    model = family.random(family.full_config(), 0)
    size = family.full_size if _pixels(family.full_size) <= _pixels(LARGEST) else LARGEST
    yield from _of_passes(network, frame_graph(model, size))
    yield from _of_rewrites(network, model, size)


def _pixels(size: Size) -> int:
    return size.height * size.width


def frame_graph(model: TranslationModel[Any], size: Size, rewrites: frozenset[str] | None = None) -> ModelGraph:
    """What runs for every frame."""
    frame, *_ = model.graphs(size, rewrites)
    return frame


def _of_passes(network: str, graph: ModelGraph) -> Iterator[Comparison]:
    traced = trace(graph)
    keep_declared_outputs(traced)
    plain = _onnx(graph, traced)
    singles = [(name, (name,)) for name in PASSES]
    for label, names in (*singles, ("all that are on by default", DEFAULT_PASSES)):
        rewritten = traced.clone()
        places = sum(item.apply(rewritten) for item in get_passes(names))
        if places:
            size = str(graph.declaration.size)
            yield Comparison(network, size, "pass", label, places, plain, _onnx(graph, rewritten))


def _of_rewrites(network: str, model: TranslationModel[Any], size: Size) -> Iterator[Comparison]:
    defaults = model.default_rewrites()
    for rewrite in model.rewrites:
        graphs = [frame_graph(model, size, chosen) for chosen in (defaults - {rewrite.name}, defaults | {rewrite.name})]
        without, having = (_traced(graph) for graph in graphs)
        yield Comparison(network, str(size), "rewrite", rewrite.name, None, without, having)


def _traced(graph: ModelGraph) -> GraphInMemory:
    """Without any pass."""
    model = trace(graph)
    keep_declared_outputs(model)
    return _onnx(graph, model)


def _onnx(graph: ModelGraph, model: ir.Model) -> GraphInMemory:
    return GraphInMemory(graph.declaration, ir.to_proto(model).SerializeToString())


# --- timing


def measure(comparison: Comparison, engine: str, rounds: int) -> dict[str, Any]:
    """One row: both graphs on one engine, in alternating order."""
    options = EngineOptions(threads=THREADS)
    graphs = (comparison.without, comparison.having)
    sessions = [get_engine(engine).load(graph, options) for graph in graphs]
    inputs = [sample_inputs(graph.declaration, 0) for graph in graphs]
    candidates = {
        name: partial(session.run, given)
        for name, session, given in zip(("without", "with"), sessions, inputs, strict=True)
    }
    timings = time_interleaved(candidates, rounds, WARM_UP, pause=PAUSE)
    for session in sessions:
        session.close()
    speed = timings["with"].speed_to(timings["without"])
    row = {
        "network": comparison.network,
        "size": comparison.size,
        "kind": comparison.kind,
        "name": comparison.name,
        **({} if comparison.places is None else {"places": comparison.places}),
        "engine": engine,
        "speed": round(speed.median, 3),
        "speed_quartiles": [round(speed.low, 3), round(speed.high, 3)],
        "without_p50_ms": round(timings["without"].p50 * 1e3, 1),
        "with_p50_ms": round(timings["with"].p50 * 1e3, 1),
    }
    sys.stderr.write(f"{json.dumps(row)}\n")
    return row


# --- blocks: what the passes were made for, on its own


class _LayerNorm(nn.Module):
    """MUNIT's: per picture over channels and pixels, unbiased."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        mean, deviation = flat.mean(1).view(-1, 1, 1, 1), flat.std(1).view(-1, 1, 1, 1)
        scaled: Tensor = (x - mean) / (deviation + 1e-5) * self.gamma
        return scaled + self.beta


def _munit_up(channels: int) -> nn.Sequential:
    half = channels // 2
    up = (nn.Upsample(scale_factor=2), nn.ReflectionPad2d(2), nn.Conv2d(channels, half, 5))
    return nn.Sequential(*up, _LayerNorm(half), nn.ReLU())


def munit_way_up() -> ModelGraph:
    """The decoder's two upsampling blocks, 256 → 128 → 64 channels, and its last convolution, at 256x256."""
    size = Size(256, 256)
    stem = (nn.Conv2d(3, 256, 4, 4), nn.ReLU())
    head = (nn.ReflectionPad2d(3), nn.Conv2d(64, 3, 7), nn.Tanh())
    return _picture_graph(nn.Sequential(*stem, _munit_up(256), _munit_up(128), *head), size)


class _Spade(nn.Module):
    """Instance norm, then γ and β that two convolutions draw from a style map of 32 channels, nearest-resized."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, eps=1e-6)
        self.resize = nn.Upsample(scale_factor=factor) if factor > 1 else nn.Identity()
        self.shared = nn.Conv2d(32, 128, 3, padding=1)
        self.gamma = nn.Conv2d(128, channels, 3, padding=1)
        self.beta = nn.Conv2d(128, channels, 3, padding=1)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        shared = torch.relu(self.shared(self.resize(style)))
        gamma: Tensor = self.gamma(shared)
        beta: Tensor = self.beta(shared)
        normed: Tensor = self.norm(x)
        return normed * (1 + gamma) + beta


class _SpadeUp(nn.Module):
    """BridgeGAN's last block, 64 → 32 channels and 64x64 → 128x128, and the convolution to a picture."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.style = nn.Conv2d(3, 64, 2, 2), nn.Conv2d(3, 32, 2, 2)
        self.norm1, self.norm2 = _Spade(64, 1), _Spade(32, 2)
        self.up = nn.Upsample(scale_factor=2)
        self.conv1, self.conv2 = nn.Conv2d(64, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1)
        self.shortcut, self.head = nn.Conv2d(64, 32, 1), nn.Conv2d(32, 3, 1)

    def forward(self, frame: Tensor) -> Tensor:
        x, style = self.stem(frame), self.style(frame)
        h = self.conv1(self.up(torch.relu(self.norm1(x, style))))
        h = self.conv2(torch.relu(self.norm2(h, style)))
        return torch.tanh(self.head(torch.relu(h + self.shortcut(self.up(x)))))


def spade_block() -> ModelGraph:
    """A SPADE block that doubles the size, at 128x128."""
    return _picture_graph(_SpadeUp(), Size(128, 128))


def _picture_graph(module: nn.Module, size: Size) -> ModelGraph:
    frame = picture_spec("frame", Role.FRAME, size, "the camera picture")
    image = picture_spec("image", Role.IMAGE, size, "the result")
    declaration = GraphDeclaration("frame", GraphKind.FRAME, (frame,), (image,))
    return ModelGraph(declaration, module.requires_grad_(False).eval())


BLOCKS = {"block: MUNIT's way up": munit_way_up, "block: SPADE, doubling": spade_block}


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
