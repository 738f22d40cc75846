"""What the layers' inputs reach over the calibration set, collected once and kept.

NNCF's tensor collectors for ONNX reduce and aggregate; the graph runs on ONNX Runtime with one output for every tensor
that a convolution reads. (NNCF's own aggregator takes every core that there is and draws its own progress bar, so the
loop is ours.) Ranges are kept channel by channel: ``graphs.qdq.equalise`` needs them so, and every coarser range
follows from them.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from edge_i2i.arrays import Array
from edge_i2i.engines.protocol import GraphSource
from edge_i2i.errors import BadInputError, UsageError
from edge_i2i.files.places import ANOTHER_CACHE, writing
from edge_i2i.files.whole import replacing
from edge_i2i.graphs.qdq.equalise import ChannelRanges
from edge_i2i.progress import NullProgress, Progress
from edge_i2i.quantize.calibration.samples import Sample
from edge_i2i.quantize.calibration.taps import TappedGraph
from edge_i2i.requirements import require

_log = logging.getLogger(__name__)

_FORMAT = 2  # of the cached file; another number is collected again


class RangeKind(StrEnum):
    """Which values count as reached.

    ``min-max``: all of them. ``percentile``: in each frame and channel all but the outermost 0.01 % on either side
    (anything harder costs more in clipped highlights than it wins in resolution).
    """

    MIN_MAX = "min-max"
    PERCENTILE = "percentile"


def range_kind(name: str) -> RangeKind:
    """The kind of ranges that is called ``name``.

    Raises:
        UsageError: no kind has that name; names those that there are.
    """
    if name not in set(RangeKind):
        raise UsageError(f"There is no kind of ranges '{name}'.", remedy=f"Known: {', '.join(RangeKind)}.")
    return RangeKind(name)


_PERCENTILE = 0.9999
_PURPOSE = "Calibrating a quantized graph"


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
    """Run a graph over the samples and collect the ranges of what its convolutions read and, on demand, write.

    Args:
        graph: the FP32 graph.
        samples: complete inputs, read one after another.
        data_sha256: the checksum of the calibration set, which is kept with the result.
        kind: which of the values that are met count as reached.
        outputs: whether to collect what layers write, too.
        threads: CPU threads of ONNX Runtime; None: its own choice.
        progress: told about samples; None: nobody is.

    Raises:
        BadInputError: there are no samples; the graph has no layer to quantize; or the network gives NaN or infinity
            (names the first layer that does).
        MissingRequirementError: NNCF is not installed.
    """
    if not samples:
        raise BadInputError("There is nothing to calibrate with.", remedy="Give a folder of pictures, or a video.")
    shown = progress or NullProgress()
    tapped = TappedGraph(graph, outputs=outputs, threads=threads)
    collectors = {tensor: _collector(kind) for tensor in tapped.tensors}
    shown.start(len(samples), "frames calibrated")
    try:
        for sample in samples:
            _register(tapped.run(sample), collectors)
            shown.advance()
    finally:
        shown.finish()
    reached = {tensor: _ranges(collector) for tensor, collector in collectors.items()}
    return Statistics(
        {layer: reached[tensor] for layer, tensor in tapped.inputs.items()},
        {layer: reached[tensor] for layer, tensor in tapped.outputs.items()},
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
    """The statistics that an earlier run left for this very graph and these very samples, or else fresh ones.

    Returns the statistics, and whether they came from the folder. An interrupted collection leaves nothing there.

    Args:
        folder: where statistics are kept; what is damaged there is collected again.
        graph: the FP32 graph.
        samples: complete inputs; not read where the statistics are there.
        data_sha256: the checksum of the calibration set, which stands for ``samples``.
        kind: which of the values that are met count as reached.
        outputs: whether what layers write is needed, too.
        threads: CPU threads of ONNX Runtime; None: its own choice.
        progress: told about samples; None: nobody is.
    """
    for more in dict.fromkeys((outputs, True)):  # what has outputs, too, serves who needs none
        key = cache_key(graph.sha256, data_sha256, kind, outputs=more)
        known = _read(_place(folder, key), key)
        if known is not None:
            return known, True
    found = collect_statistics(
        graph, samples, data_sha256, kind=kind, outputs=outputs, threads=threads, progress=progress
    )
    key = cache_key(graph.sha256, data_sha256, kind, outputs=outputs)
    _write(_place(folder, key), key, found)
    return found, False


def _place(folder: Path, key: str) -> Path:
    return folder / f"statistics-{key}.json"


def cache_key(graph_sha256: str, data_sha256: str, kind: RangeKind, *, outputs: bool) -> str:
    """The name under which statistics are kept, in hexadecimal: a difference in anything gives another.

    Args:
        graph_sha256: the checksum of the FP32 graph's file.
        data_sha256: the checksum of the calibration set.
        kind: which of the values that were met count as reached.
        outputs: whether what layers write was collected, too.
    """
    text = json.dumps([_FORMAT, graph_sha256, data_sha256, kind.value, outputs])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


# Collecting ------------------------------------------------------------------------------------------------------


def _collector(kind: RangeKind) -> Any:
    collectors = require("nncf.common.tensor_statistics.collectors", extra="quantize", purpose=_PURPOSE)
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


def _register(results: Mapping[str, Array], collectors: Mapping[str, Any]) -> None:
    tensor = require("nncf.tensor", extra="quantize", purpose=_PURPOSE).Tensor
    for name, collector in collectors.items():
        collector.register_input_for_all_reducers(tensor(results[name]))


def _ranges(collector: Any) -> ChannelRanges:
    found = collector.get_statistics()
    low, high = (np.asarray(found[name].data, np.float32).reshape(-1) for name in ("low", "high"))
    return ChannelRanges(low, high)


# Keeping ---------------------------------------------------------------------------------------------------------


def _write(path: Path, key: str, statistics: Statistics) -> None:
    """A line with the checksum of what follows, and JSON: float32 survives the way there and back."""
    stored = {
        "key": key,
        "graph": statistics.graph_sha256,
        "data": statistics.data_sha256,
        "kind": statistics.kind.value,
        "samples": statistics.samples,
        "inputs": _plain(statistics.inputs),
        "outputs": _plain(statistics.outputs),
    }
    text = json.dumps(stored)
    with writing(path, remedy=ANOTHER_CACHE):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial:
            partial.write_bytes(f"{_digest(text)}\n{text}".encode())


def _plain(ranges: Mapping[str, ChannelRanges]) -> dict[str, list[list[float]]]:
    return {layer: [channels.low.tolist(), channels.high.tolist()] for layer, channels in ranges.items()}


def _read(path: Path, key: str) -> Statistics | None:
    """What a file holds; None where there is none, or it is another's or damaged: it is collected again then."""
    try:
        digest, _, text = path.read_bytes().decode("utf-8").partition("\n")  # as it stands: no other line ends
        found = _statistics(text, key) if digest == _digest(text) else None
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        found = None
    if found is None:
        _log.warning("what was calibrated before is damaged in %s: it is calibrated again", path)
    return found


def _statistics(text: str, key: str) -> Statistics | None:
    stored = json.loads(text)
    if stored["key"] != key:
        return None
    inputs, outputs = (_ranges_of(stored[side]) for side in ("inputs", "outputs"))
    return Statistics(inputs, outputs, stored["graph"], stored["data"], RangeKind(stored["kind"]), stored["samples"])


def _ranges_of(plain: Mapping[str, list[list[float]]]) -> dict[str, ChannelRanges]:
    return {layer: ChannelRanges(*np.asarray(channels, np.float32)) for layer, channels in plain.items()}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
