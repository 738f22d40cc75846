"""From a network to checked ONNX files: trace, rewrite, convert, and compare with torch after every stage."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edge_i2i.arrays import Array
from edge_i2i.contract import GraphDeclaration
from edge_i2i.errors import GraphError, ParityError, UsageError
from edge_i2i.graphs.fp16 import emulate_fp16, to_fp16
from edge_i2i.graphs.passes import DEFAULT_PASSES, get_passes, keep_declared_outputs
from edge_i2i.graphs.running import run_onnxruntime, run_torch_network
from edge_i2i.graphs.samples import sample_inputs
from edge_i2i.graphs.trace import DEFAULT_OPSET, trace
from edge_i2i.metrics import parity
from edge_i2i.metrics.parity import EXACT, FP16_TOLERANCE, REDUCED_PRECISION, Parity, Tolerance
from edge_i2i.models.family import ModelGraph

if TYPE_CHECKING:
    import onnx_ir as ir

PRECISIONS = ("fp32", "fp16")
_SCRATCH = "checking"
ONNXRUNTIME = "ONNX Runtime, CPU"
EMULATION = "ONNX Runtime, CPU, emulating FP16 values with FP32 accumulation"
FULL_CONVOLUTIONS = (0, 1, 2, 4, 8, 16)
"""How many leading convolutions the FP16 variant keeps in FP32, tried in order, before it is given up as not good
enough. One is enough for full-size pix2pixHD; BridgeGAN at 128x128 takes eight."""

LEAST_SAMPLES = 2
"""A wrong graph can be right on one input by chance (a value baked in while tracing)."""


@dataclass(frozen=True)
class ExportOptions:
    """How graphs are exported.

    ``passes`` rewrite the ONNX graph, ``rewrites`` the network before it is traced (None: the model's defaults).
    ``samples``: how many fresh inputs parity is measured on.
    """

    precisions: tuple[str, ...] = PRECISIONS
    passes: tuple[str, ...] = DEFAULT_PASSES
    rewrites: tuple[str, ...] | None = None
    opset: int = DEFAULT_OPSET
    samples: int = 2
    seed: int = 2018
    threads: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no graph could be exported with.

        Raises:
            UsageError: a precision or a pass is unknown, or there are too few samples to prove anything.
        """
        unknown = [name for name in self.precisions if name not in PRECISIONS]
        if unknown or not self.precisions:
            raise UsageError(f"Unknown precision: {unknown}.", remedy=f"Known precisions: {', '.join(PRECISIONS)}.")
        if self.samples < LEAST_SAMPLES:
            raise UsageError(
                f"Parity on {self.samples} inputs proves too little.", remedy=f"Use at least {LEAST_SAMPLES} samples."
            )
        get_passes(self.passes)


@dataclass(frozen=True)
class ExportedGraph:
    """One graph's ONNX files by variant, the parity of every stage, and the reference inputs and outputs."""

    declaration: GraphDeclaration
    variants: Mapping[str, Path]
    parities: tuple[Parity, ...]
    golden_inputs: tuple[dict[str, Array], ...]
    golden_outputs: tuple[dict[str, Array], ...]
    rewrites: Mapping[str, int] = field(default_factory=dict)


StageListener = Callable[[str], None]
"""Called with one line before each stage, for progress."""


def export_graph(
    graph: ModelGraph,
    options: ExportOptions,
    folder: Path,
    on_stage: StageListener = lambda stage: None,
    samples: Sequence[dict[str, Array]] | None = None,
) -> ExportedGraph:
    """Export one graph as ``<graph>.<variant>.onnx``; an error or an interrupt leaves no file in ``folder``.

    Args:
        graph: the network's graph, with its module and its declaration.
        options: precisions, passes and opset, and how many inputs parity is measured on.
        folder: where the files go.
        on_stage: told in a line what begins.
        samples: the inputs that parity is measured on, arrays by name; None: ``options.samples`` fresh ones.

    Raises:
        ParityError: a stage changed the result by more than it may; names the stage.
        GraphError: the graph cannot be traced, converted or run.
    """
    return _GraphExport(graph, options, folder, on_stage, samples or fresh_samples(graph, options)).run()


def fresh_samples(graph: ModelGraph, options: ExportOptions) -> list[dict[str, Array]]:
    """Inputs of a graph, ``options.samples`` of them, each drawn with a seed of its own."""
    return [sample_inputs(graph.declaration, options.seed + i) for i in range(options.samples)]


class _GraphExport:
    """The stages of one graph's export, and what they share."""

    def __init__(
        self,
        graph: ModelGraph,
        options: ExportOptions,
        folder: Path,
        on_stage: StageListener,
        samples: Sequence[dict[str, Array]],
    ) -> None:
        self.graph, self.options, self.folder, self.on_stage = graph, options, folder, on_stage
        self.name = graph.declaration.name
        self.samples = list(samples)
        self._scratch = folder / f"{self.name}.{_SCRATCH}.onnx"
        self.parities: list[Parity] = []
        self.rewrites: dict[str, int] = {}
        self._written: list[Path] = []

    def run(self) -> ExportedGraph:
        try:
            return self._run()
        except BaseException:
            for path in self._written:
                path.unlink(missing_ok=True)
            raise
        finally:
            _free_dropped_graphs()

    def _run(self) -> ExportedGraph:
        self._announce("reference run in torch")
        self.references = run_torch_network(self.graph, self.samples)
        model = self._trace()
        self._rewrite(model)
        variants = self._write_variants(model)
        return ExportedGraph(
            self.graph.declaration,
            variants,
            tuple(self.parities),
            tuple(self.samples),
            tuple(self._declared(reference) for reference in self.references),
            dict(self.rewrites),
        )

    def _declared(self, reference: Mapping[str, Array]) -> dict[str, Array]:
        return {spec.name: reference[spec.name] for spec in self.graph.declaration.outputs}

    def _announce(self, stage: str) -> None:
        self.on_stage(f"{self.name}: {stage}")

    def _trace(self) -> ir.Model:
        self._announce("trace")
        model = trace(self.graph, self.options.opset)
        self._check("trace", self._save(model, _SCRATCH), EXACT)
        return model

    def _rewrite(self, model: ir.Model) -> None:
        for item in get_passes(self.options.passes):
            self._announce(item.name)
            self.rewrites[item.name] = item.apply(model)
            if self.rewrites[item.name]:
                self._check(item.name, self._save(model, _SCRATCH), EXACT)

    def _write_variants(self, model: ir.Model) -> dict[str, Path]:
        variants = {}
        if "fp32" in self.options.precisions:
            variants["fp32"] = self._write_fp32(model.clone())
        if "fp16" in self.options.precisions:
            variants["fp16"] = self._write_fp16(model)
        self._scratch.unlink()
        return variants

    def _write_fp32(self, model: ir.Model) -> Path:
        self._announce("fp32")
        keep_declared_outputs(model)
        path = self._save(model, "fp32")
        self._check_written("fp32, as written", path, EXACT)
        return path

    def _write_fp16(self, model: ir.Model) -> Path:
        """Keep as few leading convolutions in FP32 as the tolerance allows."""
        for full in FULL_CONVOLUTIONS:
            self._announce(f"fp16, the first {full} convolutions in FP32" if full else "fp16")
            half = model.clone()
            _free_dropped_graphs()
            self.rewrites["fp16"] = to_fp16(half, full)
            self.rewrites["fp16-full-convolutions"] = full
            try:
                self._check("fp16", self._save_emulation(half), FP16_TOLERANCE, EMULATION)
            except ParityError:
                if full == FULL_CONVOLUTIONS[-1]:
                    raise
                continue
            break
        keep_declared_outputs(half)
        path = self._save(half, "fp16")
        self._check_written("fp16, as written", path, REDUCED_PRECISION)
        return path

    def _save(self, model: ir.Model, variant: str) -> Path:
        import onnx_ir as ir

        path = self.folder / f"{self.name}.{variant}.onnx"
        self._written.append(path)
        ir.save(model, path)
        return path

    def _check(self, stage: str, path: Path, tolerance: Tolerance, evaluated_by: str = ONNXRUNTIME) -> None:
        """Hold a file against the references on every sample; what is broken on one is not run on the next."""
        self._hold(stage, path, tolerance, evaluated_by, self.samples, self.references)

    def _check_written(self, stage: str, path: Path, tolerance: Tolerance) -> None:
        """Hold a finished file against one reference: its arithmetic was checked before, now it must load and run."""
        self._hold(stage, path, tolerance, ONNXRUNTIME, self.samples[-1:], self.references[-1:])

    def _hold(
        self,
        stage: str,
        path: Path,
        tolerance: Tolerance,
        evaluated_by: str,
        samples: Sequence[dict[str, Array]],
        references: Sequence[Mapping[str, Array]],
    ) -> None:
        results: list[Mapping[str, Array]] = []
        run = run_onnxruntime(path, samples, self.options.threads)
        with _naming_the_stage(stage, self.name), closing(run):  # a session of the full-size network holds gigabytes
            for result in run:
                results.append(result)
                figures = parity.compare(stage, evaluated_by, references[: len(results)], results)
                figures.check(tolerance, self.name)
        self.parities.append(figures)

    def _save_emulation(self, half: ir.Model) -> Path:
        """Write what the FP16 graph computes as a FP32 file; its large weights are freed before anything runs."""
        emulation = half.clone()
        emulate_fp16(emulation)
        path = self._save(emulation, _SCRATCH)
        del emulation
        _free_dropped_graphs()
        return path


def _free_dropped_graphs() -> None:
    """Nodes and values point at each other, so a dropped graph keeps its weights, up to gigabytes, until collected."""
    gc.collect()


@contextmanager
def _naming_the_stage(stage: str, graph: str) -> Iterator[None]:
    """ONNX Runtime's own errors for a graph that it cannot load or run, as ours."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    refusals = (state.Fail, state.InvalidArgument, state.InvalidGraph, state.NotImplemented, state.RuntimeException)
    try:
        yield
    except refusals as error:
        reason = str(error).partition("\n")[0][:240]
        raise GraphError(f"ONNX Runtime cannot run the graph '{graph}' after the stage '{stage}': {reason}") from error
