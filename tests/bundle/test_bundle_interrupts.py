"""Exports that are killed or interrupted at any moment, by real signals to a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import BundleError
from samples.bundles import CHILD, child_environment, write_sample

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

MEGABYTES = 24


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "source.onnx").write_bytes(os.urandom(1 << 20) * 16)
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def strike(target: Path, layout: str, after: str, delay: float, blow: signal.Signals) -> int:
    """Start an export, wait for it to say a word and for a while more, strike it, and return its exit status."""
    command = [sys.executable, str(CHILD), "write", str(target), layout, str(MEGABYTES)]
    process = subprocess.Popen(
        command, env=child_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == after:
                break
        time.sleep(delay)
        process.send_signal(blow)
        process.stdout.read()
    return process.returncode


def is_absent_or_complete(target: Path) -> bool:
    if not os.path.lexists(target):
        return False
    bundle = open_bundle(target)
    bundle.verify_checksums()
    assert sum(file.role == "extra" for file in bundle.manifest.files) == MEGABYTES
    return True


MOMENTS = [("ready", 0.0), ("ready", 0.02), ("finishing", 0.0), ("finishing", 0.01), ("finishing", 0.04)]


@pytest.mark.parametrize("layout", ["file", "directory"])
@pytest.mark.parametrize(("after", "delay"), MOMENTS)
def test_a_kill_never_leaves_half_a_bundle_and_the_next_export_clears_up(
    place: Path, layout: str, after: str, delay: float
) -> None:
    target = place / "x.i2i"
    strike(target, layout, after, delay, signal.SIGKILL)
    is_absent_or_complete(target)
    write_sample(target, layout)
    open_bundle(target).verify_checksums()
    assert list(place.iterdir()) == [target]


def test_a_kill_in_the_middle_leaves_no_name_and_locks_nobody_out(place: Path) -> None:
    target = place / "x.i2i"
    assert strike(target, "file", "ready", 0.0, signal.SIGKILL) == -signal.SIGKILL
    assert sorted(path.name for path in place.iterdir()) == [".x.i2i.lock", ".x.i2i.staging"]
    with pytest.raises(BundleError, match="There is no bundle"):
        open_bundle(target)
    write_sample(target)
    assert list(place.iterdir()) == [target]


@pytest.mark.parametrize("layout", ["file", "directory"])
def test_a_kill_leaves_the_bundle_from_before(place: Path, layout: str) -> None:
    target = write_sample(place / "x.i2i", layout)
    strike(target, layout, "ready", 0.0, signal.SIGKILL)
    assert open_bundle(target).manifest.files[0].role == "clusters"
    open_bundle(target).verify_checksums()


@pytest.mark.parametrize("layout", ["file", "directory"])
@pytest.mark.parametrize(("after", "delay"), MOMENTS)
def test_an_interrupt_clears_up_after_itself(place: Path, layout: str, after: str, delay: float) -> None:
    target = place / "x.i2i"
    status = strike(target, layout, after, delay, signal.SIGINT)
    complete = is_absent_or_complete(target)
    assert complete or status != 0
    assert list(place.iterdir()) == ([target] if complete else [])


def test_an_interrupt_leaves_the_bundle_from_before(place: Path) -> None:
    target = write_sample(place / "x.i2i")
    before = target.read_bytes()
    strike(target, "file", "ready", 0.0, signal.SIGINT)
    assert target.read_bytes() == before
    assert list(place.iterdir()) == [target]
