"""The engines ``tensorrt`` and ``rtx``: what is missing, building ahead of time, and loading."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from edge_i2i.engines.protocol import Availability, Engine, EngineOptions, GraphSource, Session, SessionInfo
from edge_i2i.engines.tensorrt.adapter import Adapter, load_adapter
from edge_i2i.engines.tensorrt.builder import build_plan
from edge_i2i.engines.tensorrt.cuda import CudaRuntime, load_cuda
from edge_i2i.engines.tensorrt.device import DeviceAttributes, host_platform, on_jetson, query_device
from edge_i2i.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX, Flavour
from edge_i2i.engines.tensorrt.key import EngineKey
from edge_i2i.engines.tensorrt.match import AMPERE, Here, obstacles
from edge_i2i.engines.tensorrt.options import DEFAULT_TARGETS, BuildOptions, HardwareCompatibility
from edge_i2i.engines.tensorrt.plan import check_plan, read_plan_header, version_numbers
from edge_i2i.engines.tensorrt.progress import ProgressListener
from edge_i2i.engines.tensorrt.runner import TensorRtSession, check_tensors
from edge_i2i.engines.tensorrt.store import EngineStore
from edge_i2i.errors import EdgeI2IError, MissingRequirementError, PlanError, UsageError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BuildResult:
    """An engine on disk. ``targets``: the compute capabilities that it is for; ``version``: of TensorRT."""

    path: Path
    key: EngineKey
    cache_hit: bool
    seconds: float
    targets: tuple[str, ...]
    version: str


@dataclass(frozen=True)
class ReadyPlan:
    """Engine bytes that may be deserialised here, with what they were built from."""

    content: bytes
    key: EngineKey
    cache_hit: bool


class TensorRtFamilyEngine(Engine):
    """What the two products share, which is all but their description."""

    flavour: ClassVar[Flavour]
    precisions = ("fp16", "fp32", "mixed", "int8")
    target = "tensorrt"
    misreading = "it reads unsigned zero points as signed ones, and every range of values shifts"

    def availability(self) -> Availability:
        """Whether engines can be run here; never raises."""
        built = self._package_availability()
        if not built.ok:
            return built
        try:
            self._device()
        except EdgeI2IError as error:
            return Availability(False, built.version, error.what, error.remedy)
        return built

    def build_availability(self) -> Availability:
        """Whether engines can be built here; never raises. TensorRT-RTX builds without a GPU."""
        return self.availability() if self.flavour.device_bound else self._package_availability()

    def ready(self, graph: GraphSource, options: EngineOptions) -> bool:
        """Whether an engine of this graph that runs here is stored already."""
        if options.engine_folder is None or not self.availability().ok:
            return False
        here = Here(self.flavour, self._adapter().version, host_platform(), self._device())
        stored = EngineStore(options.engine_folder).engines_of(graph.sha256, self.name)
        return any(not obstacles(engine.key, here) for engine in stored)

    def build(
        self,
        graph: GraphSource,
        options: BuildOptions,
        store: EngineStore,
        progress: ProgressListener | None = None,
    ) -> BuildResult:
        """Build an engine, unless the store has exactly this one.

        Args:
            graph: the variant to build an engine of.
            options: how to build; what is left open is settled for this product.
            store: where engines are kept.
            progress: told about the builder's phases; None: nobody is.

        Raises:
            MissingRequirementError: the product, or the GPU that it builds for, is not here.
            UsageError: the options do not fit the product or the GPU.
            GraphError: the graph cannot be read or built, or would silently compute something else.
            EdgeI2IError: the engine cannot be written.
            KeyboardInterrupt: the build was stopped.
        """
        self.check_target(graph)
        started = time.monotonic()
        adapter = self._adapter()
        device = self._device() if self.flavour.device_bound else None
        key = self._key(graph, options, adapter, device)
        path = store.find(key)
        cache_hit = path is not None
        if path is None:
            timing_cache = store.timing_cache(key) if self.flavour.keeps_timing_cache else None
            plan = build_plan(adapter, graph.read(), key.options, timing_cache=timing_cache, listener=progress)
            path = store.save(key, plan)
        targets = key.options.targets or ((device.compute_capability,) if device else ())
        return BuildResult(path, key, cache_hit, time.monotonic() - started, targets, adapter.version)

    def _load(self, graph: GraphSource, options: EngineOptions) -> Session:
        """Make a session from a stored engine that runs here (the newest of them), or build one where that is allowed.

        Raises:
            MissingRequirementError: the product, a GPU, its driver, or an engine where none may be built, is missing.
            UsageError: no folder for engines was given.
            PlanError: engines are stored, but none of them runs here and none may be built; says what differs.
            GraphError: the graph cannot be built or run.
        """
        if options.engine_folder is None:
            raise UsageError(
                f"The engine '{self.name}' needs a folder to keep its engines in.",
                remedy="Give one (engine_folder), or load the bundle through edge_i2i.load, which chooses it.",
            )
        adapter, cuda = self._adapter(), load_cuda()
        device = self._device(cuda)
        here = Here(self.flavour, adapter.version, host_platform(), device)
        store = EngineStore(options.engine_folder)
        plan = self.find_plan(graph, store, here)
        if plan is None:
            plan = self._build_plan_now(graph, store, here, options.build)
        return self._open(graph, plan, adapter, cuda, device)

    def find_plan(self, graph: GraphSource, store: EngineStore, here: Here) -> ReadyPlan | None:
        """The newest stored engine that runs here, its checksum and header checked; None where there is none.

        Args:
            graph: the variant; engines are found by the checksum of its ONNX file.
            store: where engines are kept.
            here: the product, its version, the platform and the GPU that are to run it.

        Raises:
            PlanError: an engine's own header contradicts its description.
        """
        for stored in store.engines_of(graph.sha256, self.name):
            if obstacles(stored.key, here):
                continue
            content = stored.read()
            if content is not None:
                check_plan(
                    read_plan_header(content),
                    self.flavour,
                    here.version,
                    self._rebuild_command,
                    version_compatible=stored.key.options.version_compatible,
                )
                return ReadyPlan(content, stored.key, cache_hit=True)
        return None

    def explain_missing(self, graph: GraphSource, store: EngineStore, here: Here) -> EdgeI2IError:
        """The error for a graph without an engine that runs here: what is stored, and what differs.

        Args:
            graph: the variant that was to run.
            store: where engines are kept.
            here: the product, its version, the platform and the GPU that were to run it.
        """
        lines = [
            f"{stored.path.name}: {'; '.join(obstacles(stored.key, here)) or 'it is damaged'}"
            for stored in store.engines_of(graph.sha256, self.name)
        ]
        subject = f"the graph '{graph.declaration.name}' ({graph.variant})"
        if not lines:
            return MissingRequirementError(
                f"There is no {self.flavour.title} engine for {subject} in {store.folder}.",
                remedy=f"Build one: {self._rebuild_command}",
            )
        return PlanError(
            f"No stored {self.flavour.title} engine for {subject} runs here:\n  " + "\n  ".join(lines),
            remedy=f"Build one for this machine: {self._rebuild_command}",
        )

    def _build_plan_now(self, graph: GraphSource, store: EngineStore, here: Here, allowed: bool) -> ReadyPlan:
        missing = self.explain_missing(graph, store, here)
        if not allowed:
            raise missing
        _log.info("%s Building one now, which can take minutes.", missing.what)
        targets = None
        if not self.flavour.device_bound and here.device.compute_capability not in DEFAULT_TARGETS:
            targets = (here.device.compute_capability,)
        result = self.build(graph, BuildOptions(targets=targets), store)
        return ReadyPlan(result.path.read_bytes(), result.key, result.cache_hit)

    def _open(
        self, graph: GraphSource, plan: ReadyPlan, adapter: Adapter, cuda: CudaRuntime, device: DeviceAttributes
    ) -> Session:
        options = plan.key.options
        engine = adapter.load_engine(plan.content, allow_host_code=options.version_compatible)
        check_tensors(engine.tensors, graph.declaration)
        info = SessionInfo(
            engine=self.name,
            version=adapter.version,
            device=f"{device.name} (compute capability {device.compute_capability})",
            provider=self.flavour.title,
            effective_precision=_effective_precision(graph.precision, options),
            cache_hit=plan.cache_hit,
        )
        return TensorRtSession(graph.declaration, info, engine.make_context, cuda)

    def _key(
        self, graph: GraphSource, options: BuildOptions, adapter: Adapter, device: DeviceAttributes | None
    ) -> EngineKey:
        resolved = options.resolved(self.flavour)
        if device is not None:
            _check_compatibility(resolved, device)
        return EngineKey(
            graph=graph.declaration.name,
            variant=graph.variant,
            graph_sha256=graph.sha256,
            runtime=self.name,
            version=adapter.version,
            options=resolved,
            host=host_platform(),
            device=device,
        )

    @property
    def _rebuild_command(self) -> str:
        return f"edge-i2i export trt --bundle BUNDLE --runtime {self.name}"

    def _package_availability(self) -> Availability:
        try:
            return Availability(True, self._adapter().version)
        except MissingRequirementError as error:
            return Availability(False, None, error.what, error.remedy)

    def _adapter(self) -> Adapter:
        flavour = self.flavour
        return load_adapter(flavour, flavour.install_on_jetson if on_jetson() else flavour.install_elsewhere)

    def _device(self, cuda: CudaRuntime | None = None) -> DeviceAttributes:
        device = query_device(cuda)
        supported = self.flavour.compute_capabilities
        if supported and device.compute_capability not in supported:
            raise MissingRequirementError(
                f"{self.flavour.title} does not support {device.name}: its compute capability is "
                f"{device.compute_capability}, and supported are {', '.join(supported)}.",
                remedy="Use the engine 'tensorrt' on this GPU, or 'onnxruntime' on the processor.",
            )
        return device


class TensorRtEngine(TensorRtFamilyEngine):
    """Full TensorRT, from JetPack or NVIDIA: engines are built on the GPU that runs them."""

    name = "tensorrt"
    title = "TensorRT (NVIDIA GPUs, Jetson)"
    preference = 40
    flavour = TENSORRT


class TensorRtRtxEngine(TensorRtFamilyEngine):
    """TensorRT-RTX: engines for desktop RTX GPUs, built ahead of time on any x86 machine."""

    name = "rtx"
    title = "TensorRT-RTX (desktop RTX GPUs)"
    preference = 30
    flavour = TENSORRT_RTX


def trt_engines() -> tuple[TensorRtFamilyEngine, ...]:
    """Both products, in the order in which ``auto`` builds with them: what fits this GPU exactly comes first."""
    return TensorRtEngine(), TensorRtRtxEngine()


def _check_compatibility(options: BuildOptions, device: DeviceAttributes) -> None:
    level = options.hardware_compatibility
    if level is HardwareCompatibility.NONE:
        return
    if device.integrated:
        raise UsageError(
            f"Hardware compatibility '{level}' is not available on Jetson ({device.name}).",
            remedy="Leave it out: build the engine on each kind of board.",
        )
    if level is HardwareCompatibility.AMPERE_PLUS and version_numbers(device.compute_capability) < AMPERE:
        raise UsageError(
            f"Hardware compatibility '{level}' must be built on an Ampere or later GPU, not on {device.name}.",
            remedy="Build on a GPU of compute capability 8.0 or later, or leave it out.",
        )


def _effective_precision(precision: str, options: BuildOptions) -> str:
    return f"{precision}, products in TF32" if options.allow_tf32 and precision == "fp32" else precision
