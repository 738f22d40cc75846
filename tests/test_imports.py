"""What is loaded when: nothing heavy before it is needed, and no higher room from a lower one."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from edge_i2i.models.registry import family_names

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_i2i"
HEAVY = {"torch", "onnx", "onnx_ir", "onnxscript", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx", "cuda", "av"}
HEAVY |= {
    "nncf",
    "lightning_fabric",
    "skimage",
    "sklearn",
    "torchmetrics",
    "safetensors",
    "cv2",
    "numpy",
    "coremltools",
    *("starlette", "uvicorn", "websockets", "aiortc", "pyvirtualcam", "mss", "PySide6"),
}

# A room may import itself, those below it in this list, and the files named in ANYWHERE.
ROOMS = ["models", "graphs", "bundle", "engines", "media", "translator", "learn", "measure", "quantize", "live", "cli"]
ANYWHERE = {
    *(
        "arrays",
        "contract",
        "errors",
        "caches",
        "requirements",
        "progress",
        "machine",
        "places",
        "plain_files",
        "telemetry",
        "texts",
    ),
    "__init__",
}
TOP_FILES = {
    *(
        "translator",
        "condition_inputs",
        "conditions",
        "tensor_checks",
        "export",
        "export_trt",
        "verify",
        "translate_files",
    ),
    "translate_plan",
}  # beside `translator`


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nimport json; sys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    return {name.partition(".")[0] for name in json.loads(output.splitlines()[-1])}


def test_showing_the_table_of_models_loads_nothing_heavy() -> None:
    code = "from edge_i2i.cli.main import run_command; run_command(['models'])"
    assert not loaded_by(code) & HEAVY


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import edge_i2i") & HEAVY


def test_help_loads_no_network_library_and_no_engine() -> None:
    code = "from edge_i2i.cli.main import run_command\nassert run_command(['--help']) == 0"
    assert not loaded_by(code) & HEAVY


VERBS = [
    "inspect",
    "verify",
    "translate",
    "doctor",
    "train",
    "export trt",
    "export onnx",
    "collect",
    "import",
    "models",
    *("quantize", "sensitivity", "qat", "live", "serve", "cache", "cache clear"),
]


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_every_verb_loads_nothing_heavy_and_shows_an_example(verb: str) -> None:
    code = f"from edge_i2i.cli.main import run_command\nassert run_command({verb.split()!r} + ['--help']) == 0"
    assert not loaded_by(code) & HEAVY
    shown = subprocess.run([sys.executable, "-m", "edge_i2i", *verb.split(), "--help"], capture_output=True, text=True)
    assert "Example:" in shown.stdout


# Without extras -------------------------------------------------------------------------------------------------

RUNTIME_ONLY = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {absent!r}:
            raise ModuleNotFoundError(f'No module named {{name!r}}', name=name)
sys.meta_path.insert(0, Absent())
import importlib.metadata as metadata
known = metadata.version
def version(name):
    if name in {absent!r}:
        raise metadata.PackageNotFoundError(name)
    return known(name)
metadata.version = version
from edge_i2i.cli.main import run_command
sys.exit(run_command({arguments!r}))
"""


def absent_packages() -> list[str]:
    """Everything that only an extra brings."""
    return sorted(HEAVY - {"onnxruntime", "cv2", "numpy"})


def run_without_extras(*arguments: str) -> subprocess.CompletedProcess[str]:
    code = RUNTIME_ONLY.format(absent=absent_packages(), arguments=list(arguments))
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_a_runtime_only_installation_runs_a_bundle(rgb_bundle: Path, tmp_path: Path) -> None:
    import cv2
    import numpy as np

    cv2.imwrite(str(tmp_path / "in.png"), np.full((40, 60, 3), 90, np.uint8))
    done = run_without_extras(
        "translate", str(rgb_bundle), str(tmp_path / "in.png"), "--output", str(tmp_path / "out.png"), "--json"
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["info"]["session"]["engine"] == "onnxruntime"
    assert cv2.imread(str(tmp_path / "out.png")).shape == (40, 60, 3)


def test_a_runtime_only_installation_lists_the_models() -> None:
    done = run_without_extras("models")
    assert done.returncode == 0 and "munit" in done.stdout, done.stderr


@pytest.mark.parametrize("verb", [["verify"], ["inspect"]])
def test_a_runtime_only_installation_reads_and_verifies(rgb_bundle: Path, verb: list[str]) -> None:
    done = run_without_extras(*verb, str(rgb_bundle))
    assert done.returncode == 0, done.stderr


def test_a_runtime_only_installation_says_what_export_needs(tmp_path: Path) -> None:
    weights = ("--model", "pix2pixhd", "--random-weights")
    done = run_without_extras("export", "onnx", *weights, "--output", str(tmp_path / "a.i2i"))
    assert done.returncode == 3
    assert "pip install 'edge-i2i[torch]'" in done.stderr


def test_building_an_engine_from_a_bundle_needs_no_torch(rgb_bundle: Path) -> None:
    """On a Jetson there is JetPack's TensorRT and no torch."""
    done = run_without_extras("export", "trt", "--bundle", str(rgb_bundle), "--runtime", "tensorrt")
    assert done.returncode == 3
    assert "tensorrt" in done.stderr and "torch" not in done.stderr


def test_the_runtime_dependencies_are_light() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {requirement.partition(">")[0] for requirement in project["dependencies"]}
    small = {"filelock", "lazy-loader", "platformdirs", "psutil"}
    assert names - small == {"numpy", "onnxruntime", "opencv-python-headless", "pydantic", "pyyaml", "rich", "typer"}


# The direction of imports ---------------------------------------------------------------------------------------


def imported_rooms(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module] if node.module != "edge_i2i" else [f"edge_i2i.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        found |= {name.split(".")[1] for name in names if name.startswith("edge_i2i.")}
    return found


def room_of(name: str) -> str:
    return "translator" if name in TOP_FILES else name


def test_no_room_above_the_models_knows_one_by_name() -> None:
    """The trainer is pix2pixHD's; every other room reads declarations. ``init`` is also an ordinary word."""
    names = set(family_names()) - {"init"}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("models", "learn"):
            continue
        tree = ast.parse(path.read_text())
        said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not said & names, path


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_lower_room_never_imports_a_higher_one(path: Path) -> None:
    here = room_of(path.relative_to(PACKAGE).parts[0].removesuffix(".py"))
    if here in ANYWHERE | {"__main__"}:
        return
    order = {name: place for place, name in enumerate(ROOMS)}
    # `graphs` and `bundle`, `engines` and `media` are neighbours that need nothing of each other but what is below
    for other in imported_rooms(path):
        if other not in ANYWHERE and other != "load":
            assert order[room_of(other)] <= order[here], f"{path.name} imports {other}"
