"""Exports that end badly: nothing half-written may lie under the final name."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.contract import Size
from edge_i2i.errors import BundleError, UsageError
from edge_i2i.export.onnx import export_bundle
from edge_i2i.graphs.export import ExportOptions
from edge_i2i.models.checkpoints.loading import LoadedModel
from samples.graphs.tiny import leftovers

ARCHITECTURE = ["--set", "ngf=8", "--set", "n_blocks_global=2", "--set", "n_downsample_global=2"]


def export_command(output: Path) -> list[str]:
    verb = [
        sys.executable,
        "-m",
        "edge_i2i",
        "export",
        "onnx",
        "--model",
        "pix2pixhd",
        "--random-weights",
        *ARCHITECTURE,
    ]
    return [*verb, "--size", "64x64", "--threads", "1", "--output", str(output)]


def wait_for_stage(process: subprocess.Popen[str], stage: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if stage in line:
            return
    raise AssertionError(f"the export ended before '{stage}'")


def test_the_bundle_holds_what_was_exported(rgb_bundle: Path) -> None:
    bundle = open_bundle(rgb_bundle)
    bundle.verify_checksums()
    manifest = bundle.manifest
    assert (manifest.model.family, manifest.model.weights) == ("pix2pixhd", "random")
    assert str(manifest.size) == "64x96"
    assert bundle.variants("frame") == ("fp32", "fp16")
    assert {record.stage for record in manifest.evidence} >= {"trace", "fp32, as written", "fp16", "fp16, as written"}
    for record in manifest.evidence:
        assert record.kind == "parity" and record.machine and record.versions
        assert record.figures["inputs"] >= (1 if "as written" in record.stage else 2)


def test_the_bundle_names_no_path_of_this_machine(rgb_bundle: Path) -> None:
    content = rgb_bundle.read_bytes()
    for place in {str(Path.cwd()), str(Path.home()), str(rgb_bundle.parent), sys.prefix}:
        assert place.encode() not in content


def test_two_exports_of_one_network_give_the_same_graphs(tiny_rgb: LoadedModel, tmp_path: Path) -> None:
    digests = []
    for name in ("a.i2i", "b.i2i"):
        export_bundle(tiny_rgb, Size(16, 16), tmp_path / name, ExportOptions(precisions=("fp16",), threads=1))
        digests.append(open_bundle(tmp_path / name).graph("frame", "fp16").sha256)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("size", ["64x70", "4x64"])
def test_a_size_that_does_not_fit_is_refused_with_its_neighbours(
    tiny_rgb: LoadedModel, tmp_path: Path, size: str
) -> None:
    with pytest.raises(UsageError, match="multiples of 4") as error:
        export_bundle(tiny_rgb, Size.parse(size), tmp_path / "a.i2i", ExportOptions())
    assert "64x68 or 64x72" in error.value.remedy or "8x64" in error.value.remedy
    assert leftovers(tmp_path) == []


def test_an_interrupt_leaves_the_old_bundle_and_nothing_else(rgb_bundle: Path, tmp_path: Path) -> None:
    output = Path(shutil.copy(rgb_bundle, tmp_path / "net.i2i"))
    before = output.read_bytes()
    process = subprocess.Popen(export_command(output), stderr=subprocess.PIPE, text=True)
    wait_for_stage(process, "trace")
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=120)
    assert process.returncode == 130
    assert leftovers(tmp_path) == ["net.i2i"]
    assert output.read_bytes() == before


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stops a write exactly where a full disk would."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    process = subprocess.run(
        export_command(tmp_path / "net.i2i"), capture_output=True, text=True, preexec_fn=limit, check=False
    )
    assert process.returncode == 2, process.stderr
    assert "disk is full" in process.stderr
    assert leftovers(tmp_path) == []


def test_two_exports_to_one_path_at_once(tiny_rgb: LoadedModel, tmp_path: Path) -> None:
    output = tmp_path / "net.i2i"
    process = subprocess.Popen(export_command(output), stderr=subprocess.PIPE, text=True)
    wait_for_stage(process, "reference run")
    with pytest.raises(BundleError, match="writing") as error:
        export_bundle(tiny_rgb, Size(64, 64), output, ExportOptions())
    assert error.value.exit_code == 2
    process.communicate(timeout=240)
    assert process.returncode == 0
    assert leftovers(tmp_path) == ["net.i2i"]
    open_bundle(output).verify_checksums()


def test_a_killed_export_is_cleared_away_by_the_next(tiny_rgb: LoadedModel, tmp_path: Path) -> None:
    output = tmp_path / "net.i2i"
    process = subprocess.Popen(export_command(output), stderr=subprocess.PIPE, text=True)
    wait_for_stage(process, "trace")
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    assert not output.exists()
    export_bundle(tiny_rgb, Size(16, 16), output, ExportOptions(precisions=("fp32",), threads=1))
    assert leftovers(tmp_path) == ["net.i2i"]


def test_a_bundle_can_be_a_folder(tiny_rgb: LoadedModel, tmp_path: Path) -> None:
    import edge_i2i

    output = tmp_path / "net.i2i"
    options = ExportOptions(precisions=("fp32",), threads=1)
    export_bundle(tiny_rgb, Size(16, 16), output, options, layout="directory")
    assert (output / "graphs" / "frame.fp32.onnx").is_file()
    open_bundle(output).verify_checksums()
    with edge_i2i.load(output, engine="onnxruntime") as translator:
        assert translator(np.zeros((20, 30, 3), np.uint8)).shape == (20, 30, 3)
