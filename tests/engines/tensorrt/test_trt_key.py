"""Every field of the cache key, nested ones too, is changed once: each change has to be a miss."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.engines.tensorrt.device import DeviceAttributes, HostPlatform
from edge_i2i.engines.tensorrt.key import EngineKey, differing_fields
from edge_i2i.engines.tensorrt.options import BuildOptions, HardwareCompatibility
from edge_i2i.engines.tensorrt.store import EngineStore
from samples.tensorrt.toys import DEVICE, KEY


def mutations(record: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """For each leaf field: its name, and a copy of the record in which only that leaf differs."""
    for field in fields(record):
        value = getattr(record, field.name)
        if is_dataclass(value):
            for name, changed in mutations(value, f"{prefix}{field.name}."):
                yield name, replace(record, **{field.name: changed})
        else:
            yield f"{prefix}{field.name}", replace(record, **{field.name: other(value)})


def other(value: Any) -> Any:
    """Another legal value of the same kind; a kind that is not here fails, and then belongs here."""
    match value:
        case Enum():
            return next(member for member in type(value) if member is not value)
        case bool():
            return not value
        case int():
            return value + 1
        case str():
            return value + "0"
        case tuple():
            return value[:-1]
    raise TypeError(f"no other value for {value!r}: add a case, and a value to KEY if it is None")


CHANGED = dict(mutations(KEY))


def test_every_field_is_mutated() -> None:
    records = (EngineKey, BuildOptions, HostPlatform, DeviceAttributes)
    assert len(CHANGED) == sum(len(fields(record)) for record in records) - 3  # the three that hold the others
    assert {"graph_sha256", "options.allow_tf32", "host.machine", "device.l2_cache"} <= CHANGED.keys()


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_field_is_a_miss(name: str, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    saved = store.save(KEY, b"an engine")
    assert store.find(KEY) == saved
    assert store.find(CHANGED[name]) is None
    assert CHANGED[name].digest() != KEY.digest()


@pytest.mark.parametrize(
    "changed",
    [
        replace(KEY, device=None),
        replace(KEY, options=replace(KEY.options, targets=None)),
        replace(KEY, options=replace(KEY.options, workspace_mb=None)),
        replace(KEY, options=replace(KEY.options, hardware_compatibility=HardwareCompatibility.AMPERE_PLUS)),
    ],
)
def test_an_absent_value_is_a_miss_too(changed: EngineKey, tmp_path: Path) -> None:
    store = EngineStore(tmp_path)
    store.save(KEY, b"an engine")
    assert store.find(changed) is None


def test_the_digest_does_not_depend_on_the_process() -> None:
    # This changes only when the key's fields do, and then every stored engine is built again.
    assert KEY.digest() == "4f6b7c841c4bbf703c71b5a68ee01e38cedf5ce67c73468e369a2ebfbff2fb72"


def test_differences_are_phrases() -> None:
    theirs = replace(DEVICE, total_memory=8 << 30, name="Orin NX")
    assert differing_fields(DEVICE, theirs) == ("name Orin, not Orin NX", f"total memory {16 << 30}, not {8 << 30}")
    assert differing_fields(KEY, replace(KEY, device=theirs))[0] == "device name Orin, not Orin NX"
