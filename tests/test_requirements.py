"""What is not installed: exit code 3 and the extra that brings it, for every verb and every package."""

from __future__ import annotations

import ast
import importlib.metadata
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from edge_i2i.errors import MissingRequirementError
from edge_i2i.requirements import EXTRAS, missing_requirement, require, require_extra

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DISTRIBUTIONS = {
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "lightning_fabric": "lightning-fabric",
    "onnx_ir": "onnx-ir",
    "pillow_heif": "pillow-heif",
    "tensorrt_rtx": "tensorrt-rtx",
    "cuda": "cuda-bindings",
}

# Hides packages as if they were not installed, in any way in which they are looked for.
HIDDEN = """
import importlib.metadata, sys
hidden = {hidden!r}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in hidden:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Absent())
known = importlib.metadata.version
def version(name):
    if name.replace('-', '_') in hidden:
        raise importlib.metadata.PackageNotFoundError(name)
    return known(name)
importlib.metadata.version = version
from edge_i2i.cli.main import run_command
for arguments in {commands!r}:
    sys.stderr.write(f'--- {{run_command(arguments)}} ---\\n')
"""


def run_without(hidden: list[str], commands: list[list[str]], folder: Path) -> list[tuple[int, str]]:
    """Exit code and stderr of each command, in one process in which these packages are not there."""
    code = HIDDEN.format(hidden=hidden, commands=commands)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    parts = done.stderr.split("--- ")
    found, text = [], parts[0]
    for part in parts[1:]:
        code_text, _, after = part.partition(" ---\n")
        found.append((int(code_text), text))
        text = after
    return found


def commands_of(bundle: Path, folder: Path) -> dict[str, list[str]]:
    """Every verb, as far as it needs an extra; nothing of them would succeed."""
    (folder / "photos").mkdir(exist_ok=True)
    (folder / "net.pth").write_bytes(b"x")
    (folder / "film.mp4").write_bytes(b"x")
    (folder / "a.png").write_bytes(b"x")
    net, photos = str(bundle), str(folder / "photos")
    return {
        "import": ["import", "net.pth"],
        "export onnx": ["export", "onnx", "--checkpoint", "net.pth"],
        "export onnx --model": ["export", "onnx", "--model", "pix2pixhd", "--random-weights"],
        "export trt": ["export", "trt", "--model", "pix2pixhd", "--random-weights"],
        "quantize": ["quantize", net, "--data", photos],
        "sensitivity": ["sensitivity", net, "--data", photos],
        "qat": ["qat", net, "--data", photos, "--target", "openvino"],
        "train": ["train", "--recipe", str(ROOT / "training/recipes/demo.yaml"), "--output", "run"],
        "serve": ["serve", net, "--port", "0"],
        "translate a film": ["translate", net, "film.mp4", "--output", "out.mp4"],
        "translate on openvino": ["translate", net, "a.png", "--output", "b.png", "--engine", "openvino"],
        "translate on torch": ["translate", net, "a.png", "--output", "b.png", "--engine", "torch"],
        "verify on openvino": ["verify", net, "--engine", "openvino"],
        "collect a film": ["collect", "film.mp4", "--output", "frames"],
        "live from a stream": ["live", net, "--source", "rtsp://127.0.0.1:9/x", "--sink", "null", "--duration", "1"],
        "live from the screen": ["live", net, "--source", "screen:", "--sink", "null", "--duration", "1"],
        "live into a file": ["live", net, "--source", "pattern:64x96", "--sink", "out.mp4", "--duration", "1"],
        "live to a camera": ["live", net, "--source", "pattern:64x96", "--sink", "vcam", "--duration", "1"],
        "live by webrtc": ["live", net, "--source", "pattern:64x96", "--sink", "webrtc:0", "--duration", "1"],
    }


def test_a_runtime_only_installation_names_the_extra_for_every_verb(rgb_bundle: Path, tmp_path: Path) -> None:
    commands = commands_of(rgb_bundle, tmp_path)
    everything = [module for modules in EXTRAS.values() for module in modules]
    outcomes = run_without(everything, list(commands.values()), tmp_path)
    for (name, command), (code, err) in zip(commands.items(), outcomes, strict=True):
        assert code == 3, f"{name}: {command} ended with {code}: {err}"
        assert "pip install 'edge-i2i[" in err and "not expected" not in err, f"{name}: {err}"


@pytest.mark.parametrize("module", ["torch", "onnx", "onnx_ir", "safetensors", "nncf", "openvino", "av", "starlette"])
def test_one_package_that_is_missing_is_never_unexpected(module: str, rgb_bundle: Path, tmp_path: Path) -> None:
    """Whatever the verb ends with, it is not a traceback's cousin; where it is 3, the extra is one that brings it."""
    commands = commands_of(rgb_bundle, tmp_path)
    quick = {name: command for name, command in commands.items() if name not in ("train", "qat", "serve")}
    if module == "starlette":
        quick = {"serve": commands["serve"], "live by webrtc": commands["live by webrtc"]}
    for slow in ("export onnx --model", "export trt"):
        quick.pop(slow, None)
    outcomes = run_without([module], list(quick.values()), tmp_path)
    threes = 0
    for name, (code, err) in zip(quick, outcomes, strict=True):
        assert "not expected" not in err and "No module named" not in err.replace("imported: No module named", ""), name
        if f"'{module}'" in err:
            assert code == 3 and "pip install 'edge-i2i[" in err, f"{name}: {err}"
            threes += 1
    assert threes, f"nothing needed {module}"


def test_the_table_is_that_of_the_project() -> None:
    extras = PROJECT["optional-dependencies"]
    for extra, modules in EXTRAS.items():
        brought = {Requirement(text).name.lower() for text in extras[extra]}
        for module in modules:
            assert DISTRIBUTIONS.get(module, module) in {*brought, *(f"{name}-cpu" for name in brought)}, (
                extra,
                module,
            )


def test_every_requirement_in_the_code_names_an_extra_that_brings_it() -> None:
    """``require(module, extra=…)``: the extra exists and, by itself or by those that it includes, has the module."""
    base = {Requirement(text).name for text in PROJECT["dependencies"]}
    asked = 0
    for path in (ROOT / "edge_i2i").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "require":
                if not isinstance(node.args[0], ast.Constant):
                    continue
                module = str(node.args[0].value).partition(".")[0]
                extra = next(item.value.value for item in node.keywords if item.arg == "extra")  # type: ignore[attr-defined]
                known = _modules(extra) | {"onnxruntime", "cv2"}
                assert module in known, f"{path}: {module} does not come with {extra}"
                asked += 1
    assert asked > 15 and "onnxruntime" in base


def _modules(extra: str) -> set[str]:
    included = [Requirement(text) for text in PROJECT["optional-dependencies"][extra]]
    more = [name for item in included if item.name == "edge-i2i" for name in item.extras]
    return set(EXTRAS.get(extra, ())).union(*(_modules(name) for name in more)) if more else set(EXTRAS.get(extra, ()))


def test_a_missing_extra_is_found_without_an_import() -> None:
    before = set(sys.modules)
    require_extra("torch", purpose="This test")
    assert "onnxscript" not in set(sys.modules) - before


def test_errors_of_imports_that_no_extra_explains_stay_what_they_are() -> None:
    assert missing_requirement(ModuleNotFoundError("No module named 'x'", name="x")) is None
    assert missing_requirement(ImportError("broken")) is None
    found = missing_requirement(ImportError("libGL.so.1: no such file", name="av._core"))
    assert found is not None and found.exit_code == 3 and "edge-i2i[video]" in found.remedy and "libGL" in found.what


def test_the_remedy_of_require() -> None:
    with pytest.raises(MissingRequirementError, match="A thing needs the Python package 'nowhere'") as caught:
        require("nowhere.inner", extra="web", purpose="A thing")
    assert caught.value.remedy == "pip install 'edge-i2i[web]'"


def test_the_extras_install_what_something_uses() -> None:
    """No extra brings a package that nothing imports, and none is empty."""
    extras = PROJECT["optional-dependencies"]
    assert {"report", "coreml"}.isdisjoint(extras)
    texts = "".join(path.read_text() for folder in ("edge_i2i", "runtime") for path in (ROOT / folder).rglob("*.py"))
    imports = {distribution: module for module, distribution in DISTRIBUTIONS.items()}
    for extra in set(extras) - {"all", "dev"}:
        for text in extras[extra]:
            name = Requirement(text).name
            module = imports.get(name, name.replace("-cpu", "").replace("-", "_"))
            used = name == "edge-i2i" or f"import {module}" in texts or f"{module}" in texts
            assert used, f"{extra} brings {name}, which nothing imports"
    assert importlib.metadata.version("edge-i2i")
