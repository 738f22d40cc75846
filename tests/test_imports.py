"""What is loaded when: nothing heavy before it is needed, and no higher room from a lower one."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from benchmarks import house
from edge_i2i.models.registry import family_names

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "edge_i2i"
IMPORTS = house.import_graph()
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


def loaded_by(code: str) -> set[str]:
    """The packages that a program has loaded at its end."""
    return said_and_loaded(code)[1]


def said_and_loaded(code: str) -> tuple[str, set[str]]:
    """What a program printed, and the packages that it has loaded at its end."""
    program = f"import sys\n{code}\nimport json; sys.stdout.write('\\n' + json.dumps(sorted(sys.modules)))"
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    said, _, modules = output.rstrip("\n").rpartition("\n")
    return said, {name.partition(".")[0] for name in json.loads(modules)}


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
    shown, loaded = said_and_loaded(code)
    assert not loaded & HEAVY
    assert "Example:" in shown


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


# Who imports whom -----------------------------------------------------------------------------------------------

GROUND = "arrays clock contract errors files machine progress requirements telemetry texts"
"""What everybody may stand on. ``files`` is a folder of it; a file of the ground imports other ground alone."""
RUN_WING = "gate hosting media metrics bundle sources engines translate bench live web"
"""What a device needs that only runs bundles, with ``cli`` and the ground."""

MAY_IMPORT: dict[str, str] = {
    # what makes bundles
    "models": "",
    "graphs": "models metrics",
    "export": "models graphs bundle engines",
    "learn": "models media bundle",
    "cards": "models graphs export media metrics engines translate",
    # what runs them
    "gate": "",
    "hosting": "",
    "metrics": "",
    "media": "",
    "bundle": "gate",
    "sources": "media",
    "engines": "gate",
    "engines.torch": "",
    "translate": "bundle engines media",
    "bench": "bundle engines metrics",
    "live": "bundle engines hosting media sources translate",
    "live.figures": "sources",
    "live.steps": "media metrics translate",
    "web": "bundle engines hosting live media translate",
    # where both meet
    "collect": "bundle media sources translate",
    "quantize": "bench bundle engines graphs learn media metrics translate",
    "cli": "bench bundle cards collect engines export graphs hosting learn live media models quantize sources"
    " translate web",
}
"""Room: which other rooms its files may import, beside the ground. A sub-room without a line may what its room may."""


def rooms_of(module: str) -> list[str]:
    """Of ``edge_i2i.live.steps.flip``: ``live.steps`` and ``live``; of a file of the ground: its own name."""
    parts = module.split(".")[1:]
    return [".".join(parts[:depth]) for depth in range(len(parts), 0, -1)]


@pytest.mark.parametrize("path", house.files_of("edge_i2i"), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_room_imports_what_it_may(path: Path) -> None:
    module = house.module_of(path)
    here = next((room for room in rooms_of(module) if room in MAY_IMPORT), None)
    allowed = {*GROUND.split(), *(MAY_IMPORT[here].split() if here else [])}
    if module in ("edge_i2i.__main__", "edge_i2i"):
        allowed.add("cli")
    for other in IMPORTS.successors(module):
        if other == "edge_i2i" or (here and here.partition(".")[0] == other.split(".")[1]):
            continue
        assert allowed & set(rooms_of(other)), f"{module} imports {other}"


def test_no_line_allows_more_than_is_used() -> None:
    """What nobody uses is no wall. A sub-room's own line counts for its room, too."""
    used: dict[str, set[str]] = {room: set() for room in MAY_IMPORT}
    for source, target in IMPORTS.edges:
        if target != "edge_i2i":
            for room in set(rooms_of(source)) & set(MAY_IMPORT):
                used[room].add(rooms_of(target)[-1])
    for room, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= used[room], room


def test_the_page_of_the_architecture_shows_the_table() -> None:
    """Where it does not, the message holds the line as it should be."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"<!-- table: rooms -->\n(.*?)<!-- end -->", page, re.DOTALL)
    cells = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()[2:]]
    shown = {room.strip("`"): may_import for room, _, may_import in cells}
    assert shown == {room: " ".join(f"`{other}`" for other in MAY_IMPORT[room].split()) for room in MAY_IMPORT}


def test_every_folder_of_the_package_has_a_line() -> None:
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert folders - set(GROUND.split()) <= set(MAY_IMPORT)


def test_the_run_wing_needs_nothing_of_the_other() -> None:
    wing = {*RUN_WING.split(), *GROUND.split()}
    for room in RUN_WING.split():
        for line in [name for name in MAY_IMPORT if name.partition(".")[0] == room]:
            assert set(MAY_IMPORT[line].split()) <= wing, line


def test_no_room_above_the_models_knows_one_by_name() -> None:
    """The trainer is pix2pixHD's; every other room reads declarations. ``init`` is also an ordinary word."""
    names = set(family_names()) - {"init"}
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("models", "learn"):
            continue
        tree = ast.parse(path.read_text())
        said = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        assert not said & names, path
