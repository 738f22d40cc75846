"""What is said of the machine, and of this process's memory."""

from __future__ import annotations

import mmap

import psutil
import pytest

from edge_i2i.machine import describe_machine, resident_bytes


def test_the_machine_says_its_memory_and_cores() -> None:
    machine = describe_machine()
    assert machine["memory_gib"] > 0 and machine["cores"] >= 1 and machine["processor"]


def test_resident_memory_grows_with_what_is_held() -> None:
    before = resident_bytes()
    with mmap.mmap(-1, 64 << 20) as held:  # an array might get memory that a test before left to the process
        held.write(b"\1" * len(held))
        after = resident_bytes()
    assert before and after and after - before > 32 << 20


def test_a_system_that_does_not_tell_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "Process", silent)
    monkeypatch.setattr(psutil, "virtual_memory", silent)
    assert resident_bytes() is None and describe_machine()["memory_gib"] == 0.0
