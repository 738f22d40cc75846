"""Torch files cost what they hold: what they say of themselves is checked before a byte is read for it."""

from __future__ import annotations

import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.errors import CheckpointError
from edge_i2i.models.checkpoints.reading import check_checkpoint, read_checkpoint
from edge_i2i.models.checkpoints.torch_contents import TensorRecord, torch_contents
from samples.models.hostile_files import entries, laughs, name, number, several, tensor, text, write_legacy, write_zip

GIGA = 1 << 30
MOST_MEMORY = 64 << 20  # bytes that Python may take to refuse a file of a few hundred


def _refusal(path: Path) -> str:
    """Why a file is refused; torch is not asked, and little memory is taken."""
    tracemalloc.start()
    try:
        with pytest.raises(CheckpointError) as caught:
            check_checkpoint(path)
        assert tracemalloc.get_traced_memory()[1] < MOST_MEMORY
    finally:
        tracemalloc.stop()
    assert caught.value.remedy
    assert str(path) in caught.value.what
    with pytest.raises(CheckpointError):
        read_checkpoint(path)
    return caught.value.what


BYTEARRAYS = [name("builtins", "bytearray"), name("__builtin__", "bytearray")]


@pytest.mark.parametrize("called", BYTEARRAYS)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_bytearray_of_eight_gigabytes_is_never_made(called: bytes, legacy: bool, tmp_path: Path) -> None:
    value = entries({"a": called + several(number(8 * GIGA)) + b"R"})
    path = tmp_path / "net.pth"
    if legacy:
        path.write_bytes(b"\x80\x02" + value + b".")
    else:
        write_zip(path, value, {})
    assert "not tensors by name: a." in _refusal(path)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "doubling 26 times": (laughs(26), "nested more than 16 deep"),
    "in a circle": (b"}q\x00(" + text("a") + b"h\x00u", "nested more than 16 deep"),
    "5000 deep": ((b"}(" + text("a")) * 5000 + b"N" + b"u" * 5000, "nested more than 16 deep"),
    "one value for all": (entries({"w": tensor([10**5, 10**5], [0, 0], 1)}), "more values than are stored"),
    "a shape beyond its storage": (entries({"w": tensor([1 << 31], [1], 1)}), "more values than are stored"),
    "a storage beyond its record": (entries({"w": tensor([1 << 31], [1], 1 << 31)}), "that are not in it"),
    "a storage that is not there": (entries({"w": tensor([1], [1], 1, key="7")}), "that are not in it"),
    "a giant stride": (entries({"w": tensor([2, 2], [1 << 60, 1], 4)}), "more values than are stored"),
    "a giant offset": (entries({"w": tensor([2], [1], 4, offset=1 << 40)}), "more values than are stored"),
    "an offset before it": (entries({"w": tensor([2], [1], 4, offset=-1)}), "more values than are stored"),
    "a negative side": (entries({"w": tensor([-2], [1], 4)}), "has no shape"),
    "sides without end": (entries({"w": tensor([1 << 200], [1], 4)}), "has no shape"),
    "a thousand axes": (entries({"w": tensor([1] * 1000, [1] * 1000, 4)}), "has no shape"),
    "one storage of two sizes": (
        entries({"a": tensor([1], [1], 1), "b": tensor([4], [1], 4)}),
        "one storage is said to have two sizes",
    ),
    "a tuple as a key": (b"}" + several(number(1)) + b"Ns", "neither a text nor a number"),
    "a name of a megabyte": (entries({"a" * (1 << 20): b"N"}), "longer than 1000 letters"),
    "an unknown storage": (
        entries({"w": several(text("storage"), name("torch", "OddStorage"), text("0"), text("cpu"), number(1)) + b"Q"}),
        "of a kind that is not known here",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_file_says_beyond_what_it_holds_is_refused(case: str, tmp_path: Path) -> None:
    value, reason = HOSTILE[case]
    what = _refusal(write_zip(tmp_path / "net.pth", value, {"0": bytes(16)}))
    assert reason in what


def test_a_thousand_names_of_one_storage_are_refused(tmp_path: Path) -> None:
    value = entries({f"w{index}": tensor([1 << 16], [1], 1 << 16) for index in range(100)})
    assert "share so many" in _refusal(write_zip(tmp_path / "net.pth", value, {"0": bytes(1 << 18)}))


def test_a_storage_of_the_old_format_is_not_reserved_before_it_is_there(tmp_path: Path) -> None:
    value = entries({"w": tensor([4], [1], 1 << 40, legacy=True)})
    path = write_legacy(tmp_path / "net.pth", value, [("0", 1 << 40, bytes(16))])
    assert "4,398,046,511,104 bytes that are not in it" in _refusal(path)


def test_two_small_storages_of_the_old_format_are_read(tmp_path: Path) -> None:
    value = entries({key: tensor([4], [1], 4, key=key, legacy=True) for key in ("0", "1")})
    path = write_legacy(tmp_path / "net.pth", value, [("0", 4, bytes(16)), ("1", 4, bytes(16))])
    assert {key: list(item.shape) for key, item in read_checkpoint(path).items()} == {"0": [4], "1": [4]}


def test_compressed_records_are_refused(tmp_path: Path) -> None:
    value = entries({"w": tensor([1 << 22], [1], 1 << 22)})
    path = write_zip(tmp_path / "net.pth", value, {"0": bytes(1 << 24)}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 16
    assert "compressed" in _refusal(path)


def test_a_pickle_that_unfolds_without_end_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "net.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"N" * (1 << 26))
    assert "compressed" in _refusal(tmp_path / "net.pth")


@pytest.mark.parametrize("twice", ["archive/data/0", "ARCHIVE/DATA/0", "other/data.pkl"])
def test_two_records_for_one_name_are_refused(twice: str, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "net.pth", entries({"w": tensor([4], [1], 4)}), {"0": bytes(16)})
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning) if twice == "archive/data/0" else _nothing():
        archive.writestr(twice, bytes(4))
    assert "not those of one torch file" in _refusal(path)


class _nothing:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


ODD: dict[str, tuple[Callable[[], torch.Tensor], str]] = {
    "sparse": (lambda: torch.eye(3).to_sparse(), "a sparse tensor"),
    "meta": (lambda: torch.empty(1 << 40, device="meta"), "a tensor without values"),
    "complex": (lambda: torch.ones(2, dtype=torch.complex64), "of type complex64"),
}


@pytest.mark.parametrize("kind", ODD)
def test_tensors_that_are_no_plain_numbers_are_named(kind: str, tmp_path: Path) -> None:
    make, reason = ODD[kind]
    torch.save({"model.1.weight": make(), "model.1.bias": torch.ones(1)}, tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=reason) as caught:
        read_checkpoint(tmp_path / "net.pth")
    assert "model.1.weight" in caught.value.what
    assert "damaged" not in caught.value.what


@pytest.mark.parametrize("new", [True, False])
def test_views_parameters_and_newer_types_are_read(new: bool, tmp_path: Path) -> None:
    base = torch.arange(24.0)
    state = {
        "turned": base[:12].reshape(3, 4).T,
        "part": base[20:],
        "again": base[:12],
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "empty": torch.ones(0, 3),
        "scalar": torch.tensor(2.0),
        "half": torch.ones(3, dtype=torch.bfloat16),
        **({"small": torch.ones(3, dtype=torch.float8_e4m3fn)} if new else {}),
    }
    torch.save(state, tmp_path / "net.pth", _use_new_zipfile_serialization=new)
    read = read_checkpoint(tmp_path / "net.pth")
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key].float(), state[key].float()) for key in state)


def test_an_ordered_dict_as_python_2_wrote_it_is_read(tmp_path: Path) -> None:
    pair = b"](" + text("w") + tensor([4], [1], 4) + b"e"
    value = name("collections", "OrderedDict") + several(b"](" + pair + b"e") + b"R"
    contents = torch_contents(write_zip(tmp_path / "net.pth", value, {"0": bytes(16)}))
    assert isinstance(contents.value, dict)
    assert isinstance(contents.value["w"], TensorRecord)


_LEAVES = st.builds(lambda shape: torch.zeros(shape), st.lists(st.integers(0, 3), max_size=3))
_STATES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="."), min_size=1, max_size=8), _LEAVES
)


@given(state=_STATES, new=st.booleans())
@settings(max_examples=40, deadline=None)
def test_whatever_torch_writes_is_read_as_it_was(
    state: dict[str, Any], new: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pth"
    torch.save(state, path, _use_new_zipfile_serialization=new)
    contents = torch_contents(path)
    assert isinstance(contents.value, dict)
    assert {key: list(item.shape) for key, item in contents.value.items()} == {
        key: list(item.shape) for key, item in state.items()
    }
    assert contents.missing_storage() is None
    assert all(item.fits for item in contents.value.values())
