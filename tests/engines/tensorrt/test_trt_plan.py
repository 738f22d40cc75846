"""The header of an engine file, read without TensorRT."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.engines.tensorrt.flavour import TENSORRT, TENSORRT_RTX, Flavour
from edge_i2i.engines.tensorrt.plan import HEADER_BYTES, PlanVersion, check_plan, read_plan_header, version_numbers
from edge_i2i.errors import PlanError

REBUILD = "edge-i2i export trt --bundle BUNDLE --runtime tensorrt"


def header(tag: bytes = b"ftrt", serialisation: int = 0, version: tuple[int, ...] = (10, 3, 0, 26)) -> bytes:
    return tag + serialisation.to_bytes(4, "little") + bytes(16) + bytes(version)


@pytest.mark.parametrize(("tag", "flavour"), [(b"ftrt", TENSORRT), (b"vtrt", TENSORRT_RTX)])
def test_reads_product_and_version(tag: bytes, flavour: Flavour) -> None:
    found = read_plan_header(header(tag) + b"the rest")
    assert (found.flavour, found.version) == (flavour, PlanVersion(10, 3, 0, 26))
    assert str(found.version) == "10.3.0.26"


@pytest.mark.parametrize("size", [0, 4, HEADER_BYTES - 1])
def test_a_file_shorter_than_its_header_is_refused(size: int) -> None:
    with pytest.raises(PlanError, match=f"cut off: it holds {size} bytes") as caught:
        read_plan_header(header()[:size])
    assert caught.value.exit_code == 4


@pytest.mark.parametrize("plan", [header(b"strg"), header(serialisation=1), header(b"\0\0\0\0", 9)])
def test_an_unknown_layout_is_not_an_error(plan: bytes) -> None:
    found = read_plan_header(plan)
    assert found.version is None
    check_plan(found, TENSORRT, "11.4.0.106", REBUILD)


@given(st.binary(min_size=HEADER_BYTES, max_size=64))
def test_any_bytes_can_be_read(plan: bytes) -> None:
    read_plan_header(plan)


def test_another_version_is_a_sentence_with_both_versions_and_the_command() -> None:
    with pytest.raises(PlanError) as caught:
        check_plan(read_plan_header(header()), TENSORRT, "11.4.0.106", REBUILD)
    message = str(caught.value)
    assert "built by TensorRT 10.3.0.26" in message and "this machine has 11.4.0.106" in message
    assert REBUILD in message and caught.value.exit_code == 4


def test_the_other_product_is_named() -> None:
    with pytest.raises(PlanError, match="is for TensorRT-RTX, and the engine 'tensorrt' runs TensorRT") as caught:
        check_plan(read_plan_header(header(b"vtrt")), TENSORRT, "11.4.0.106", REBUILD)
    assert "Choose the engine 'rtx'" in caught.value.remedy


@pytest.mark.parametrize(
    ("built", "installed", "fits"),
    [
        ((10, 3, 0, 26), "10.3.0.26", True),
        ((10, 3, 0, 26), "10.3.0", True),  # the Python package of 10.3 names three numbers
        ((10, 13, 3, 9), "10.13.3.9.post1", True),
        ((10, 0, 0, 44), "10.0.0.300", True),  # one byte each: 300 is stored as 44
        ((10, 3, 0, 26), "10.3.0.30", False),
        ((10, 3, 1, 26), "10.3.0", False),
        ((10, 3, 0, 26), "10.4.0", False),
    ],
)
def test_versions_are_compared_number_by_number(built: tuple[int, ...], installed: str, fits: bool) -> None:
    found = read_plan_header(header(version=built))
    if fits:
        check_plan(found, TENSORRT, installed, REBUILD)
    else:
        with pytest.raises(PlanError):
            check_plan(found, TENSORRT, installed, REBUILD)


def test_a_version_compatible_engine_runs_on_later_versions_only() -> None:
    found = read_plan_header(header())
    check_plan(found, TENSORRT, "11.4.0.106", REBUILD, version_compatible=True)
    with pytest.raises(PlanError):
        check_plan(found, TENSORRT, "10.1.0", REBUILD, version_compatible=True)


@given(st.text())
def test_any_text_can_be_asked_for_its_numbers(text: str) -> None:
    assert all(number >= 0 for number in version_numbers(text))
