"""Nothing phones home: no verb connects, looks up a name, or writes outside our own cache."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_i2i.contract import Size
from edge_i2i.files.caches import cache_folder
from edge_i2i.progress import NullProgress
from samples.calibration import photographs

ROOT = Path(__file__).parents[1]
CI_SWITCHES = (
    "CI",
    "GITHUB_ACTIONS",
    "TF_BUILD",
    "JENKINS_URL",
    "TRAVIS",
    "GITLAB_CI",
)  # some libraries are quiet there
OUR_SWITCHES = ("ORT_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_HUB_DISABLE_TELEMETRY", "NNCF_CI", "NNCF_DEV")

VERBS = """
import sys
from edge_i2i.cli.main import run_command
for arguments in {verbs!r}:
    code = run_command(arguments)
    sys.stderr.write(f"{{code}} from {{' '.join(arguments)}}\\n")
    if code not in (0, 5):
        sys.exit(code)
"""


def surroundings(place: Path) -> dict[str, str]:
    """A new user's: an empty home, and nothing set that keeps a library quiet."""
    (place / "home").mkdir()
    left_out = (*CI_SWITCHES, *OUR_SWITCHES, "TORCHINDUCTOR_CACHE_DIR", "MPLCONFIGDIR", "KERAS_HOME")
    kept = {key: value for key, value in os.environ.items() if key not in left_out}
    changed = {"HOME": str(place / "home"), "XDG_CACHE_HOME": str(place / "cache"), "TMPDIR": str(place / "tmp")}
    changed["XDG_DATA_HOME"] = str(place / "data")
    (place / "tmp").mkdir()
    paths = {"PYTHONPATH": f"{ROOT / 'tests/audit'}{os.pathsep}{ROOT}", "AUDIT_LOG": str(place / "audit.log")}
    return {**kept, **changed, **paths, "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}


def run_audited(code: str, place: Path) -> list[tuple[str, str]]:
    """What a program did: (network, …) and (write, path), its children's deeds with them."""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=place, env=surroundings(place), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    log = place / "audit.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [(kind, about) for kind, _, about in (line.partition("\t") for line in lines)]


def assert_quiet(deeds: list[tuple[str, str]], place: Path) -> None:
    assert [about for kind, about in deeds if kind == "network"] == []
    ours = (
        place / "work",
        place / "cache/edge-i2i",
        place / "data/edge-i2i",
        place / "tmp",
        Path("/dev"),
        Path("/proc"),
    )
    written = {Path(about) for kind, about in deeds if kind == "write"} - {place, place / "cache", place / "data"}
    assert [path for path in written if not any(path.is_relative_to(folder) for folder in ours)] == []
    assert_nothing_kept(place)


def assert_nothing_kept(place: Path) -> None:
    """What native code wrote, which Python's audit does not see."""
    assert list((place / "home").rglob("*")) == []
    assert [path.name for path in (place / "cache").glob("*") if path.name != "edge-i2i"] == []


@pytest.fixture
def work(tmp_path: Path, rgb_bundle: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    shutil.copy(rgb_bundle, folder / "net.i2i")
    photographs(folder / "photos", 4, size=Size(64, 96))
    return folder


def test_no_verb_talks_or_writes_elsewhere(work: Path, tmp_path: Path) -> None:
    net, photos = str(work / "net.i2i"), str(work / "photos")
    one = str(sorted((work / "photos").iterdir())[0])
    small = ["--model", "pix2pixhd", "--random-weights", "--set", "ngf=4", "--set", "n_blocks_global=1"]
    quick = ["--threads", "1"]
    verbs = [
        ["--version"],
        ["models"],
        ["doctor"],
        ["cache"],
        ["export", "onnx", *small, "--size", "32x32", "--output", str(work / "made.i2i"), "--precision", "fp32"],
        ["inspect", net],
        ["verify", net, *quick, "--engine", "onnxruntime"],
        ["verify", net, *quick, "--engine", "openvino"],
        ["translate", net, one, "--output", str(work / "a.png"), *quick],
        ["translate", net, photos, "--output", str(work / "out"), "--engine", "openvino", *quick],
        ["live", net, "--source", "pattern:96x64", "--sink", "null", "--duration", "0.5", *quick],
        ["collect", photos, "--output", str(work / "frames")],
        ["sensitivity", net, "--data", photos, "--plot", str(work / "plot.png"), *quick],
        ["cache", "clear", "quantize"],
    ]
    assert_quiet(run_audited(VERBS.format(verbs=verbs), tmp_path), tmp_path)


TINY_RECIPE = """
name: tiny
seed: 7
generator: {ngf: 2, n_downsample_global: 1, n_blocks_global: 1}
discriminator: {ndf: 2, n_layers: 2, num_D: 2}
data: {photographs: {astronaut.png: 1.0}, held_out: [chelsea.png], pairs: 4, patch: 40, crop: 32}
losses: {l1: 5.0}
training: {steps: 2, batch: 2, log_every: 1, checkpoint_every: 2, tensorboard: true}
"""


def test_no_verb_that_makes_networks_talks_or_writes_elsewhere(work: Path, tmp_path: Path) -> None:
    import torch

    for package in ("nncf", "lightning_fabric", "tensorrt_rtx"):
        pytest.importorskip(package, reason="needs more: pip install 'edge-i2i[quantize,train,rtx]'")
    from edge_i2i.models.registry import get_family

    family = get_family("cyclegan")
    network = family.random(family.tiny(next(iter(family.architectures().values()))), 1)
    torch.save(network.generator.state_dict(), work / "net.pth")  # type: ignore[attr-defined]
    net, photos, quick = str(work / "net.i2i"), str(work / "photos"), ["--threads", "1"]
    quantized = ["--target", "onnxruntime", "--output", str(work / "int8.i2i")]
    (work / "tiny.yaml").write_text(TINY_RECIPE)
    trained = ["--output", str(work / "run"), "--accelerator", "cpu", "--cache", str(work / "pairs")]
    verbs = [
        ["import", str(work / "net.pth"), "--output", str(work / "net.safetensors")],
        ["train", "--recipe", str(work / "tiny.yaml"), *trained],
        ["quantize", net, "--data", photos, *quantized, "--samples", "2", "--held-out", "2", *quick],
        ["export", "trt", "--bundle", net, "--runtime", "rtx"],
    ]
    assert_quiet(run_audited(VERBS.format(verbs=verbs), tmp_path), tmp_path)


def test_fine_tuning_talks_to_nobody_and_writes_nowhere_else(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("nncf", reason="needs quantize: pip install 'edge-i2i[quantize]'")
    from edge_i2i.quantize.qat.kernels import load_kernels

    load_kernels(NullProgress())  # compiled once for all tests: that takes minutes
    shutil.copytree(cache_folder("kernels"), tmp_path / "cache/edge-i2i/kernels")
    tuned = ["--target", "tensorrt", "--output", str(work / "qat.i2i"), "--run", str(work / "qat"), "--steps", "4"]
    verbs = [["qat", str(work / "net.i2i"), "--data", "golden", *tuned, "--threads", "1"]]
    assert_quiet(run_audited(VERBS.format(verbs=verbs), tmp_path), tmp_path)


SERVED = """
import signal, sys, threading
from edge_i2i.cli.main import run_command
threading.Timer(3.0, lambda: signal.raise_signal(signal.SIGTERM)).start()
sys.exit(0 if run_command(["serve", {net!r}, "--port", "0", "--threads", "1"]) in (0, 130, 143) else 1)
"""


def test_the_page_talks_to_nobody_that_does_not_ask(work: Path, tmp_path: Path) -> None:
    pytest.importorskip("starlette", reason="needs the page: pip install 'edge-i2i[web]'")
    deeds = run_audited(SERVED.format(net=str(work / "net.i2i")), tmp_path)
    listens = ("network", "socket.getaddrinfo ('127.0.0.1', 0, 0, 1, 0)")  # its own address: no name is looked up
    assert_quiet([deed for deed in deeds if deed != listens], tmp_path)


FIRST = "import edge_i2i\n"
ORDERS = {
    "nncf and openvino": FIRST + "import nncf, openvino",
    "openvino's converter": FIRST + "import openvino as ov\nov.convert_model({graph!r})",
    "a room, then onnxruntime": "import edge_i2i.metrics.parity\n{run}",
    "the engine alone": "import edge_i2i.engines.onnxruntime.engine\n{run}",
    "a child process": FIRST + "import subprocess, sys\nsubprocess.run([sys.executable, '-c', {run!r}], check=True)",
    "a spawned worker": (
        FIRST + "import multiprocessing\nif __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n        pool.apply(exec, ({run!r},))"
    ),
}
RUN = "import onnxruntime\nonnxruntime.InferenceSession({graph!r}, providers=['CPUExecutionProvider'])"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import onnx
    from onnx import TensorProto, helper

    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "ab"]
    made = helper.make_graph([helper.make_node("Identity", ["a"], ["b"])], "g", ends[:1], ends[1:])
    path = tmp_path_factory.mktemp("graph") / "g.onnx"
    onnx.save(helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_is_imported_after_us_is_quiet(order: str, graph: Path, tmp_path: Path) -> None:
    for library in ("openvino", "nncf"):
        if library in ORDERS[order]:
            pytest.importorskip(library)
    code = ORDERS[order].format(graph=str(graph), run=RUN.format(graph=str(graph)))
    assert_quiet(run_audited(code, tmp_path), tmp_path)


def test_these_tests_see_what_they_look_for(graph: Path, tmp_path: Path) -> None:
    """A library that reports is noticed; where it stops doing so by itself, its switch is no longer needed."""
    code = (
        "import socket, pathlib\nsocket.getaddrinfo('127.0.0.1', 9)\npathlib.Path.home().joinpath('id').write_text('1')"
    )
    deeds = run_audited(code, tmp_path)
    assert {kind for kind, _ in deeds} == {"network", "write"}
    with pytest.raises(AssertionError):
        assert_nothing_kept(tmp_path)


def test_what_was_imported_before_us_is_told_to_stop(tmp_path: Path) -> None:
    code = (
        "import onnxruntime\ntold = []\nonnxruntime.disable_telemetry_events = lambda: told.append(1)\n"
        "import edge_i2i, pathlib\npathlib.Path('told').write_text(str(told))"
    )
    run_audited(code, tmp_path)  # not quiet: the library began to report when it was imported
    assert (tmp_path / "told").read_text() == "[1]"


def test_a_users_own_choice_stays() -> None:
    names = ["DO_NOT_TRACK", "ORT_DISABLE_TELEMETRY"]
    code = f"import edge_i2i, os, json; print(json.dumps([os.environ[name] for name in {names}]))"
    command = [sys.executable, "-c", code]
    kept = {key: value for key, value in os.environ.items() if key not in OUR_SWITCHES}
    done = subprocess.run(command, env={**kept, "DO_NOT_TRACK": "0"}, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == ["0", "1"]
