"""ONNX bytes in, a serialised engine out: strongly typed, with reasons when it cannot be done."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from edge_i2i.engines.tensorrt.adapter import Adapter, ParserProblem
from edge_i2i.engines.tensorrt.files import write_durably
from edge_i2i.engines.tensorrt.logger import MessageLog
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.engines.tensorrt.progress import BuildProgress, ProgressListener, run_interruptible
from edge_i2i.errors import GraphError

_log = logging.getLogger(__name__)

_SHOWN_PROBLEMS = 5
_QUANTIZERS = ("QuantizeLinear", "DequantizeLinear")
_QUANTIZE_AGAIN = (
    "edge-i2i quantize BUNDLE --data FOLDER --target tensorrt makes a variant that TensorRT computes as written"
)

# Builds would disturb each other's timings, and hear each other's warnings: a process has one TensorRT logger.
_ONE_AT_A_TIME = threading.Lock()


def build_plan(
    adapter: Adapter,
    onnx: bytes,
    options: BuildOptions,
    *,
    timing_cache: Path | None = None,
    listener: ProgressListener | None = None,
) -> bytes:
    """Build an engine and return its bytes. Ctrl-C stops the build at its next step.

    Args:
        adapter: the installed product.
        onnx: the ONNX file's bytes.
        options: resolved ones (see ``BuildOptions.resolved``).
        timing_cache: a file of one TensorRT version and device that is read where it exists and written afterwards;
            None: measurements are neither reused nor kept.
        listener: told about the builder's phases, from its threads; None: nobody is.

    Raises:
        GraphError: the graph cannot be parsed, would silently compute something else, or cannot be built.
        UsageError: this TensorRT version does not know an option.
        MissingRequirementError: TensorRT cannot start here.
        KeyboardInterrupt: the build was stopped; nothing is left behind.
    """
    progress = BuildProgress(listener)
    build = _Build(adapter, options, timing_cache, progress)
    return run_interruptible(lambda: build.run(onnx), progress)


class _Build:
    """One build; what TensorRT only borrows is kept alive for as long as it needs it."""

    def __init__(
        self, adapter: Adapter, options: BuildOptions, timing_cache: Path | None, progress: BuildProgress
    ) -> None:
        self._adapter = adapter
        self._options = options
        self._timing_cache = timing_cache
        self._progress = progress
        self._messages = MessageLog()

    def run(self, onnx: bytes) -> bytes:
        with _ONE_AT_A_TIME, self._adapter.hub.attached(self._messages):
            return self._run(onnx)

    def _run(self, onnx: bytes) -> bytes:
        adapter = self._adapter
        monitor = adapter.make_progress_monitor(self._progress)
        builder = adapter.make_builder(self._messages)
        network = adapter.make_network(builder)
        problems = adapter.parse(network, onnx)
        if problems:
            raise _parse_error(adapter, problems)
        if self._options.refuse_silent_arithmetic:
            self._refuse_changed_arithmetic()
        config = adapter.make_config(builder, self._options, monitor)
        if self._timing_cache is not None and not adapter.use_timing_cache(config, _read(self._timing_cache)):
            _log.warning("The timing cache %s does not fit this device; starting a new one.", self._timing_cache)
            adapter.use_timing_cache(config, b"")
        plan = adapter.build(builder, network, config)
        self._progress.raise_failure()
        if plan is None:
            raise self._build_error()
        if self._timing_cache is not None:
            write_durably(self._timing_cache, adapter.timing_cache(config))
        return plan

    def _refuse_changed_arithmetic(self) -> None:
        changes = self._messages.changed_arithmetic
        if changes:
            raise GraphError(
                f"{self._adapter.flavour.title} would compute other numbers than the graph says, in {len(changes)} "
                f"place{'s' if len(changes) > 1 else ''}: {changes[0]}",
                remedy=f"{_QUANTIZE_AGAIN}: signed INT8 with zero points of 0. Re-read as INT8, UINT8 values would "
                "lose the upper half of their range.",
            )

    def _build_error(self) -> GraphError:
        return GraphError(
            f"{self._adapter.flavour.title} {self._adapter.version} could not build the engine:\n"
            f"  {self._messages.take_errors()}",
            remedy="Where it speaks of workspace or memory: raise the workspace limit (--workspace-mb), close other "
            "programs, or choose a smaller size or the fp16 variant.",
        )


def _read(timing_cache: Path) -> bytes:
    return timing_cache.read_bytes() if timing_cache.exists() else b""


def _parse_error(adapter: Adapter, problems: tuple[ParserProblem, ...]) -> GraphError:
    lines = [_describe(problem) for problem in problems[:_SHOWN_PROBLEMS]]
    if len(problems) > _SHOWN_PROBLEMS:
        lines.append(f"and {len(problems) - _SHOWN_PROBLEMS} more")
    quantized = any(problem.operator in _QUANTIZERS for problem in problems)
    again = f"{_QUANTIZE_AGAIN}." if quantized else "Export the graph again with this version of edge-i2i."
    return GraphError(
        f"{adapter.flavour.title} {adapter.version} cannot read the graph:\n  " + "\n  ".join(lines),
        remedy=f"{again} Or run it on another engine.",
    )


def _describe(problem: ParserProblem) -> str:
    if not problem.operator:
        return problem.description
    return f"node '{problem.node or '(unnamed)'}' ({problem.operator}): {problem.description}"
