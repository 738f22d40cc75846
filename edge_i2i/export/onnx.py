"""The road from a network to a bundle: export every graph, check it, and write the ``.i2i`` with its evidence."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from edge_i2i.arrays import Array
from edge_i2i.bundle.golden import golden_input, golden_output
from edge_i2i.bundle.manifest import EvidenceRecord, ModelRecord
from edge_i2i.bundle.writer import BundleWriter, Layout
from edge_i2i.contract import Size
from edge_i2i.graphs.export import ExportedGraph, ExportOptions, StageListener, export_graph
from edge_i2i.graphs.samples import sample_network
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.models.checkpoints.loading import LoadedModel, WeightsOrigin


@dataclass(frozen=True)
class ExportSummary:
    """A finished bundle. ``parity``: graph → stage → figures against torch."""

    bundle: Path
    parity: Mapping[str, Mapping[str, Mapping[str, float]]]
    rewrites: Mapping[str, Mapping[str, int]]
    seconds: float


def default_size(loaded: LoadedModel) -> Size:
    """The size that a network is exported at unless another is asked for."""
    return loaded.family.demo_size if loaded.origin is WeightsOrigin.DEMO else loaded.family.full_size


def export_bundle(
    loaded: LoadedModel,
    size: Size,
    output: Path,
    options: ExportOptions,
    *,
    layout: Layout = "file",
    command: str = "",
    on_stage: StageListener = lambda stage: None,
) -> ExportSummary:
    """Export every graph of a network into a bundle.

    The bundle appears under its name only when it is whole; an error or an interrupt leaves what was there before.

    Args:
        loaded: the network with its weights, as ``load_checkpoint`` gives it.
        size: the height and width of pictures that every graph is made for.
        output: the bundle to write, ``NAME.i2i``.
        options: precisions, passes and opset, and how many inputs parity is measured on.
        layout: ``file`` for one zip, ``directory`` for a folder.
        command: what a person typed, kept with the figures of parity; may be empty.
        on_stage: told in a line what begins.

    Raises:
        UsageError: the network cannot take that size, or the output's name does not end in ``.i2i``.
        ParityError: a stage changed the picture by more than it may.
        BundleError: the output cannot be written (a full disk, another export to the same path).

    Example:
        >>> import edge_i2i
        >>> small = {"ngf": "8", "n_blocks_global": "1", "n_downsample_global": "2"}
        >>> options = edge_i2i.ExportOptions(precisions=("fp32",), threads=1)
        >>> loaded = edge_i2i.load_random("pix2pixhd", small)
        >>> summary = edge_i2i.export_bundle(loaded, edge_i2i.Size(64, 64), Path("new.i2i"), options)
        >>> summary.bundle.name, sorted(summary.parity)
        ('new.i2i', ['frame'])
    """
    started = time.monotonic()
    graphs = loaded.model.graphs(size, options.rewrites)
    samples = [sample_network(graphs, options.seed + i) for i in range(options.samples)]
    with BundleWriter(output, layout=layout) as writer:
        exported = []
        with writer.scratch() as folder:
            for graph in graphs:
                inputs = [sample[graph.declaration.name] for sample in samples]
                exported.append(export_graph(graph, options, folder, on_stage, inputs))
                _add_graph(writer, exported[-1], options, command)
        on_stage("bundle: writing")
        writer.add_golden(_golden(exported))
        writer.finish(name=output.stem, model=_model_record(loaded), size=size, recipe=_recipe(options, exported))
    return ExportSummary(
        output,
        {item.declaration.name: {parity.stage: parity.figures() for parity in item.parities} for item in exported},
        {item.declaration.name: item.rewrites for item in exported},
        time.monotonic() - started,
    )


def _add_graph(writer: BundleWriter, exported: ExportedGraph, options: ExportOptions, command: str) -> None:
    for variant, path in exported.variants.items():
        writer.add_graph(
            exported.declaration, variant=variant, precision=variant, opset=options.opset, onnx=path, move=True
        )
    for parity in exported.parities:
        writer.add_evidence(
            EvidenceRecord(
                kind="parity",
                stage=parity.stage,
                graph=exported.declaration.name,
                variant=_variant_of(parity.stage, exported),
                engine=parity.evaluated_by,
                figures=parity.figures(),
                machine=describe_machine(),
                versions=installed_versions(),
                command=command,
                date=datetime.now(UTC).replace(microsecond=0),
                note="against the network in torch on fresh inputs, worst case",
            )
        )


def _variant_of(stage: str, exported: ExportedGraph) -> str | None:
    """The variant that a stage's figures speak of: ``fp16`` and ``fp16, as written`` both of ``fp16``."""
    name = stage.partition(",")[0]
    return name if name in exported.variants else None


def _golden(exported: list[ExportedGraph]) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    for item in exported:
        graph = item.declaration.name
        for index, (inputs, outputs) in enumerate(zip(item.golden_inputs, item.golden_outputs, strict=True)):
            arrays |= {golden_input(graph, index, name): array for name, array in inputs.items()}
            arrays |= {golden_output(graph, index, name): array for name, array in outputs.items()}
    return arrays


def _model_record(loaded: LoadedModel) -> ModelRecord:
    family = loaded.family
    licences = {
        WeightsOrigin.CHECKPOINT: f"the checkpoint's own; the reference code's is {family.reference_licence}",
        WeightsOrigin.DEMO: "Apache-2.0 (trained for this project)",
        WeightsOrigin.RANDOM: "none: random numbers",
    }
    return ModelRecord(
        family=family.name,
        title=family.title,
        config=loaded.config,
        source=family.source,
        licence=licences[loaded.origin],
        weights=loaded.origin.value,
        checkpoint_name=loaded.checkpoint.name if loaded.checkpoint else None,
        checkpoint_sha256=loaded.checkpoint_sha256,
    )


def _recipe(options: ExportOptions, exported: list[ExportedGraph]) -> dict[str, object]:
    return {
        "precisions": list(options.precisions),
        "passes": list(options.passes),
        "model_rewrites": "default" if options.rewrites is None else list(options.rewrites),
        "opset": options.opset,
        "samples": options.samples,
        "seed": options.seed,
        "rewrites": {item.declaration.name: dict(item.rewrites) for item in exported},
    }
