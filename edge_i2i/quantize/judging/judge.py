"""How good the pictures of a variant are: the FP32 network's pictures are made once, every variant is held to them.

Two PSNRs are told apart. Budgets are stated on pictures, so they are held against uint8 pictures. But rounding to whole
grey levels adds an error of its own wherever a value tips over: pictures of two correct FP32 engines measure about 90
dB, and a variant that is 65 dB from FP32 before rounding measures some 58 dB after it. Single layers of the demo
network lie at 50 to 74 dB, so their order is that of the network's float output, before it is scaled and rounded.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.contract import DType, GraphDeclaration, Role, TensorSpec
from edge_i2i.engines.in_memory import GraphInMemory
from edge_i2i.engines.protocol import Engine, EngineOptions, GraphSource, Session
from edge_i2i.engines.registry import engine_names, get_engine
from edge_i2i.errors import BadInputError
from edge_i2i.machine import describe_machine
from edge_i2i.metrics.flicker import PanningClip
from edge_i2i.metrics.parity import NETWORK_OUTPUT, psnr
from edge_i2i.metrics.quality import quality_of
from edge_i2i.quantize.calibration.samples import PAN_STEP, Sample
from edge_i2i.quantize.judging.emulation import EmulatingEngine
from edge_i2i.quantize.judging.verdicts import QualityVerdict, VerdictCache

if TYPE_CHECKING:
    from edge_i2i.graphs.qdq.targets.protocol import Target
    from edge_i2i.quantize.calibration.calibration_set import CalibrationSet

_FORMAT = 2  # of what is measured; another number is measured again


@dataclass(frozen=True, eq=False)
class JudgedInputs:
    """What quality is judged on: pictures that no range was taken from, and frames that pan by ``step`` (or none)."""

    pictures: Sequence[Sample]
    clip: Sequence[Sample] = ()
    step: tuple[int, int] = PAN_STEP

    @classmethod
    def of(cls, data: CalibrationSet) -> JudgedInputs:
        """The held-out pictures and the clip of a calibration set."""
        return cls(data.held_out, data.clip, data.clip_step)

    @cached_property
    def sha256(self) -> str:
        """The checksum of every array, its name and its shape, and of how the clip pans."""
        digest = hashlib.sha256(repr((len(self.pictures), self.step)).encode())
        for sample in (*self.pictures, *self.clip):
            for name, array in sorted(sample.items()):
                digest.update(f"{name} {array.dtype} {array.shape}".encode())
                digest.update(array.tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class _Outputs:
    """What a graph makes of the judged inputs. ``floats``: ``[pictures, 3, H, W]`` in [-1, 1], where it gives them."""

    pictures: list[Array]
    floats: Array | None
    clip: PanningClip | None

    def first(self, pictures: int) -> _Outputs:
        """The outputs for the first few pictures, without the clip."""
        floats = None if self.floats is None else self.floats[:pictures]
        return _Outputs(self.pictures[:pictures], floats, None)


class Judge:
    """Holds variants of a graph against its FP32 variant, on the engine that they are meant for.

    Args:
        reference: the FP32 variant.
        inputs: what to judge on.
        engine: runs reference and variants; an ``EmulatingEngine`` where none computes their target here.
        options: of that engine. The reference is computed in FP32 whatever precision they name.
        cache: a folder where verdicts are kept, so that what was judged is not judged again.
        more: a judge whose pictures begin with these, and whose run of the reference serves both.

    Raises (from ``judge``):
        BadInputError: there are no pictures.
        GraphError: the engine cannot take the variant.
    """

    def __init__(
        self,
        reference: GraphSource,
        inputs: JudgedInputs,
        engine: Engine,
        options: EngineOptions | None = None,
        *,
        cache: Path | None = None,
        more: Judge | None = None,
    ) -> None:
        self.reference, self.inputs, self.engine = reference, inputs, engine
        self.options = options or EngineOptions()
        self.emulated = engine.emulated.name if isinstance(engine, EmulatingEngine) else None
        self._verdicts = VerdictCache(cache, self._key()) if cache is not None else None
        self._cache, self._more = cache, more

    def judge(self, graph: GraphSource) -> QualityVerdict:
        """The quality of a variant's pictures against FP32's; looked up where it was judged before."""
        known = None if self._verdicts is None else self._verdicts.get(graph.sha256)
        if known is not None:
            return known
        verdict = self._judge(graph)
        if self._verdicts is not None:
            self._verdicts.put(graph.sha256, verdict)
        return verdict

    def quick(self, pictures: int, *, fine: bool = False) -> Judge:
        """A judge on the first few pictures and no clip, who need not run the reference again.

        ``fine``: as in ``judge_for``.
        """
        inputs = JudgedInputs(self.inputs.pictures[:pictures], (), self.inputs.step)
        options = _in_fp32(self.engine, self.options) if fine else self.options
        return Judge(self.reference, inputs, self.engine, options, cache=self._cache, more=self)

    def _judge(self, graph: GraphSource) -> QualityVerdict:
        expected = self._expected
        with self._load(graph, self.options) as session:
            found = _run(session, self.inputs)
            info = session.info
        floats = None
        if expected.floats is not None and found.floats is not None:
            floats = psnr(expected.floats, found.floats, data_range=2.0)
        judged_by = f"{info.engine} {info.version.partition('-')[0]} ({info.effective_precision})"
        quality = quality_of(found.pictures, expected.pictures, found.clip, expected.clip)
        return QualityVerdict(quality, floats, judged_by, self.emulated is not None)

    @cached_property
    def _expected(self) -> _Outputs:
        if self._more is not None:
            return self._more._expected.first(len(self.inputs.pictures))
        if not self.inputs.pictures:
            raise BadInputError("There are no pictures to judge quality on.", remedy="Give more pictures.")
        with self._load(self.reference, replace(self.options, precision="fp32")) as session:
            return _run(session, self.inputs)

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        return self.engine.load(with_network_output(graph), options)

    def _key(self) -> str:
        """Another reference, other inputs, or another way of computing give other verdicts."""
        parts = {
            "format": _FORMAT,
            "reference": self.reference.sha256,
            "inputs": self.inputs.sha256,
            "engine": [self.engine.name, self.engine.availability().version, self.options.precision],
            "emulated": self.emulated,
            "processor": [describe_machine()["processor"], describe_machine()["instructions"]],
            "arithmetic": self.engine.arithmetic_here(),
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def engine_for(target: str) -> Engine | None:
    """An engine that computes a quantization target's graphs on this machine; None where there is none."""
    engines = [get_engine(name) for name in engine_names()]
    able = [engine for engine in engines if engine.target == target and engine.availability().ok]
    return max(able, key=lambda engine: engine.preference, default=None)


def judge_for(
    target: Target,
    reference: GraphSource,
    inputs: JudgedInputs,
    options: EngineOptions | None = None,
    *,
    fine: bool = False,
    cache: Path | None = None,
) -> Judge:
    """A judge on the engine that computes a target here, or else on one that emulates it.

    Args:
        target: the quantization target of the variants.
        reference: the FP32 variant.
        inputs: what to judge on.
        options: of the engine.
        fine: compute the float rest of variants in FP32 where the engine can be told to, so that BF16 rounding (about
            50 dB by itself) does not cover what single layers do, whatever the variant will be used with.
        cache: a folder where verdicts are kept.
    """
    engine, options = engine_for(target.name) or EmulatingEngine(target), options or EngineOptions()
    if fine or isinstance(engine, EmulatingEngine):
        options = _in_fp32(engine, options)
    return Judge(reference, inputs, engine, options, cache=cache)


def _in_fp32(engine: Engine, options: EngineOptions) -> EngineOptions:
    """The options with floats forced to FP32, where the engine can be told to."""
    return replace(options, precision="fp32") if "fp32" in engine.forced_precisions else options


def with_network_output(graph: GraphSource) -> GraphSource:
    """The graph with the network's float output beside its picture; the graph itself where that cannot be found."""
    from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
    from edge_i2i.graphs.passes.outputs import expose_network_output

    model = model_from_bytes(graph.read())
    if not expose_network_output(model):
        return graph
    declaration = _declared(graph.declaration)
    return GraphInMemory(declaration, model_to_bytes(model), graph.variant, graph.precision, graph.targets)


def _declared(declaration: GraphDeclaration) -> GraphDeclaration:
    height, width, colours = declaration.outputs[0].shape
    shape = (colours, height, width)
    spec = TensorSpec(NETWORK_OUTPUT, Role.IMAGE, shape, DType.FLOAT32, -1, 1, "the network's output")
    return replace(declaration, outputs=(*declaration.outputs, spec))


def _run(session: Session, inputs: JudgedInputs) -> _Outputs:
    picture = session.declaration.outputs[0].name
    results = [session.run(sample) for sample in inputs.pictures]
    floats = [result[NETWORK_OUTPUT] for result in results if NETWORK_OUTPUT in result]
    frames = tuple(session.run(sample)[picture] for sample in inputs.clip)
    return _Outputs(
        [result[picture] for result in results],
        np.stack(floats) if floats else None,
        PanningClip(frames, inputs.step) if frames else None,
    )
