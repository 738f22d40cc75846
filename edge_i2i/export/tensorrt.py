"""From a bundle to a TensorRT engine beside it: which product, for which GPUs, and what to do where it cannot be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_i2i.bundle.reader import Bundle
from edge_i2i.engines.choice import AUTO
from edge_i2i.engines.tensorrt.engine import TensorRtFamilyEngine, trt_engines
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.engines.tensorrt.progress import ProgressListener
from edge_i2i.engines.tensorrt.store import EngineStore
from edge_i2i.errors import MissingRequirementError, UsageError


@dataclass(frozen=True)
class BuiltEngine:
    """An engine file. ``status``: ``built``, or ``cached`` where exactly this one lay there already."""

    path: Path
    graph: str
    status: str
    runtime: str
    version: str
    targets: tuple[str, ...]
    seconds: float


def trt_runtimes() -> tuple[str, ...]:
    """The names that ``--runtime`` takes, besides ``auto``."""
    return tuple(engine.name for engine in trt_engines())


def check_runtime_name(runtime: str) -> None:
    """Refuse a misspelt name before minutes of export.

    Raises:
        UsageError: there is no such runtime.
    """
    if runtime not in (AUTO, *trt_runtimes()):
        raise UsageError(
            f"There is no TensorRT runtime '{runtime}'.", remedy=f"Known: auto, {', '.join(trt_runtimes())}."
        )


def choose_runtime(runtime: str) -> TensorRtFamilyEngine:
    """The product to build with; ``auto`` takes the first that can build here: full TensorRT needs a GPU, RTX none.

    Raises:
        UsageError: there is no such runtime.
        MissingRequirementError: it, or every one, cannot build here.
    """
    check_runtime_name(runtime)
    engines = trt_engines()
    if runtime == AUTO:
        return _first_that_builds(engines)
    chosen = next(engine for engine in engines if engine.name == runtime)
    availability = chosen.build_availability()
    if not availability.ok:
        raise MissingRequirementError(
            f"The runtime '{runtime}' cannot build here: {availability.reason}", remedy=availability.remedy
        )
    return chosen


def _first_that_builds(engines: Sequence[TensorRtFamilyEngine]) -> TensorRtFamilyEngine:
    reasons = []
    for engine in engines:
        availability = engine.build_availability()
        if availability.ok:
            return engine
        reasons.append((engine.name, availability))
    raise MissingRequirementError(
        "No TensorRT engine can be built here. " + " ".join(f"{name}: {why.reason}" for name, why in reasons),
        remedy=reasons[-1][1].remedy,
    )


def build_engines(
    bundle: Bundle,
    variant: str,
    engine: TensorRtFamilyEngine,
    options: BuildOptions,
    folder: Path,
    progress: ProgressListener | None = None,
) -> tuple[BuiltEngine, ...]:
    """Build an engine of every graph of a bundle; the frame graph's comes first.

    Args:
        bundle: the open bundle.
        variant: the name of the variant to build, the same of every graph.
        engine: ``tensorrt`` or ``rtx``, as ``trt_engines`` gives them.
        options: how to build; what is left open there is settled for the product.
        folder: where engines are kept; one that is there already is not built again.
        progress: told about the builder's phases; None: nobody is.

    Raises:
        UsageError: the bundle has no such variant, or the options do not fit the product.
        GraphError: TensorRT cannot take a graph, or would silently compute something else.
    """
    store = EngineStore(folder)
    built = []
    for declaration in (bundle.frame_graph, *bundle.condition_graphs):
        result = engine.build(bundle.graph(declaration.name, variant), options, store, progress)
        status = "cached" if result.cache_hit else "built"
        built.append(
            BuiltEngine(
                result.path, declaration.name, status, engine.name, result.version, result.targets, result.seconds
            )
        )
    return tuple(built)
