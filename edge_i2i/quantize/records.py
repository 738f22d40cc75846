"""What a bundle records of quantized variants, and what is kept beside it of those below their budget."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from edge_i2i.bundle.golden import GOLDEN_PSNR
from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.engines.figures import evidence_versions
from edge_i2i.files.places import writing
from edge_i2i.files.whole import replacing
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.quantize.calibration.statistics import RangeKind
from edge_i2i.quantize.judging.contest import Placing
from edge_i2i.quantize.judging.judge import engine_for
from edge_i2i.quantize.judging.verdicts import QualityVerdict
from edge_i2i.quantize.variants import QuantizedVariant

STAGE = "quantize"


def quality_record(
    graph: str,
    variant: str,
    target: str,
    precision: str | None,
    verdict: QualityVerdict,
    golden_db: float | None,
    command: str,
) -> EvidenceRecord:
    """A variant's quality against FP32 of the same network.

    Args:
        graph: the graph's name.
        variant: the variant's.
        target: the quantization target whose engine judged it.
        precision: the float arithmetic that it was judged in; None: the engine has no choice.
        verdict: what was found.
        golden_db: the PSNR on the bundle's example inputs.
        command: what a person typed.
    """
    engine = None if verdict.emulated else engine_for(target)
    return EvidenceRecord(
        kind="quality",
        stage=STAGE,
        graph=graph,
        variant=variant,
        engine=f"{target}, emulated" if engine is None else engine.name,
        precision=precision,
        figures=verdict.quality.figures() | ({} if golden_db is None else {GOLDEN_PSNR: golden_db}),
        machine=describe_machine(),
        versions=installed_versions() if engine is None else evidence_versions(engine),
        command=command,
        date=_now(),
        note=f"against FP32 of the same network, on pictures that no range was taken from, by {verdict.judged_by}",
    )


def latency_record(graph: str, placing: Placing, command: str) -> EvidenceRecord:
    """How long a variant took on an engine, as a bundle keeps it.

    Args:
        graph: the graph's name.
        placing: the variant, the engine and the timings of one contest.
        command: what a person typed.
    """
    speed = {} if placing.speed is None else {"speed_to_fp32": placing.speed}
    threads = {} if placing.threads is None else {"threads": float(placing.threads)}
    return EvidenceRecord(
        kind="latency",
        stage=STAGE,
        graph=graph,
        variant=placing.entry.graph.variant,
        engine=placing.entry.engine.name,
        precision=placing.entry.precision,
        figures=placing.timings.figures() | speed | threads,
        machine=describe_machine(),
        versions=evidence_versions(placing.entry.engine),
        command=command,
        date=_now(),
        note=f"computed in {placing.effective_precision}; all variants interleaved in one run",
    )


def recipe_record(
    variant: QuantizedVariant, calibration: Sequence[str], calibration_sha256: str, kind: RangeKind
) -> dict[str, object]:
    """How a variant was made, in plain JSON, as a bundle's recipe keeps it.

    Args:
        variant: the variant, with its layers, its passes and its budget.
        calibration: what it was calibrated over, in lines for people.
        calibration_sha256: the checksum of the calibration set.
        kind: which of the values that were met count as reached.
    """
    return {
        "target": variant.target,
        "quantized": list(variant.graph.layers),
        "float": dict(variant.kept_float),
        "floats": list(variant.floats),
        "floats_not_borne": {name: list(complaints) for name, complaints in variant.unbearable.items()},
        "largest_weight": variant.largest_weight,
        "ranges": kind.value,
        "passes": dict(variant.graph.passes),
        "calibration": list(calibration),
        "calibration_sha256": calibration_sha256,
        "budget": asdict(variant.budget),
    }


def keep_aside(folder: Path, variant: QuantizedVariant, complaints: Sequence[str]) -> None:
    """Write a variant that misses its budget as ``NAME.onnx``, with what it misses and its figures in ``NAME.json``.

    Args:
        folder: where to write; made where it is not there.
        variant: the variant, which gives the files their name.
        complaints: what it misses, in sentences.
    """
    about = {
        "variant": variant.name,
        "misses": list(complaints),
        "quality": variant.verdict.quality.figures(),
        "judged_by": variant.verdict.judged_by,
        "float": dict(variant.kept_float),
        "floats": list(variant.floats),
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / f"{variant.name}.onnx") as partial:
            partial.write_bytes(variant.graph.source.data)
        with replacing(folder / f"{variant.name}.json") as partial:
            partial.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
