"""Engines on disk: whole or not there, and never used when anything about them is in doubt."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_i2i.engines.tensorrt.seal import key_file
from edge_i2i.engines.tensorrt.store import EngineStore
from edge_i2i.errors import EdgeI2IError
from samples.tensorrt.toys import KEY

PLAN = b"ftrt" + bytes(range(200))


@pytest.fixture
def store(tmp_path: Path) -> EngineStore:
    return EngineStore(tmp_path / "engines")


def test_saves_and_finds(store: EngineStore) -> None:
    assert store.find(KEY) is None
    path = store.save(KEY, PLAN)
    assert store.find(KEY) == path and path.read_bytes() == PLAN
    assert path.name == f"frame-fp16-tensorrt-10.3.0-{KEY.digest()[:12]}.engine"


def test_odd_names_stay_inside_the_folder(store: EngineStore) -> None:
    path = store.save(replace(KEY, graph="../../frame", variant="fp 16/x"), PLAN)
    assert path.parent == store.folder


def test_the_description_holds_every_field_and_the_checksum(store: EngineStore) -> None:
    description = json.loads(store.save(KEY, PLAN).with_suffix(".json").read_text())
    assert description["key"]["device"]["name"] == "Orin" and description["key"]["options"]["workspace_mb"] == 512
    assert len(description["plan_sha256"]) == 64


@pytest.mark.parametrize("position", [0, 100, len(PLAN) - 1])
def test_a_flipped_byte_is_a_miss(store: EngineStore, position: int, caplog: pytest.LogCaptureFixture) -> None:
    path = store.save(KEY, PLAN)
    damaged = bytearray(PLAN)
    damaged[position] ^= 1
    path.write_bytes(damaged)
    assert store.find(KEY) is None
    assert "damaged: its checksum differs" in caplog.text


def test_a_cut_off_engine_is_a_miss(store: EngineStore) -> None:
    path = store.save(KEY, PLAN)
    path.write_bytes(PLAN[:-1])
    assert store.find(KEY) is None


def test_an_engine_without_a_description_is_a_miss(store: EngineStore, caplog: pytest.LogCaptureFixture) -> None:
    path = store.save(KEY, PLAN)
    path.with_suffix(".json").unlink()
    assert store.find(KEY) is None and store.engines_of(KEY.graph_sha256, KEY.runtime) == ()
    assert path.name in caplog.text and "of no use" in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.clear(),
        lambda fields: fields.pop("plan_sha256"),
        lambda fields: fields["key"].pop("version"),
        lambda fields: fields["key"].update(future_field=1),
        lambda fields: fields["key"]["device"].update(future_field=1),
        lambda fields: fields["key"]["device"].update(multiprocessors="16"),
        lambda fields: fields["key"]["options"].update(optimization_level=17),
        lambda fields: fields["key"]["options"].update(hardware_compatibility="all"),
        lambda fields: fields["key"].update(version="10.3.1"),
    ],
)
def test_a_foreign_description_is_a_miss(store: EngineStore, change: object) -> None:
    path = store.save(KEY, PLAN)
    description = path.with_suffix(".json")
    fields = json.loads(description.read_text())
    change(fields)  # type: ignore[operator]
    description.write_text(json.dumps(fields))
    assert store.find(KEY) is None


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.just(b"[" * 60000), st.just(b'{"key": NaN}')))
def test_no_description_can_crash_the_store(store: EngineStore, content: bytes) -> None:
    store.save(KEY, PLAN).with_suffix(".json").write_bytes(content)
    assert store.find(KEY) is None


def test_lists_the_engines_of_a_graph_newest_first(store: EngineStore) -> None:
    older, newer = store.save(KEY, PLAN), store.save(replace(KEY, version="11.4.0"), PLAN)
    store.save(replace(KEY, graph_sha256="1" * 64), PLAN)
    store.save(replace(KEY, runtime="rtx"), PLAN)
    os.utime(older, ns=(1, 1))
    assert [engine.path for engine in store.engines_of(KEY.graph_sha256, "tensorrt")] == [newer, older]
    os.utime(newer, ns=(0, 0))
    assert [engine.path for engine in store.engines_of(KEY.graph_sha256, "tensorrt")] == [older, newer]


def test_a_full_disk_leaves_nothing_behind(store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(EdgeI2IError, match="No space left on device") as caught:
        store.save(KEY, PLAN)
    assert "Free some space" in caught.value.remedy
    assert list(store.folder.iterdir()) == []


def test_an_interrupt_between_the_two_files_is_a_miss(store: EngineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupt_at_the_second(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        store.save(KEY, PLAN)
    assert [path.suffix for path in store.folder.iterdir()] == [".engine"]
    assert store.find(KEY) is None
    monkeypatch.undo()
    assert store.find(KEY) is None and store.save(KEY, PLAN) == store.find(KEY)


def test_the_timing_cache_belongs_to_version_and_device(store: EngineStore) -> None:
    same = [replace(KEY, variant="fp32"), replace(KEY, options=replace(KEY.options, optimization_level=5))]
    assert KEY.device is not None
    others = [replace(KEY, version="11.4.0"), replace(KEY, device=replace(KEY.device, multiprocessors=8))]
    assert {store.timing_cache(key) for key in same} == {store.timing_cache(KEY)}
    assert len({store.timing_cache(key) for key in (KEY, *others)}) == 3


@pytest.fixture
def strangers_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Become another user: one with another data folder."""

    def become(name: str) -> None:
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / name))

    become("me")
    return become


def test_an_engine_that_somebody_else_built_is_not_loaded(
    store: EngineStore, strangers_home: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    """Engines are programs, and its checksum fits: whoever sends a bundle could send one beside it."""
    strangers_home("stranger")
    path = store.save(KEY, PLAN)
    for name in ("me", "without any key"):
        strangers_home(name)
        assert store.find(KEY) is None and store.engines_of(KEY.graph_sha256, KEY.runtime) == ()
    assert "not built by you" in caplog.text and "--accept-engines" in caplog.text
    assert not (store.folder.parent / "me").exists(), "looking leaves no key behind"
    strangers_home("me")
    assert store.save(KEY, PLAN) == path == store.find(KEY)
    strangers_home("stranger")
    assert store.find(KEY) is None


@pytest.mark.parametrize(
    "change",
    [
        lambda fields: fields.update(seal=""),
        lambda fields: fields.update(seal="0" * 64),
        lambda fields: fields.pop("seal"),  # as earlier versions wrote it
        lambda fields: fields["key"].update(variant="fp32"),
        lambda fields: fields["key"]["options"].update(version_compatible=True),
    ],
)
def test_a_changed_description_is_not_ours_any_more(store: EngineStore, change: Callable[[object], None]) -> None:
    description = store.save(KEY, PLAN).with_suffix(".json")
    fields = json.loads(description.read_text())
    change(fields)
    description.write_text(json.dumps(fields))
    assert store.engines_of(KEY.graph_sha256, KEY.runtime) == ()


def test_engines_that_came_from_another_machine_can_be_taken_over(
    store: EngineStore, strangers_home: Callable[[str], None]
) -> None:
    strangers_home("build machine")
    path, damaged = store.save(KEY, PLAN), store.save(replace(KEY, version="11.4.0"), PLAN)
    damaged.write_bytes(PLAN[:-1])
    strangers_home("me")
    assert store.accept() == (path,)
    assert store.find(KEY) == path


def test_the_key_is_for_its_user_alone(store: EngineStore, strangers_home: Callable[[str], None]) -> None:
    store.save(KEY, PLAN)
    assert key_file().stat().st_mode & 0o777 == 0o600
    key_file().write_bytes(b"short")
    with pytest.raises(EdgeI2IError, match="holds no key"):
        store.find(KEY)
