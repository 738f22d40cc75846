"""Every class, enum member, method and keyword that the adapter names, held against the real TensorRT modules.

What the adapter names is read from its syntax tree (``adapter_uses``). TensorRT-RTX is installed. Of full TensorRT
the real Python modules are used, imported over three empty stand-ins for the libraries that they load: enough to look
at every name, not to build anything. They come from ``prepare_bindings.py``.
"""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.engines.tensorrt import adapter as adapter_module
from edge_i2i.engines.tensorrt.flavour import TENSORRT_RTX
from edge_i2i.engines.tensorrt.logger import Severity
from edge_i2i.engines.tensorrt.options import HardwareCompatibility
from samples.tensorrt.adapter_uses import ADAPTER, AdapterReader, Use
from samples.tensorrt.prepare_bindings import BINDINGS, CACHE, ROOT

PREPARE = "python tests/samples/tensorrt/prepare_bindings.py"
READER = AdapterReader(ADAPTER.read_text())
Api = dict[str, Any]

# What the bindings import from the libraries (nm -D): as stand-ins, functions that return null.
ENTRY_POINTS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getNvOnnxParserVersion",
    "getPluginRegistry",
    "initLibNvInferPlugins",
)


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the loader: libnvinfer, libnvinfer_plugin and libnvonnxparser of TensorRT 10 and 11, all empty."""
    folder = tmp_path_factory.mktemp("stand-ins")
    source = folder / "stand_in.c"
    source.write_text("\n".join(f"void *{name}(void) {{ return 0; }}" for name in ENTRY_POINTS))
    for name in ("nvinfer", "nvinfer_plugin", "nvonnxparser"):
        for major in (10, 11):
            library = f"lib{name}.so.{major}"
            command = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", str(folder / library), str(source)]
            subprocess.run(command, check=True, capture_output=True)
    return folder


@functools.cache
def dump(module: str, path: str = "", libraries: str = "") -> Api:
    """What a module offers, looked at in a process of its own: two TensorRT products do not mix well."""
    environment = {**os.environ, "PYTHONPATH": path, "LD_LIBRARY_PATH": libraries}
    command = [sys.executable, str(ROOT / "tests" / "samples" / "tensorrt" / "dump_api.py"), module]
    found = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    api: Api = json.loads(found.stdout)
    return api


@pytest.fixture(scope="session", params=[*BINDINGS, "rtx"])
def api(request: pytest.FixtureRequest, stand_ins: Path) -> Api:
    """Each TensorRT module in turn, with its name under ``product``."""
    if request.param == "rtx":
        pytest.importorskip("tensorrt_rtx", reason="needs TensorRT-RTX: pip install 'edge-i2i[rtx]'")
        return {**dump("tensorrt_rtx"), "product": "rtx"}
    folder = CACHE / f"bindings-{request.param}"
    if not folder.exists():
        pytest.skip(f"needs the TensorRT {request.param} bindings: {PREPARE}")
    return {**dump("tensorrt_bindings", str(folder), str(stand_ins)), "product": "trt"}


def applicable(uses: set[Use], api: Api) -> list[Use]:
    """What a product has to offer: TensorRT-RTX all of it, full TensorRT what is not marked as TensorRT-RTX's."""
    chosen = [use for use in uses if use.package == "trt" or api["product"] == "rtx"]
    return sorted(chosen, key=lambda use: use.line)


def complaint(use: Use, api: Api) -> str:
    """What is wrong with one use, or nothing."""
    members = api["classes"].get(use.cls)
    if members is None:
        return f"line {use.line}: there is no class {use.cls}"
    if not use.member:
        return ""
    member = members.get(use.member)
    name = f"line {use.line}: {use.cls}.{use.member}"
    if member is None:
        return f"{name} does not exist"
    if use.how == "call":
        return "" if _accepts(member, use) else f"{name} does not take {use.positional} and {use.keywords}: {member}"
    if member["kind"] == "method":
        return f"{name} is a method and is used as a value"
    return f"{name} cannot be set" if use.how == "set" and not member.get("settable") else ""


def _accepts(member: dict[str, Any], use: Use) -> bool:
    return any(
        _fits(signature["names"][1:], signature["required"] - 1, use) for signature in member.get("signatures", ())
    )


def _fits(names: list[str], required: int, use: Use) -> bool:
    given = use.positional + len(use.keywords)
    return set(use.keywords) <= set(names[use.positional :]) and required <= given <= len(names)


def test_the_adapter_can_be_followed() -> None:
    assert READER.unfollowed == []
    assert len(READER.uses) > 60
    assert {use.package for use in READER.uses} == {"trt", "rtx"}


def test_no_other_module_of_the_room_names_tensorrts_attributes() -> None:
    for path in ADAPTER.parent.glob("*.py"):
        if path != ADAPTER:
            text = path.read_text()
            assert re.search(r"\btrt\.[A-Z]|^\s*(import|from) tensorrt(_rtx)?\b", text, re.MULTILINE) is None, path


def test_every_name_exists_and_takes_what_it_is_given(api: Api) -> None:
    complaints = [complaint(use, api) for use in applicable(READER.uses, api)]
    assert [text for text in complaints if text] == []


def test_what_only_rtx_has_is_probed_for(api: Api) -> None:
    probed = set(re.findall(r'hasattr\(self\._module, "(\w+)"\)', ADAPTER.read_text()))
    assert probed == {"CudaGraphStrategy", "EngineValidity"}
    assert all((name in api["classes"]) == (api["product"] == "rtx") for name in probed)


def test_the_methods_that_tensorrt_calls_have_its_parameters(api: Api) -> None:
    bridges = READER.bridges()
    assert bridges.keys() == {"ILogger", "IProgressMonitor"}
    for cls, methods in bridges.items():
        for name, parameters in methods:
            (signature,) = api["classes"][cls][name]["signatures"]
            assert signature["names"] == parameters, f"{cls}.{name}"
    wanted = {name for name, member in api["classes"]["IProgressMonitor"].items() if member.get("signatures")}
    assert {name for name, _ in bridges["IProgressMonitor"]} == wanted - {"__init__"}


def test_names_that_are_made_at_run_time_exist(api: Api) -> None:
    assert set(adapter_module._DTYPES) <= api["enums"]["DataType"].keys()
    assert {member.name: member.value for member in Severity} == api["enums"]["ILogger.Severity"]
    if api["product"] == "rtx":
        targets = {f"SM{target.replace('.', '')}" for target in TENSORRT_RTX.compute_capabilities}
        assert targets <= api["enums"]["ComputeCapability"].keys()


def test_hardware_compatibility_levels_exist_or_are_refused(api: Api) -> None:
    levels = {level.upper() for level in HardwareCompatibility}
    newer = {"SAME_COMPUTE_CAPABILITY"} if api["version"].startswith("10.3.") else set()
    assert levels - newer == set(api["enums"]["HardwareCompatibilityLevel"])


def test_what_11_removed_is_not_used(api: Api) -> None:
    gone = {"FP16", "INT8", "OBEY_PRECISION_CONSTRAINTS", "EXPLICIT_BATCH", "int8_calibrator", "set_dynamic_range"}
    assert not gone & {use.member for use in READER.uses}
    if api["version"].startswith("11."):
        assert not gone & (api["enums"]["BuilderFlag"].keys() | api["classes"]["IBuilderConfig"].keys())


@pytest.mark.parametrize(
    ("code", "wrong"),
    [
        ("config.clear_flag(", "config.clear_flags("),
        ("self._api.BuilderFlag.TF32", "self._api.BuilderFlag.FP16"),
        ("ignore_mismatch=False", "ignore_mismatches=False"),
        ("builder.create_builder_config()", "builder.create_builder_config(1)"),
        ("config.builder_optimization_level = ", "config.num_optimization_profiles = "),
        ("parser.num_errors", "parser.get_flag"),
        ("context.execute_async_v3(stream)", "context.execute_async_v2(stream)"),
        ("error.node_name()", "error.node_name(1)"),
        ("network.num_outputs", "network.number_of_outputs"),
        ("error: trt.ParserError", "error: trt.IParserError"),
    ],
)
def test_a_wrong_name_in_the_adapter_would_be_noticed(code: str, wrong: str, api: Api) -> None:
    source = ADAPTER.read_text()
    assert code in source
    if wrong.endswith("FP16") and api["version"].startswith("10."):
        pytest.skip("TensorRT 10 still has the precision flags; 11 and TensorRT-RTX do not")
    uses = AdapterReader(source.replace(code, wrong)).uses
    assert any(complaint(use, api) for use in applicable(uses, api))


def test_a_variable_that_cannot_be_followed_would_be_noticed() -> None:
    source = ADAPTER.read_text().replace("parser: trt.OnnxParser = ", "parser = ")
    assert AdapterReader(source).unfollowed != []
    chained = ADAPTER.read_text().replace("error.node_name()", "error.code().name")
    assert AdapterReader(chained).unfollowed != []


def test_without_a_library_the_builder_is_refused_in_our_words(stand_ins: Path) -> None:
    """The stand-ins return null, exactly what the real library does without a GPU: no TypeError may reach a user."""
    folder = CACHE / "bindings-11.4.0.106"
    if not folder.exists():
        pytest.skip(f"needs the TensorRT 11.4.0.106 bindings: {PREPARE}")
    program = """
import sys, tensorrt_bindings
sys.modules["tensorrt"] = tensorrt_bindings
from edge_i2i.engines.tensorrt.adapter import load_adapter
from edge_i2i.engines.tensorrt.builder import build_plan
from edge_i2i.engines.tensorrt.flavour import TENSORRT
from edge_i2i.engines.tensorrt.options import BuildOptions
from edge_i2i.errors import MissingRequirementError
adapter = load_adapter(TENSORRT, "install it")
for attempt in (
    lambda: build_plan(adapter, b"", BuildOptions()),
    lambda: adapter.load_engine(b"", allow_host_code=False),
):
    try:
        attempt()
    except MissingRequirementError as error:
        print(error)
"""
    environment = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}", "LD_LIBRARY_PATH": str(stand_ins)}
    found = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert found.stdout.count("TensorRT 11.4.0.106 cannot start here") == 2
    assert "nvidia-smi" in found.stdout
