"""`golden.npz`: nothing is unpickled, nothing unpacks without a limit, equal arrays give equal bytes."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from edge_i2i.bundle.golden import (
    _HEADER,
    GoldenSample,
    decode_golden,
    encode_golden,
    golden_input,
    golden_output,
    samples_of,
)
from edge_i2i.bundle.reader import open_bundle
from edge_i2i.bundle.writer import BundleWriter
from edge_i2i.errors import BundleError
from samples.bundles import FP32, FRAME_GRAPH, GOLDEN, finish

HERE = Path("x.i2i")


def npz(members: dict[str, bytes], **options: Any) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return packed.getvalue()


def npy(header: bytes, payload: bytes = b"", version: bytes = b"\1\0") -> bytes:
    return b"\x93NUMPY" + version + len(header).to_bytes(2, "little") + header + payload


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 3, 3), np.uint8),
        np.array(1.5),
        np.zeros((0, 4), np.float32),
        np.arange(6).reshape(2, 3).T,
        np.asfortranarray(np.arange(24, dtype=">i2").reshape(2, 3, 4)),
        np.array([True, False]),
        np.ones(5, np.float16)[::2],
    ],
)
def test_arrays_come_back(array: np.ndarray[Any, Any]) -> None:
    back = decode_golden(encode_golden({"a/b": array, "c": array}), HERE)
    np.testing.assert_array_equal(back["a/b"], array, strict=True)
    assert back.keys() == {"a/b", "c"}


def test_numpy_reads_it_as_its_own() -> None:
    with np.load(io.BytesIO(encode_golden(GOLDEN)), allow_pickle=False) as arrays:
        assert set(arrays.files) == set(GOLDEN)


def test_equal_arrays_give_equal_bytes() -> None:
    assert encode_golden(GOLDEN) == encode_golden(dict(reversed(GOLDEN.items())))


def test_what_numpy_saved_is_read() -> None:
    packed = io.BytesIO()
    np.savez(packed, **GOLDEN)
    assert decode_golden(packed.getvalue(), HERE).keys() == GOLDEN.keys()


@pytest.mark.parametrize("array", [np.array([object()]), np.array(["text"]), np.zeros(3, "c8"), np.zeros(3, "i4,f4")])
def test_only_plain_numbers_are_packed(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(BundleError, match="Store plain integers or floats"):
        encode_golden({"x": array})


def test_objects_are_not_unpacked() -> None:
    packed = io.BytesIO()
    np.savez(packed, x=np.array([print], dtype=object))
    with pytest.raises(BundleError, match="not an array of plain numbers"):
        decode_golden(packed.getvalue(), HERE)


def test_arrays_may_be_written_to() -> None:
    array = decode_golden(encode_golden(GOLDEN), HERE)["frame.0"]
    array[:] = 7
    assert (array == 7).all()


def test_a_bomb_is_refused_unopened() -> None:
    with pytest.raises(BundleError, match="is compressed"):
        decode_golden(npz({"x.npy": bytes(1 << 24)}, compression=zipfile.ZIP_DEFLATED), HERE)


def test_members_that_share_their_bytes_are_refused() -> None:
    data = bytearray(npz({"x.npy": bytes(1000), "y.npy": b""}))
    at = data.rindex(b"PK\1\2") + 20
    data[at : at + 8] = (1000).to_bytes(4, "little") * 2
    with pytest.raises(BundleError, match="claim to be larger"):
        decode_golden(bytes(data), HERE)


PLAIN = b"{'descr': '|u1', 'fortran_order': False, 'shape': (8,), }\n"
HUGE = b"{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000, 1000)}\n"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip",
        encode_golden(GOLDEN)[:-30],
        npz({"x": b"raw bytes, no array"}),
        npz({"x.npy": b"raw bytes, no array"}),
        npz({"x.npy": b"\x93NUMPY"}),
        npz({"x.npy": npy(HUGE)}),
        npz({"x.npy": npy(b"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}\n")}),
        npz({"x.npy": npy(b"{'descr': '|O', 'fortran_order': False, 'shape': ()}\n", b"cos\nsystem\n")}),
        npz({"x.npy": npy(b"{" * 3000 + b"\n")}),
        npz({"x.npy": npy(b"((((\n")}),
        npz({"x.npy": npy(b"'''\n")}),
        npz({"x.npy": npy(b"__import__('os').abort()\n")}),
        npz({"x.npy": npy(b"  1\n 2\n")}),
        npz({"x.npy": npy(b"{[]: 1}\n")}),
        npz({"x.npy": npy(b"{}", version=b"\7\0")}),
        npz({"x.npy": npy(PLAIN, b"only7by")}),
        npz({"x.npy": npy(PLAIN, b"nine byte")}),
        npz({"x.npy": npy(PLAIN.replace(b"8", b"0, 9999999999, 9999999999"))}),
        npz({"x.npy": npy(PLAIN.replace(b"8", b"0," * 70))}),
        npz({"x.npy": npy(PLAIN, b"8" * 8)[:-12]}),
    ],
)
def test_what_is_no_npz_of_plain_arrays(data: bytes) -> None:
    with pytest.raises(BundleError, match=r"golden file of the bundle 'x\.i2i'") as caught:
        decode_golden(data, HERE)
    assert caught.value.exit_code == 4


array_types = st.sampled_from(["|b1", "|u1", "|i1", "<u2", ">i2", "<i4", "<u8", "<f2", "<f4", ">f8"]).map(np.dtype)


@given(arrays(array_types, array_shapes(min_dims=0, min_side=0, max_side=4)))
def test_any_array_comes_back(array: np.ndarray[Any, Any]) -> None:
    back = decode_golden(encode_golden({"x": array}), HERE)["x"]
    assert back.dtype == array.dtype and back.shape == array.shape
    assert back.tobytes() == array.tobytes()


@given(
    st.binary(max_size=60)
    | st.from_regex(_HEADER).map(str.encode)
    | st.text(st.sampled_from("{}()[]'\"\\:,<f8|OV \n\t#0-descrshape"), max_size=60).map(str.encode)
)
def test_any_array_header_gives_an_array_or_a_bundle_error(header: bytes) -> None:
    try:
        array = decode_golden(npz({"x.npy": npy(header + b"\n", bytes(64))}), HERE)["x"]
    except BundleError as error:
        assert str(HERE) in error.what
    else:
        assert array.dtype.kind in "buif" and array.nbytes == 64


def test_the_names_of_inputs_and_outputs_are_part_of_the_format() -> None:
    assert golden_input("frame", 0, "label_map") == "frame.0.in.label_map"
    assert golden_output("encode", 1, "features") == "encode.1.out.features"


def test_a_table_of_contents_that_is_all_there_is_is_refused_unread() -> None:
    """Thousands of empty members cost a reader a hundred times what they weigh."""
    crowded = npz({f"{index}.npy": b"" for index in range(5000)})
    with pytest.raises(BundleError, match="5,000 members"):
        decode_golden(crowded, HERE)


def test_two_members_of_one_name_are_refused() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for _ in range(2):
            archive.writestr("a.npy", npy(b"{'descr': '|u1', 'fortran_order': False, 'shape': (), }\n", b"x"))
    with pytest.raises(BundleError, match="twice"):
        decode_golden(packed.getvalue(), HERE)


# Samples --------------------------------------------------------------------------------------------------------


FRAME = np.zeros((16, 24, 3), np.uint8)
WHOLE = {"in.frame": FRAME, "in.style": np.ones((1, 8), np.float32), "out.image": FRAME + 1}


def examples(*arrays: dict[str, np.ndarray]) -> tuple[GoldenSample, ...]:
    golden = {f"frame.{number}.{name}": array for number, one in enumerate(arrays) for name, array in one.items()}
    return samples_of(FRAME_GRAPH, golden, HERE)


def test_samples_are_walked_until_one_of_which_there_is_nothing() -> None:
    first, second = examples(WHOLE, {"in.style": WHOLE["in.style"]}, {}, WHOLE)
    assert (first.number, *first.all_inputs(), *first.all_outputs()) == (0, "frame", "style", "image")
    assert (second.number, *second.inputs, *second.outputs) == (1, "style")
    assert examples({}) == ()


@pytest.mark.parametrize("wrong", [None, FRAME[:-1], FRAME.astype(np.int16)], ids=["none", "shape", "type"])
def test_a_sample_that_is_not_as_declared_is_refused_by_name(wrong: np.ndarray | None) -> None:
    for name, get in (("in.frame", GoldenSample.all_inputs), ("out.image", GoldenSample.all_outputs)):
        arrays = WHOLE | {name: wrong}
        (sample,) = examples({key: array for key, array in arrays.items() if array is not None})
        with pytest.raises(BundleError, match=rf"lacks 'frame\.0\.{name}', or holds another kind of array"):
            get(sample)


def test_a_bundle_gives_the_samples_of_every_graph(tmp_path: Path) -> None:
    with BundleWriter(tmp_path / "x.i2i") as writer:
        writer.add_graph(FRAME_GRAPH, variant="fp32", precision="fp32", opset=18, onnx=FP32)
        writer.add_golden({f"frame.0.{name}": array for name, array in WHOLE.items()})
        finish(writer)
    bundle = open_bundle(tmp_path / "x.i2i")
    samples = bundle.golden_samples()
    assert list(samples) == ["frame"]
    (sample,) = samples["frame"]
    assert (sample.all_outputs()["image"] == 1).all()
