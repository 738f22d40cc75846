"""What the layers' inputs reach over the calibration set, collected once and kept.

NNCF's tensor collectors for ONNX reduce and aggregate; the graph runs on ONNX Runtime with one output for every tensor
that a convolution reads. (NNCF's own aggregator takes every core that there is and draws its own progress bar, so the
loop is ours.) Ranges are kept channel by channel: ``graphs.qdq.equalise`` needs them so, and every coarser range
follows from them.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_i2i.engines.protocol import Array, GraphSource
from edge_i2i.errors import BadInputError, GraphError, UsageError
from edge_i2i.graphs.qdq.equalise import ChannelRanges
from edge_i2i.media.atomic import replacing
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.requirements import require

if TYPE_CHECKING:
    import onnx_ir as ir

Sample = Mapping[str, Array]

_FORMAT = 1  # of the cached file; another number is collected again


class RangeKind(StrEnum):
    """Which values count as reached.

    ``min-max``: all of them. ``percentile``: in each frame and channel all but the outermost 0.01 % on either side
    (anything harder costs more in clipped highlights than it wins in resolution; shared reference, compression.md §1).
    """

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"


def range_kind(name: str) -> RangeKind:
    """The kind of that name.

    Raises:
        UsageError: there is none.
    """
    if name not in set(RangeKind):
        raise UsageError(f"There is no kind of ranges '{name}'.", remedy=f"Known: {', '.join(RangeKind)}.")
    return RangeKind(name)


_PERCENTILE = 0.9999
_ABOUT = "about"


@dataclass(frozen=True)
class Statistics:
    """What each layer reads, and writes where that was asked for: ranges of channels by layer name."""

    inputs: Mapping[str, ChannelRanges]
    outputs: Mapping[str, ChannelRanges]
    graph_sha256: str
    data_sha256: str
    kind: RangeKind
    samples: int


def collect_statistics(
    graph: GraphSource,
    samples: Sequence[Sample],
    data_sha256: str,
    *,
    kind: RangeKind = RangeKind.MIN_MAX,
    outputs: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Statistics:
    """Run a FP32 graph over the samples and collect what its convolutions read and, with ``outputs``, write.

    Raises:
        BadInputError: there are no samples.
        GraphError: the network gives NaN or infinity; names the first layer that does.
        MissingRequirementError: NNCF is not installed.
    """
    if not samples:
        raise BadInputError("There is nothing to calibrate with.", remedy="Give a folder of pictures, or a video.")
    shown = progress or NullProgress()
    taps, run = _tapped(graph, outputs, threads)
    collectors = {tensor: _collector(kind) for tensor in taps.tensors}
    shown.start(len(samples), "frames calibrated")
    try:
        for sample in samples:
            _register(run(sample), collectors, taps)
            shown.advance()
    finally:
        shown.finish()
    reached = {tensor: _ranges(collector) for tensor, collector in collectors.items()}
    return Statistics(
        {layer: reached[tensor] for layer, tensor in taps.inputs.items()},
        {layer: reached[tensor] for layer, tensor in taps.outputs.items()},
        graph.sha256,
        data_sha256,
        kind,
        len(samples),
    )


def cached_statistics(
    folder: Path,
    graph: GraphSource,
    samples: Sequence[Sample],
    data_sha256: str,
    *,
    kind: RangeKind = RangeKind.MIN_MAX,
    outputs: bool = False,
    threads: int | None = None,
    progress: Progress | None = None,
) -> tuple[Statistics, bool]:
    """As ``collect_statistics``, or what an earlier run left in ``folder`` for this very graph and these very samples.

    Returns the statistics, and whether they came from the folder. An interrupted collection leaves nothing there.
    """
    key = cache_key(graph.sha256, data_sha256, kind, outputs=outputs)
    path = folder / f"{key}.npz"
    known = _read(path, key)
    if known is not None:
        return known, True
    found = collect_statistics(
        graph, samples, data_sha256, kind=kind, outputs=outputs, threads=threads, progress=progress
    )
    _write(path, key, found)
    return found, False


def cache_key(graph_sha256: str, data_sha256: str, kind: RangeKind, *, outputs: bool) -> str:
    """The name under which statistics are kept: another graph, other data or another kind gives another."""
    text = json.dumps([_FORMAT, graph_sha256, data_sha256, kind.value, outputs])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# Collecting ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Taps:
    """Which tensor each layer reads, and writes."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]

    @property
    def tensors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.inputs.values(), *self.outputs.values()]))


def _tapped(graph: GraphSource, outputs: bool, threads: int | None) -> tuple[_Taps, Any]:
    """A function that runs the graph on a sample and returns every tensor that is tapped."""
    from edge_i2i.graphs.model_bytes import model_from_bytes, model_to_bytes
    from edge_i2i.graphs.qdq.layers import find_layers

    model = model_from_bytes(graph.read())
    layers = find_layers(model)
    if not layers:
        raise GraphError(f"The graph '{graph.declaration.name}' has no convolution that could be quantized.")
    reads = {layer.name: layer.source for layer in layers}
    writes = {layer.name: layer.node.outputs[0] for layer in layers if outputs}
    model.graph.outputs[:] = list(dict.fromkeys([*model.graph.outputs, *reads.values(), *writes.values()]))
    taps = _Taps({name: _name(value) for name, value in reads.items()}, {n: _name(v) for n, v in writes.items()})
    session = _session(model_to_bytes(model), threads)

    def run(sample: Sample) -> dict[str, Array]:
        wanted = list(taps.tensors)
        return dict(zip(wanted, session.run(wanted, dict(sample)), strict=True))

    return taps, run


def _session(data: bytes, threads: int | None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if threads is not None:
        options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


def _name(value: ir.Value) -> str:
    if value.name is None:
        raise GraphError("A tensor of the graph has no name.")
    return value.name


def _collector(kind: RangeKind) -> Any:
    collectors = require(
        "nncf.common.tensor_statistics.collectors", extra="quantize", purpose="Calibrating a quantized graph"
    )
    axes = (0, 2, 3)  # all but the channels
    collector = collectors.TensorCollector()
    if kind is RangeKind.MIN_MAX:
        low, high, port = collectors.MinReducer(axes=axes), collectors.MaxReducer(axes=axes), 0
    else:
        low = high = collectors.QuantileReducer(axes=axes, quantile=(1 - _PERCENTILE, _PERCENTILE))
        port = 1
    collector.register_statistic_branch("low", low, collectors.MinAggregator())
    collector.register_statistic_branch("high", high, collectors.MaxAggregator(), port)
    return collector


def _register(results: Mapping[str, Array], collectors: Mapping[str, Any], taps: _Taps) -> None:
    tensor = require("nncf.tensor", extra="quantize", purpose="Calibrating a quantized graph").Tensor
    for name, collector in collectors.items():
        if not np.isfinite(results[name]).all():
            raise _not_finite(name, taps)
        collector.register_input_for_all_reducers(tensor(results[name]))


def _not_finite(tensor: str, taps: _Taps) -> GraphError:
    reads = [layer for layer, name in taps.inputs.items() if name == tensor]
    writes = [layer for layer, name in taps.outputs.items() if name == tensor]
    where = f"The input of the layer '{reads[0]}'" if reads else f"The result of the layer '{writes[0]}'"
    return GraphError(
        f"{where} is NaN or infinite: this network cannot be calibrated.",
        remedy="Check the checkpoint (edge-i2i verify), and leave odd frames out of the calibration set.",
    )


def _ranges(collector: Any) -> ChannelRanges:
    found = collector.get_statistics()
    low, high = (np.asarray(found[name].data, np.float32).reshape(-1) for name in ("low", "high"))
    return ChannelRanges(low, high)


# Keeping ---------------------------------------------------------------------------------------------------------


def _write(path: Path, key: str, statistics: Statistics) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "key": key,
        "graph": statistics.graph_sha256,
        "data": statistics.data_sha256,
        "kind": statistics.kind.value,
        "samples": statistics.samples,
    }
    arrays = {_ABOUT: np.frombuffer(json.dumps(about).encode(), np.uint8)}
    for side, ranges in (("inputs", statistics.inputs), ("outputs", statistics.outputs)):
        for layer, channels in ranges.items():
            arrays[f"{side}/{layer}"] = np.stack([channels.low, channels.high])
    with replacing(path) as partial, partial.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def _read(path: Path, key: str) -> Statistics | None:
    """What a file holds; None where there is none, or it is another's or damaged: it is collected again then."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            about = json.loads(stored[_ABOUT].tobytes())
            if about["key"] != key:
                return None
            inputs, outputs = (_side(stored, side) for side in ("inputs", "outputs"))
    except (OSError, ValueError, KeyError, TypeError, GraphError, zipfile.BadZipFile):
        return None
    return Statistics(inputs, outputs, about["graph"], about["data"], RangeKind(about["kind"]), about["samples"])


def _side(stored: Any, side: str) -> dict[str, ChannelRanges]:
    prefix = f"{side}/"
    return {name.removeprefix(prefix): ChannelRanges(*stored[name]) for name in stored if name.startswith(prefix)}
