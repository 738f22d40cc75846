"""Quantized variants join a bundle: beside the variants that it has, with how they were made and what was measured."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edge_i2i.bundle.extend import extend_bundle
from edge_i2i.bundle.reader import Bundle, BundledGraph, open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.errors import BundleError, UsageError
from edge_i2i.quantize.judging.contest import FULL_PRECISION
from edge_i2i.quantize.outcome import Standing
from edge_i2i.quantize.variants import QuantizedVariant

RECIPES = "quantize"
"""Where a manifest's ``recipe`` holds how its quantized variants were made, by their names."""


def full_precision(bundle: Bundle) -> BundledGraph:
    """The variant of a bundle's frame graph that is quantized, and that pictures are held against.

    Raises:
        UsageError: the bundle has no such variant.
    """
    name = bundle.frame_graph.name
    if FULL_PRECISION not in bundle.variants(name):
        raise UsageError(
            f"{bundle.path} has no variant '{FULL_PRECISION}' to quantize.",
            remedy=f"Export it with --precision {FULL_PRECISION}.",
        )
    return bundle.graph(name, FULL_PRECISION)


@contextmanager
def extending(source: Path, output: Path, bundle: Bundle, removed: Collection[str] = ()) -> Iterator[BundleWriter]:
    """A writer that holds what ``source`` holds, and becomes ``output`` in one step when ``finish`` is called.

    Args:
        source: the bundle that was quantized.
        output: where the result goes; may be ``source``.
        bundle: the bundle as it was opened before the work.
        removed: variants that are left out.

    Raises:
        BundleError: ``source`` was exported again meanwhile; or as ``extend_bundle``.
    """
    refuse_changed(source, bundle)
    place = None if output.resolve() == source.resolve() else output
    with extend_bundle(source, output=place, without_variants=removed) as writer:
        yield writer


def refuse_changed(source: Path, bundle: Bundle) -> None:
    """Variants of other weights must not join a bundle that was exported again meanwhile.

    Raises:
        BundleError: the FP32 variant at ``source`` is no longer that of ``bundle``.
    """
    if full_precision(open_bundle(source)).sha256 != full_precision(bundle).sha256:
        raise BundleError(
            f"{source} was exported again while it was quantized.", remedy="Quantize it again; nothing was written."
        )


def add_variant(writer: BundleWriter, variant: QuantizedVariant, standing: Standing) -> None:
    """Add a variant of the frame graph, as it stands beside the others.

    Args:
        writer: what ``extending`` gave.
        variant: the new variant.
        standing: its label, and whether ``auto`` may take it.
    """
    graph = variant.graph.source
    writer.add_graph(
        graph.declaration,
        variant=variant.name,
        precision=graph.precision,
        opset=variant.opset,
        onnx=graph.data,
        targets=graph.targets,
        label=standing.label,
        recommended=standing.recommended,
        floats=variant.floats,
    )


def finish(
    writer: BundleWriter,
    bundle: Bundle,
    recipes: Mapping[str, Mapping[str, object]],
    removed: Collection[str] = (),
) -> None:
    """Complete the bundle with the recipes of the new variants beside those of the others that it holds.

    Args:
        writer: what ``extending`` gave.
        bundle: the bundle as it was opened before the work.
        recipes: how the new variants were made, by name.
        removed: variants that are left out; their recipes go, too.
    """
    earlier = bundle.manifest.recipe.get(RECIPES)
    known = earlier if isinstance(earlier, dict) else {}
    kept = {name: recipe for name, recipe in known.items() if name not in removed}
    # Fine-tuned variants once had their recipes beside this entry: that of a variant that is replaced goes.
    writer.finish_extended({RECIPES: {**kept, **recipes}}, without=(*removed, *recipes))
