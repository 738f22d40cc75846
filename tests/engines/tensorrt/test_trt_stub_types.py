"""The adapter, type-checked against the published stubs of TensorRT 10.13: the Jetson generation's signatures."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from samples.tensorrt.adapter_uses import ADAPTER
from samples.tensorrt.prepare_bindings import CACHE, ROOT, relax_invalid_signatures

STUBS = CACHE / "stubs"

CONFIGURATION = f"""[mypy]
strict = True
mypy_path = {STUBS}
[mypy-tensorrt.*,tensorrt_bindings.*]
ignore_errors = True
[mypy-tensorrt_rtx.*,cuda.*]
ignore_missing_imports = True
"""


def check_types(adapter: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    if not STUBS.exists():
        pytest.skip("needs the type stubs: python tests/samples/tensorrt/prepare_bindings.py")
    configuration = folder / "mypy.ini"
    configuration.write_text(CONFIGURATION)
    command = [sys.executable, "-m", "mypy", "--config-file", str(configuration), "--cache-dir", str(CACHE / "mypy")]
    return subprocess.run([*command, str(adapter)], cwd=ROOT, check=False, capture_output=True, text=True)


def test_the_adapter_fits_the_stubs(tmp_path: Path) -> None:
    found = check_types(ADAPTER, tmp_path)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_wrong_type_would_be_noticed(tmp_path: Path) -> None:
    source = ADAPTER.read_text()
    changed = tmp_path / "changed_adapter.py"
    changed.write_text(
        source.replace("engine.num_io_tensors", "engine.num_io_tensor").replace("level.upper()]", "level]")
    )
    found = check_types(changed, tmp_path)
    assert found.returncode == 1 and '"ICudaEngine" has no attribute "num_io_tensor"' in found.stdout


def test_only_signatures_that_are_no_valid_python_are_relaxed(tmp_path: Path) -> None:
    stub = tmp_path / "stub.pyi"
    stub.write_text(
        "class A:\n    def f(self, in: int) -> str:\n        ...\n    def g(self, x: int) -> str:\n        ...\n"
    )
    assert relax_invalid_signatures(stub) == 1
    assert "def f(self, *args: typing.Any) -> str:" in stub.read_text()
    assert "def g(self, x: int) -> str:" in stub.read_text()
