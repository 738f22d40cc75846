"""The two engines on a machine without a GPU: what is missing, building ahead of time, and stored engines."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

import edge_i2i.engines.tensorrt.engine as engine_module
from edge_i2i.engines.protocol import EngineOptions
from edge_i2i.engines.registry import get_engine
from edge_i2i.engines.tensorrt.adapter import Adapter, LoadedEngine, load_adapter
from edge_i2i.engines.tensorrt.device import DeviceAttributes, HostPlatform, host_platform
from edge_i2i.engines.tensorrt.engine import TensorRtEngine, TensorRtFamilyEngine, TensorRtRtxEngine
from edge_i2i.engines.tensorrt.flavour import FLAVOURS, TENSORRT, TENSORRT_RTX
from edge_i2i.engines.tensorrt.key import EngineKey
from edge_i2i.engines.tensorrt.match import Here, obstacles
from edge_i2i.engines.tensorrt.options import BuildOptions, HardwareCompatibility
from edge_i2i.engines.tensorrt.store import EngineStore
from edge_i2i.errors import GraphError, MissingRequirementError, PlanError, UsageError
from samples.tensorrt.toys import MemorySource, toy_graph

NO_GPU = MissingRequirementError("There is no NVIDIA driver on this machine.", remedy="Install the driver.")


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


@pytest.fixture
def without_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(cuda: object = None) -> DeviceAttributes:
        raise NO_GPU

    monkeypatch.setattr(engine_module, "query_device", fail)


def use_gpu(monkeypatch: pytest.MonkeyPatch, device: DeviceAttributes) -> None:
    monkeypatch.setattr(engine_module, "query_device", lambda cuda=None: device)


def use_package(monkeypatch: pytest.MonkeyPatch, module: ModuleType | None) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", module)


def here(adapter: Adapter, device: DeviceAttributes) -> Here:
    return Here(TENSORRT_RTX, adapter.version, host_platform(), device)


# --- what is missing


def test_the_registry_knows_both() -> None:
    assert [get_engine(flavour.engine).name for flavour in FLAVOURS] == ["tensorrt", "rtx"]


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    use_package(monkeypatch, None)
    found = TensorRtEngine().availability()
    assert not found.ok and "package 'tensorrt' cannot be imported" in found.reason
    assert found.remedy == "pip install tensorrt"
    with pytest.raises(MissingRequirementError, match="The engine 'tensorrt' cannot run here") as caught:
        TensorRtEngine().ensure_available()
    assert caught.value.exit_code == 3


def test_on_a_jetson_the_remedy_is_jetpacks(monkeypatch: pytest.MonkeyPatch) -> None:
    use_package(monkeypatch, None)
    monkeypatch.setattr(engine_module, "on_jetson", lambda: True)
    remedy = TensorRtEngine().availability().remedy
    assert "apt install tensorrt python3-libnvinfer" in remedy and "--system-site-packages" in remedy
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    assert "use the engine 'tensorrt'" in TensorRtRtxEngine().build_availability().remedy


def test_the_shell_that_stub_packages_leave_is_not_taken_for_tensorrt(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tensorrt").mkdir()
    (tmp_path / "tensorrt" / "__init__.pyi").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    found = TensorRtEngine().availability()
    assert not found.ok and "only an empty shell" in found.reason
    sys.modules.pop("tensorrt", None)


@pytest.mark.parametrize("version", ["8.6.1", "10.2.0.post1"])
def test_too_old_a_tensorrt_is_refused(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    module = ModuleType("tensorrt")
    module.Builder, module.__version__ = object, version  # type: ignore[attr-defined]
    use_package(monkeypatch, module)
    found = TensorRtEngine().availability()
    assert not found.ok and f"TensorRT {version} is too old" in found.reason and "10.3" in found.reason


def test_rtx_builds_without_a_gpu_but_does_not_run(rtx: Adapter, without_gpu: None) -> None:
    engine = TensorRtRtxEngine()
    assert engine.build_availability().ok and engine.build_availability().version == rtx.version
    found = engine.availability()
    assert not found.ok and found.reason == NO_GPU.what and found.version == rtx.version


def test_a_gpu_that_rtx_does_not_support_is_named(
    rtx: Adapter, rtx_4090: DeviceAttributes, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_gpu(monkeypatch, replace(rtx_4090, name="NVIDIA H100", compute_capability="9.0"))
    found = TensorRtRtxEngine().availability()
    assert not found.ok and "does not support NVIDIA H100" in found.reason and "7.5, 8.6, 8.9" in found.reason
    use_gpu(monkeypatch, rtx_4090)
    assert TensorRtRtxEngine().availability().ok


def test_loading_without_a_gpu_says_so(
    rtx: Adapter, without_gpu: None, toy_source: MemorySource, tmp_path: Path
) -> None:
    with pytest.raises(MissingRequirementError, match="no NVIDIA driver"):
        TensorRtRtxEngine().load(toy_source, EngineOptions(engine_folder=tmp_path))
    with pytest.raises(UsageError, match="needs a folder to keep its engines in"):
        TensorRtRtxEngine().load(toy_source, EngineOptions())


# --- building ahead of time


def test_builds_once_and_finds_it_the_second_time(rtx: Adapter, toy_source: MemorySource, store: EngineStore) -> None:
    engine = TensorRtRtxEngine()
    first = engine.build(toy_source, BuildOptions(), store)
    second = engine.build(toy_source, BuildOptions(), store)
    assert (first.cache_hit, second.cache_hit) == (False, True) and first.path == second.path
    assert toy_source.reads == 1
    assert first.targets == ("8.6", "8.9", "12.0") and first.version == rtx.version
    assert first.key.device is None and first.key.host == host_platform()
    assert first.path.name.startswith(f"frame-fp32-rtx-{rtx.version}-")


def test_other_options_and_other_graphs_are_other_engines(
    rtx: Adapter, toy_source: MemorySource, store: EngineStore
) -> None:
    engine = TensorRtRtxEngine()
    paths = {
        engine.build(toy_source, BuildOptions(), store).path,
        engine.build(toy_source, BuildOptions(targets=("8.9",)), store).path,
        engine.build(MemorySource(toy_graph(), variant="fp16"), BuildOptions(), store).path,
    }
    assert len(paths) == 3 and all(path.exists() for path in paths)


def test_a_damaged_engine_is_built_again(rtx: Adapter, toy_source: MemorySource, store: EngineStore) -> None:
    engine = TensorRtRtxEngine()
    path = engine.build(toy_source, BuildOptions(), store).path
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert not engine.build(toy_source, BuildOptions(), store).cache_hit
    assert engine.build(toy_source, BuildOptions(), store).cache_hit


def test_a_graph_that_cannot_be_built_leaves_nothing(rtx: Adapter, store: EngineStore) -> None:
    with pytest.raises(GraphError, match="Det"):
        TensorRtRtxEngine().build(MemorySource(toy_graph(unknown_operator=True)), BuildOptions(), store)
    assert not store.folder.exists()


def test_full_tensorrt_without_the_package_cannot_build(
    monkeypatch: pytest.MonkeyPatch, toy_source: MemorySource, store: EngineStore
) -> None:
    use_package(monkeypatch, None)
    assert not TensorRtEngine().build_availability().ok
    with pytest.raises(MissingRequirementError):
        TensorRtEngine().build(toy_source, BuildOptions(), store)


# --- stored engines


def test_a_stored_engine_is_found_for_the_gpus_that_it_was_built_for(
    rtx: Adapter, rtx_4090: DeviceAttributes, toy_source: MemorySource, store: EngineStore
) -> None:
    engine = TensorRtRtxEngine()
    built = engine.build(toy_source, BuildOptions(workspace_mb=512), store)
    plan = engine.find_plan(toy_source, store, here(rtx, rtx_4090))
    assert plan is not None and plan.key == built.key and plan.content == built.path.read_bytes()
    assert engine.find_plan(toy_source, store, here(rtx, replace(rtx_4090, compute_capability="7.5"))) is None
    assert engine.find_plan(MemorySource(b"another graph"), store, here(rtx, rtx_4090)) is None


def test_an_engine_whose_header_names_another_version_is_refused_before_it_is_deserialised(
    rtx: Adapter, rtx_4090: DeviceAttributes, toy_source: MemorySource, store: EngineStore
) -> None:
    engine = TensorRtRtxEngine()
    path = engine.build(toy_source, BuildOptions(), store).path
    content = bytearray(path.read_bytes())
    content[24:28] = bytes((1, 6, 1, 120))
    path.write_bytes(content)
    description = json.loads(path.with_suffix(".json").read_text())
    description["plan_sha256"] = hashlib.sha256(content).hexdigest()
    path.with_suffix(".json").write_text(json.dumps(description))
    assert store.accept() == (path,)
    with pytest.raises(PlanError) as caught:
        engine.find_plan(toy_source, store, here(rtx, rtx_4090))
    assert "built by TensorRT-RTX 1.6.1.120" in caught.value.what and rtx.version in caught.value.what
    assert "edge-i2i export trt --bundle BUNDLE --runtime rtx" in caught.value.remedy
    assert caught.value.exit_code == 4


def save_as(store: EngineStore, key: EngineKey, **changes: object) -> Path:
    return store.save(replace(key, **changes), b"vtrt" + bytes(60))  # type: ignore[arg-type]


def test_what_is_stored_for_others_is_explained_with_the_command(
    rtx: Adapter, rtx_4090: DeviceAttributes, toy_source: MemorySource, store: EngineStore
) -> None:
    engine = TensorRtRtxEngine()
    key = EngineKey(
        "frame", "fp32", toy_source.sha256, "rtx", rtx.version, BuildOptions(targets=("8.6",)), host_platform(), None
    )
    nothing = engine.explain_missing(toy_source, store, here(rtx, rtx_4090))
    assert isinstance(nothing, MissingRequirementError) and "There is no TensorRT-RTX engine" in nothing.what

    old = save_as(store, key, version="1.6.1.120", options=BuildOptions(targets=("8.9",)))
    narrow = save_as(store, key)
    foreign = save_as(store, key, host=HostPlatform("Windows", "AMD64"), options=BuildOptions(targets=("8.9",)))
    explained = engine.explain_missing(toy_source, store, here(rtx, rtx_4090))
    assert isinstance(explained, PlanError) and explained.exit_code == 4
    for path, reason in (
        (old, f"it was built by TensorRT-RTX 1.6.1.120, this machine has {rtx.version}"),
        (narrow, "it was built for compute capability 8.6, and NVIDIA GeForce RTX 4090 has 8.9"),
        (foreign, "it was built on Windows AMD64"),
    ):
        assert f"{path.name}: {reason}" in explained.what
    assert "edge-i2i export trt --bundle BUNDLE --runtime rtx" in explained.remedy
    assert engine.find_plan(toy_source, store, here(rtx, rtx_4090)) is None


class _FullTensorRtKeys:
    """Keys and machines for the rules of full TensorRT, which is not installed here."""

    def __init__(self, device: DeviceAttributes) -> None:
        self.device = device
        self.here = Here(TENSORRT, "11.4.0.106", HostPlatform("Linux", "x86_64"), device)
        self.key = EngineKey(
            "frame", "fp32", "0" * 64, "tensorrt", "11.4.0.106", BuildOptions(), self.here.host, device
        )

    def built_on(self, changed: dict[str, object], **options: object) -> EngineKey:
        device = replace(self.device, **changed)  # type: ignore[arg-type]
        return replace(self.key, device=device, options=BuildOptions(**options))  # type: ignore[arg-type]


def test_a_device_bound_engine_runs_on_its_own_gpu_only(rtx_4090: DeviceAttributes) -> None:
    full = _FullTensorRtKeys(rtx_4090)
    assert obstacles(full.key, full.here) == ()
    laptop = full.built_on({"multiprocessors": 76, "memory_bus": 256})
    assert obstacles(laptop, full.here) == (
        "it was built for another GPU or driver (memory bus 256, not 384, multiprocessors 76, not 128)",
    )


def test_compatible_engines_run_on_more_gpus(rtx_4090: DeviceAttributes) -> None:
    full = _FullTensorRtKeys(rtx_4090)
    a100 = {"compute_capability": "8.0", "name": "A100"}
    ampere_plus = HardwareCompatibility.AMPERE_PLUS
    same = HardwareCompatibility.SAME_COMPUTE_CAPABILITY
    assert obstacles(full.built_on(a100, hardware_compatibility=ampere_plus), full.here) == ()
    assert obstacles(full.built_on(a100, hardware_compatibility=same), full.here) != ()
    assert obstacles(full.built_on({"multiprocessors": 76}, hardware_compatibility=same), full.here) == ()
    turing = replace(full.here, device=replace(rtx_4090, compute_capability="7.5"))
    assert obstacles(full.built_on(a100, hardware_compatibility=ampere_plus), turing) != ()


def test_version_compatible_engines_run_on_later_versions(rtx_4090: DeviceAttributes) -> None:
    full = _FullTensorRtKeys(rtx_4090)
    compatible = replace(full.key, version="10.3.0", options=BuildOptions(version_compatible=True))
    assert obstacles(compatible, full.here) == ()
    assert obstacles(replace(compatible, version="11.5.0"), full.here) != ()
    assert obstacles(replace(full.key, version="10.3.0"), full.here) != ()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"integrated": True, "name": "Orin"}, "not available on Jetson"),
        ({"compute_capability": "7.5"}, "must be built on an Ampere or later GPU"),
    ],
)
def test_hardware_compatibility_is_refused_where_it_cannot_be_had(
    rtx_4090: DeviceAttributes, changed: dict[str, object], message: str
) -> None:
    device = replace(rtx_4090, **changed)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=message):
        engine_module._check_compatibility(
            BuildOptions(hardware_compatibility=HardwareCompatibility.AMPERE_PLUS), device
        )


# --- loading, as far as it goes without a GPU


def test_loading_explains_stored_engines_when_it_may_not_build(
    rtx: Adapter,
    rtx_4090: DeviceAttributes,
    toy_source: MemorySource,
    store: EngineStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use_gpu(monkeypatch, rtx_4090)
    engine = TensorRtRtxEngine()
    options = EngineOptions(engine_folder=store.folder, build=False)
    with pytest.raises(MissingRequirementError, match="There is no TensorRT-RTX engine"):
        engine.load(toy_source, options)
    engine.build(toy_source, BuildOptions(targets=("8.6",)), store)
    with pytest.raises(PlanError, match=r"was built for compute capability 8\.6"):
        engine.load(toy_source, options)


@pytest.mark.parametrize(("capability", "targets"), [("8.9", ("8.6", "8.9", "12.0")), ("12.1", ("12.1",))])
def test_loading_builds_for_this_gpu_when_it_may(
    rtx: Adapter,
    rtx_4090: DeviceAttributes,
    toy_source: MemorySource,
    store: EngineStore,
    monkeypatch: pytest.MonkeyPatch,
    capability: str,
    targets: tuple[str, ...],
) -> None:
    use_gpu(monkeypatch, replace(rtx_4090, compute_capability=capability))
    offered: list[bytes] = []

    def refuse(self: Adapter, plan: bytes, *, allow_host_code: bool) -> LoadedEngine:
        offered.append(plan)
        assert not allow_host_code
        raise PlanError("there is no such GPU here")

    monkeypatch.setattr(Adapter, "load_engine", refuse)
    with pytest.raises(PlanError, match="no such GPU"):
        TensorRtRtxEngine().load(toy_source, EngineOptions(engine_folder=store.folder))
    (stored,) = store.engines_of(toy_source.sha256, "rtx")
    assert stored.key.options.targets == targets and offered == [stored.path.read_bytes()]


def test_deserialising_without_a_gpu_is_a_plan_error_and_not_a_crash(
    rtx: Adapter, toy_source: MemorySource, store: EngineStore
) -> None:
    if TensorRtRtxEngine().availability().ok:
        pytest.skip("this machine has a GPU that TensorRT-RTX runs on")
    plan = TensorRtRtxEngine().build(toy_source, BuildOptions(), store).path.read_bytes()
    with pytest.raises(PlanError, match="cannot run the engine here"):
        rtx.load_engine(plan, allow_host_code=False)


def test_one_logger_serves_the_whole_process(rtx: Adapter, caplog: pytest.LogCaptureFixture) -> None:
    again = load_adapter(TENSORRT_RTX, "")
    assert again.hub is rtx.hub


@pytest.mark.parametrize("engine", [TensorRtEngine(), TensorRtRtxEngine()])
def test_availability_never_raises(engine: TensorRtFamilyEngine) -> None:
    for found in (engine.availability(), engine.build_availability()):
        assert found.ok or (found.reason and found.remedy)
