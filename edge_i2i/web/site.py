"""What a server serves, put together once: the bundle, the shared model, limits, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from edge_i2i.bundle.manifest import VariantRecord
from edge_i2i.bundle.reader import Bundle
from edge_i2i.clock import Clock
from edge_i2i.contract import GraphDeclaration, TensorSpec, in_order
from edge_i2i.translate.conditions import SEED
from edge_i2i.web.figures import ServerFigures
from edge_i2i.web.shared_model import SharedModel
from edge_i2i.web.styles import LooksTaken, Style
from edge_i2i.web.uploads import Exemplars, Limits
from edge_i2i.web.vendor import runtime_is_here

T = TypeVar("T")
P = ParamSpec("P")

BUNDLES = "/bundles"
"""Under it each bundle has its own page, by its id."""

PAGE_FOLDER = Path(__file__).with_name("page")
BROWSER_PRECISION = "fp32"
"""What runs in every browser: onnxruntime-web has few FP16 kernels for WASM, and slow ones for Q/DQ."""

_PICTURE_THREADS = 2  # for decoding and encoding, which release the GIL


@dataclass(frozen=True, eq=False)
class Site:
    """Everything that requests are answered from.

    ``neighbours``: every bundle of the server, names by id; ``id``: this one's.
    """

    bundle: Bundle
    takes: LooksTaken
    styles: tuple[Style, ...]
    shared: SharedModel
    exemplars: Exemplars
    limits: Limits
    clock: Clock
    neighbours: Mapping[str, str] = field(default_factory=dict)
    id: str = ""
    figures: ServerFigures = field(default_factory=ServerFigures)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_PICTURE_THREADS, "web pictures"))
    uploads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "web uploads"))
    """One large picture at a time is in memory, and none holds up a frame."""

    def __post_init__(self) -> None:
        """Check the files that visitors' browsers will run, as the server checks what it runs itself."""
        for graph in (self.bundle.frame_graph, *self.bundle.condition_graphs):
            if (record := self.browser_variant(graph.name)) is not None:
                self.bundle.graph(graph.name, record.name).read()

    async def in_pool(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run ``work`` in a thread of the pool, for what would hold the event loop up; returns its result."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, lambda: work(*arguments, **options))

    async def in_turn(self, work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
        """Run ``work`` when everything before it is done, for what takes much memory; returns its result."""
        return await asyncio.get_running_loop().run_in_executor(self.uploads, lambda: work(*arguments, **options))

    def close(self) -> None:
        """Start no more work in the pools."""
        for pool in (self.pool, self.uploads):
            pool.shutdown(wait=False, cancel_futures=True)

    def browser_variant(self, graph: str) -> VariantRecord | None:
        """The file of a graph that browsers run, if the bundle has one."""
        found = (self.bundle.graph(graph, name).record for name in self.bundle.variants(graph))
        return next((record for record in found if record.precision == BROWSER_PRECISION), None)

    def describe(self, *, webrtc: bool) -> dict[str, Any]:
        """The bundle in plain values: what the page gets as ``bundle.json``."""
        manifest, info, limits = self.bundle.manifest, self.shared.info, self.limits
        frame = self.bundle.frame_graph
        return {
            "name": manifest.name,
            "model": manifest.model.title,
            "weights": manifest.model.weights,
            "size": [frame.size.height, frame.size.width],
            "inputs": [_tensor(spec) for spec in frame.inputs],
            "looks": {
                "exemplar": self.takes.exemplar is not None,
                "style_seed": self.takes.style_seed,
                "attributes": list(self.takes.attributes),
                "mix": self.takes.mixed_tensor is not None,
            },
            "styles": [
                {
                    "id": style.id,
                    "title": style.title,
                    "thumbnail": f"thumbs/{style.id}.jpg",
                    "given": _given(style, self.takes),
                }
                for style in self.styles
            ],
            "engine": info.engine if info else None,
            "effective_precision": info.effective_precision if info else None,
            "variant": info.variant if info else None,
            "browser": self._browser(),
            "limits": {
                "frame_bytes": limits.frame_bytes,
                "frame_pixels": limits.frame_pixels,
                "exemplar_bytes": limits.exemplar_bytes,
                "exemplar_pixels": limits.exemplar_pixels,
                "tabs": limits.tabs,
            },
            "bundles": [
                {"name": name, "path": f"bundles/{key}/", "here": key == self.id}
                for key, name in self.neighbours.items()
            ],
            "ice": [],
            "webrtc": webrtc,
            "wasm": runtime_is_here(),
        }

    def _browser(self) -> dict[str, Any] | None:
        """What onnxruntime-web needs; None where a graph has no file that it runs."""
        frame, *_ = graphs = (self.bundle.frame_graph, *self.bundle.condition_graphs)
        described = {graph.name: self._browser_graph(graph) for graph in in_order(graphs)}
        if None in described.values():
            return None
        first = described.pop(frame.name)
        return {**(first or {}), "conditions": list(described.values())}

    def _browser_graph(self, graph: GraphDeclaration) -> dict[str, Any] | None:
        if (record := self.browser_variant(graph.name)) is None:
            return None
        return {
            "name": graph.name,
            "graph": f"graphs/{graph.name}.onnx",
            "bytes": record.bytes,
            "inputs": [_tensor(spec) for spec in graph.inputs],
            "outputs": [_tensor(spec) for spec in graph.outputs],
        }


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    """A declared tensor in plain values; JSON has no infinity, so an open bound is null."""
    return {
        "name": spec.name,
        "role": spec.role.value,
        "shape": list(spec.shape),
        "dtype": spec.dtype.value,
        "meaning": spec.meaning,
        "low": _finite(spec.low),
        "high": _finite(spec.high),
        "labels": list(spec.labels),
        "drawn": spec.drawn,
        "mixable": spec.mixable,
        "second_of": spec.second_of,
        "stack_of": spec.stack_of,
        "fallback": spec.fallback,
        "default": spec.default,
    }


def _given(style: Style, takes: LooksTaken) -> dict[str, Any] | None:
    """What a style is made of, for browsers that compute it; None: of tensors, which only the server has."""
    given: dict[str, Any] = {}
    for name, value in style.given.items():
        if name == SEED:
            given["style_seed"] = int(value)
        elif name == takes.attribute_tensor and isinstance(value, Mapping):
            given["attributes"] = dict(value)
        else:
            return None
    return given


def _finite(value: float) -> float | None:
    return value if abs(value) < float("inf") else None
