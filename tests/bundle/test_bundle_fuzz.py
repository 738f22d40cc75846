"""Every flipped byte of a small bundle is noticed, or provably changes nothing that anybody reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_i2i.bundle.reader import open_bundle
from edge_i2i.errors import BundleError
from samples.bundles import write_sample

Content = tuple[object, dict[str, bytes]]


def content(bundle: Path) -> Content:
    """All that can be read from a bundle."""
    opened = open_bundle(bundle)
    opened.verify_checksums()
    return opened.manifest, {stored.path: opened.read(stored.path) for stored in opened.manifest.stored_files()}


def notices(bundle: Path, whole: Content) -> bool:
    """Whether the damage is refused; what is not refused has to read as before."""
    try:
        found = content(bundle)
    except BundleError:
        return True
    assert found == whole
    return False


def flips(data: bytes, step: int) -> Iterator[tuple[int, bytes]]:
    """The data with one byte changed, at every ``step``-th place, in changing ways."""
    for place in range(0, len(data), step):
        changed = bytearray(data)
        changed[place] ^= (0x01, 0x20, 0x80, 0xFF)[place // step % 4]
        yield place, bytes(changed)


def test_flips_in_a_zip(zip_bundle: Path) -> None:
    whole, data = content(zip_bundle), zip_bundle.read_bytes()
    harmless = []
    for place, changed in flips(data, 5):
        zip_bundle.write_bytes(changed)
        if not notices(zip_bundle, whole):
            harmless.append(place)
    assert all(is_unread_field(data, place) for place in harmless)


def is_unread_field(data: bytes, place: int) -> bool:
    """Whether a place lies in a zip header field that carries no content: versions, times, sizes told twice, rights.

    Every payload is held against a checksum, so only the 30 bytes of a local header and the 46 of an entry in the
    table of contents can change unnoticed, and the disk numbers in the end record.
    """
    starts = [(b"PK\3\4", 30), (b"PK\1\2", 46), (b"PK\5\6", 10)]
    found = ((data.rfind(signature, 0, place + 1), length) for signature, length in starts)
    return any(at >= 0 and 4 <= place - at < length for at, length in found)


def test_flips_in_a_folder(folder_bundle: Path) -> None:
    whole = content(folder_bundle)
    for path in sorted(path for path in folder_bundle.rglob("*") if path.is_file()):
        data = path.read_bytes()
        for place, changed in flips(data, 5):
            path.write_bytes(changed)
            assert notices(folder_bundle, whole), f"{path.name}, byte {place}"
        path.write_bytes(data)
    assert content(folder_bundle) == whole


def test_cuts_of_a_zip(zip_bundle: Path) -> None:
    whole, data = content(zip_bundle), zip_bundle.read_bytes()
    for end in range(0, len(data), 7):
        zip_bundle.write_bytes(data[:end])
        assert notices(zip_bundle, whole)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes]:
    bundle = write_sample(tmp_path_factory.mktemp("fuzz") / "x.i2i")
    return bundle, bundle.read_bytes()


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), min_size=1, max_size=4)
)
def test_any_damage_to_the_zips_own_structure(sample: tuple[Path, bytes], damage: list[tuple[float, bytes]]) -> None:
    bundle, data = sample
    bundle.write_bytes(data)
    whole = content(bundle)
    table = data.index(b"PK\1\2")
    changed = bytearray(data)
    for where, new in damage:
        at = table + int(where * (len(data) - table))
        changed[at : at + len(new)] = new
    bundle.write_bytes(changed)
    notices(bundle, whole)
