"""The only module that names attributes of TensorRT's Python modules; all that depends on a version lives here.

Rules that the contract test relies on (tests/engines/tensorrt/test_trt_contract.py reads this file's syntax tree):
every variable that holds a TensorRT object is annotated with its class; ``trt.X`` must be in TensorRT 10.3, 10.16 and
11.4 and in TensorRT-RTX; ``rtx.X`` in TensorRT-RTX only; classes are reached through ``Api``. No method of
TensorRT 8's weakly typed world (precision flags, calibrators, bindings by index) appears: 11 removed them all.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from types import ModuleType
from typing import TYPE_CHECKING, Any

from edge_i2i.engines.tensorrt.flavour import Flavour
from edge_i2i.engines.tensorrt.logger import MessageHub, MessageLog
from edge_i2i.engines.tensorrt.options import BuildOptions, HardwareCompatibility
from edge_i2i.engines.tensorrt.plan import version_numbers
from edge_i2i.engines.tensorrt.progress import BuildProgress
from edge_i2i.errors import GraphError, MissingRequirementError, PlanError, UsageError

if TYPE_CHECKING:
    import tensorrt as trt
    import tensorrt_rtx as rtx

_MIB = 1 << 20
_DTYPES = {"FLOAT": "float32", "HALF": "float16", "INT32": "int32", "UINT8": "uint8"}  # those that may cross a border


@dataclass(frozen=True)
class Api:
    """The classes of a TensorRT module that this house uses; each is there in every version that we serve."""

    Builder: type[trt.Builder]
    BuilderFlag: type[trt.BuilderFlag]
    HardwareCompatibilityLevel: type[trt.HardwareCompatibilityLevel]
    ILogger: type[trt.ILogger]
    IProgressMonitor: type[trt.IProgressMonitor]
    MemoryPoolType: type[trt.MemoryPoolType]
    NetworkDefinitionCreationFlag: type[trt.NetworkDefinitionCreationFlag]
    OnnxParser: type[trt.OnnxParser]
    Runtime: type[trt.Runtime]
    TensorIOMode: type[trt.TensorIOMode]

    @classmethod
    def of(cls, module: ModuleType) -> Api:
        """Gather the classes; AttributeError where ``module`` is not TensorRT (see ``load_adapter``)."""
        return cls(**{field.name: getattr(module, field.name) for field in fields(cls)})


@dataclass(frozen=True)
class ParserProblem:
    """One reason why the parser refuses a graph, with the node it stumbled over."""

    node: str
    operator: str
    description: str


@dataclass(frozen=True)
class EngineTensor:
    """One input or output of an engine: numpy's dtype name, and the shape (-1 where it is dynamic)."""

    name: str
    is_input: bool
    dtype: str
    shape: tuple[int, ...]


class LogBridge:
    """What of ``ILogger`` TensorRT calls; mixed with the module's own class where that is known."""

    hub: MessageHub

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Pass one of TensorRT's messages on to the hub."""
        self.hub.add(int(severity), msg)


class ProgressBridge:
    """What of ``IProgressMonitor`` TensorRT calls; mixed with the module's own class where that is known."""

    progress: BuildProgress

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        """Tell that the phase ``phase_name`` of ``num_steps`` steps begins, inside ``parent_phase`` or in none."""
        self.progress.phase_started(phase_name, parent_phase, num_steps)

    def step_complete(self, phase_name: str, step: int) -> bool:
        """Tell that a phase did one more step, counted from 0; False stops the build."""
        self.progress.step_completed(phase_name, step)
        return not self.progress.cancelled

    def phase_finish(self, phase_name: str) -> None:
        """Tell that a phase ends, perhaps before all its steps."""
        self.progress.phase_finished(phase_name)


class Adapter:
    """One installed TensorRT product."""

    def __init__(self, flavour: Flavour, module: ModuleType) -> None:
        self.flavour = flavour
        self.version = str(module.__version__)
        self._module = module
        self._api = Api.of(module)
        self._logger: trt.ILogger
        self._logger, self.hub = _process_logger(self._api)

    def make_progress_monitor(self, progress: BuildProgress) -> trt.IProgressMonitor:
        """A monitor that fills ``progress``; it must outlive the build."""
        monitor: Any = type("ProgressMonitor", (ProgressBridge, self._api.IProgressMonitor), {})()
        monitor.progress = progress
        bridged: trt.IProgressMonitor = monitor
        return bridged

    def make_builder(self, messages: MessageLog) -> trt.Builder:
        """A builder; ``messages`` is attached to the hub and hears why when there can be none.

        Raises:
            MissingRequirementError: TensorRT cannot start here, most often because it sees no GPU.
        """
        try:
            builder: trt.Builder = self._api.Builder(self._logger)
        except TypeError as error:  # what pybind11 makes of the library's null pointer
            raise self._cannot_start(messages) from error
        return builder

    def make_network(self, builder: trt.Builder) -> trt.INetworkDefinition:
        """An empty strongly typed network: types come from the graph. 11 ignores the flag, it knows nothing else."""
        network: trt.INetworkDefinition = builder.create_network(
            1 << int(self._api.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        )
        return network

    def parse(self, network: trt.INetworkDefinition, onnx: bytes) -> tuple[ParserProblem, ...]:
        """Read an ONNX file's bytes into the network; what is returned are the reasons why it could not."""
        parser: trt.OnnxParser = self._api.OnnxParser(network, self._logger)
        if parser.parse(onnx):
            # An empty file is a valid model to the parser, of a graph without anything in it.
            return () if network.num_outputs else (ParserProblem("", "", "the file holds no graph with an output"),)
        return tuple(_problem(parser.get_error(index)) for index in range(parser.num_errors))

    def make_config(
        self, builder: trt.Builder, options: BuildOptions, monitor: trt.IProgressMonitor
    ) -> trt.IBuilderConfig:
        """The builder's configuration for a build.

        Args:
            builder: the builder that the configuration is for.
            options: resolved ones (see ``BuildOptions.resolved``).
            monitor: told about the build, and may stop it; it must outlive the build.

        Raises:
            UsageError: this version does not know the hardware compatibility level.
            GraphError: a target compute capability is refused.
        """
        config: trt.IBuilderConfig = builder.create_builder_config()
        config.progress_monitor = monitor
        config.builder_optimization_level = options.optimization_level
        if options.workspace_mb is not None:
            config.set_memory_pool_limit(self._api.MemoryPoolType.WORKSPACE, options.workspace_mb * _MIB)
        if not options.allow_tf32:
            config.clear_flag(self._api.BuilderFlag.TF32)
        if options.version_compatible:
            config.set_flag(self._api.BuilderFlag.VERSION_COMPATIBLE)
        if options.hardware_compatibility is not HardwareCompatibility.NONE:
            config.hardware_compatibility_level = self._compatibility_level(options.hardware_compatibility)
        if options.targets is not None:
            self._set_targets(config, options.targets)
        return config

    def use_timing_cache(self, config: trt.IBuilderConfig, saved: bytes) -> bool:
        """Let the build reuse measurements; False where they are not for this device and version."""
        cache: trt.ITimingCache | None = config.create_timing_cache(saved)
        return cache is not None and config.set_timing_cache(cache, ignore_mismatch=False)

    def timing_cache(self, config: trt.IBuilderConfig) -> bytes:
        """The measurements after a build; empty where there are none."""
        cache: trt.ITimingCache | None = config.get_timing_cache()
        if cache is None:
            return b""
        memory: trt.IHostMemory = cache.serialize()
        return bytes(memory)

    def build(self, builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig) -> bytes | None:
        """The serialised engine, or None where the build failed or was stopped.

        Args:
            builder: made the other two.
            network: the graph, parsed without a problem.
            config: from ``make_config``; its progress monitor may stop the build.
        """
        memory: trt.IHostMemory | None = builder.build_serialized_network(network, config)
        return None if memory is None else bytes(memory)

    def load_engine(self, plan: bytes, *, allow_host_code: bool) -> LoadedEngine:
        """Deserialise an engine whose header and checksum were checked before.

        ``allow_host_code``: let a version-compatible engine bring its own runtime, which is program code.

        Raises:
            MissingRequirementError: TensorRT cannot start here.
            PlanError: TensorRT refuses the engine; carries its reasons.
        """
        with self.hub.attached(MessageLog()) as messages:
            engine: trt.ICudaEngine = self._deserialise(plan, allow_host_code, messages)
        return LoadedEngine(self, engine)

    def _deserialise(self, plan: bytes, allow_host_code: bool, messages: MessageLog) -> trt.ICudaEngine:
        try:
            runtime: trt.Runtime = self._api.Runtime(self._logger)
        except TypeError as error:
            raise self._cannot_start(messages) from error
        runtime.engine_host_code_allowed = allow_host_code
        if hasattr(self._module, "EngineValidity"):
            self._check_validity(runtime, plan)
        engine: trt.ICudaEngine | None = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise PlanError(f"{self.flavour.title} {self.version} refuses the engine file:\n  {messages.take_errors()}")
        return engine  # which keeps its runtime alive

    def make_context(self, engine: trt.ICudaEngine) -> tuple[trt.IExecutionContext | None, bool]:
        """An execution context, and whether it captures and replays CUDA graphs by itself (TensorRT-RTX does)."""
        if hasattr(self._module, "CudaGraphStrategy"):
            return self._make_rtx_context(engine), True
        context: trt.IExecutionContext | None = engine.create_execution_context()
        return context, False

    def tensors(self, engine: trt.ICudaEngine) -> tuple[EngineTensor, ...]:
        """The engine's inputs and outputs."""
        return tuple(self._tensor(engine, index) for index in range(engine.num_io_tensors))

    def _tensor(self, engine: trt.ICudaEngine, index: int) -> EngineTensor:
        name = engine.get_tensor_name(index)
        dtype: trt.DataType = engine.get_tensor_dtype(name)
        shape: trt.Dims = engine.get_tensor_shape(name)
        is_input = engine.get_tensor_mode(name) == self._api.TensorIOMode.INPUT
        return EngineTensor(
            name, is_input, _DTYPES.get(dtype.name, dtype.name), tuple(shape[axis] for axis in range(len(shape)))
        )

    def _compatibility_level(self, level: HardwareCompatibility) -> trt.HardwareCompatibilityLevel:
        known = self._api.HardwareCompatibilityLevel.__members__
        if level.upper() not in known:
            raise UsageError(
                f"{self.flavour.title} {self.version} does not know the hardware compatibility '{level}'.",
                remedy=f"It knows: {', '.join(sorted(name.lower() for name in known))}.",
            )
        return known[level.upper()]

    def _set_targets(self, config: rtx.IBuilderConfig, targets: Sequence[str]) -> None:
        known: dict[str, rtx.ComputeCapability] = self._module.ComputeCapability.__members__
        config.num_compute_capabilities = len(targets)
        for index, target in enumerate(targets):
            capability = known.get(f"SM{target.replace('.', '')}")
            if capability is None or not config.set_compute_capability(capability, index):
                raise GraphError(f"{self.flavour.title} {self.version} cannot build for compute capability {target}.")

    def _make_rtx_context(self, engine: rtx.ICudaEngine) -> trt.IExecutionContext | None:
        strategy: type[rtx.CudaGraphStrategy] = self._module.CudaGraphStrategy
        config: rtx.IRuntimeConfig = engine.create_runtime_config()
        config.cuda_graph_strategy = strategy.WHOLE_GRAPH_CAPTURE
        context: trt.IExecutionContext | None = engine.create_execution_context(runtime_config=config)
        return context

    def _check_validity(self, runtime: rtx.Runtime, plan: bytes) -> None:
        validity_class: type[rtx.EngineValidity] = self._module.EngineValidity
        reasons: dict[str, rtx.EngineInvalidityDiagnostics] = self._module.EngineInvalidityDiagnostics.__members__
        validity, found = runtime.get_engine_validity(plan)
        if validity == validity_class.INVALID:
            named = [name.lower().replace("_", " ") for name, bit in reasons.items() if int(found) & int(bit)]
            raise PlanError(
                f"{self.flavour.title} {self.version} cannot run the engine here: {', '.join(named) or 'unknown'}.",
                remedy="Build it again for this GPU (edge-i2i export trt); edge-i2i doctor checks the driver.",
            )

    def _cannot_start(self, messages: MessageLog) -> MissingRequirementError:
        return MissingRequirementError(
            f"{self.flavour.title} {self.version} cannot start here: {messages.take_errors()}.",
            remedy="Check with nvidia-smi (tegrastats on a Jetson) that a GPU and its driver are here.",
        )


class LoadedEngine:
    """A deserialised engine."""

    def __init__(self, adapter: Adapter, engine: trt.ICudaEngine) -> None:
        self._adapter = adapter
        self._engine = engine
        self.tensors = adapter.tensors(engine)

    def make_context(self) -> Context:
        """Make a context to run the engine in.

        Raises:
            GraphError: TensorRT cannot make one, most often because the GPU's memory is short.
        """
        with self._adapter.hub.attached(MessageLog()) as messages:
            context, captures_itself = self._adapter.make_context(self._engine)
        if context is None:
            raise GraphError(f"TensorRT cannot make an execution context:\n  {messages.take_errors()}")
        return Context(context, self._adapter.hub, captures_itself)


class Context:
    """One place to run an engine in.

    Args:
        context: TensorRT's own; it keeps its engine alive.
        hub: where TensorRT's messages arrive; the context listens there until ``release``.
        captures_itself: whether it replays CUDA graphs by itself, so that nobody else may capture it.
    """

    def __init__(self, context: trt.IExecutionContext, hub: MessageHub, captures_itself: bool) -> None:
        self._context: trt.IExecutionContext | None = context  # which keeps its engine alive
        self._hub = hub
        self._messages = MessageLog()
        self.captures_itself = captures_itself
        hub.attach(self._messages)

    def bind(self, name: str, address: int) -> None:
        """Fix the device address of an input or output.

        Raises:
            GraphError: TensorRT refuses it.
        """
        context: trt.IExecutionContext | None = self._context
        if context is None or not context.set_tensor_address(name, address):
            raise GraphError(f"TensorRT refuses the address of '{name}':\n  {self._messages.take_errors()}")

    def enqueue(self, stream: int) -> bool:
        """Queue one inference; False where TensorRT refused, and nothing (or not everything) was queued."""
        context: trt.IExecutionContext | None = self._context
        return context is not None and context.execute_async_v3(stream)

    def take_errors(self) -> str:
        """TensorRT's errors since the last call."""
        return self._messages.take_errors()

    def release(self) -> None:
        """Free the context, and with it the engine that it ran; it is of no use afterwards."""
        self._context = None
        self._hub.detach(self._messages)


def load_adapter(flavour: Flavour, install: str) -> Adapter:
    """Import one TensorRT product; ``install`` is the remedy that an error carries.

    The probe is for a class, not for the import: the package ``tensorrt-stubs`` leaves an empty ``tensorrt``
    namespace behind, which imports without an error.

    Raises:
        MissingRequirementError: it is not installed, incomplete, or too old.
    """
    try:
        module = importlib.import_module(flavour.module)
    except (ImportError, OSError) as error:  # OSError: the bindings are here, a library they load is not
        raise MissingRequirementError(
            f"The Python package '{flavour.module}' cannot be imported: {error}.", remedy=install
        ) from error
    if not hasattr(module, "Builder"):
        raise MissingRequirementError(
            f"The Python package '{flavour.module}' here holds no {flavour.title}, only an empty shell.", remedy=install
        )
    if version_numbers(module.__version__) < flavour.oldest:
        oldest = ".".join(map(str, flavour.oldest))
        raise MissingRequirementError(
            f"{flavour.title} {module.__version__} is too old: strongly typed networks as used here need {oldest}.",
            remedy=install,
        )
    return Adapter(flavour, module)


@functools.cache
def _process_logger(api: Api) -> tuple[trt.ILogger, MessageHub]:
    """The one logger of a product in this process; it must outlive all that is made with it, so it lives for ever."""
    hub = MessageHub()
    logger: Any = type("Logger", (LogBridge, api.ILogger), {})()
    logger.hub = hub
    return logger, hub


def _problem(error: trt.ParserError) -> ParserProblem:
    return ParserProblem(error.node_name(), error.node_operator(), error.desc())
