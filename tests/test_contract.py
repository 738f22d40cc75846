"""The vocabulary of graphs: sizes, size rules, declarations."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_i2i.contract import (
    LARGEST_SIDE,
    DType,
    GraphDeclaration,
    GraphKind,
    Role,
    Size,
    SizeRule,
    TensorSpec,
    picture_spec,
)
from edge_i2i.errors import UsageError

sides = st.integers(1, LARGEST_SIDE)


@given(sides, sides, st.sampled_from(["x", "X", "×", " x "]))
@settings(deadline=None)
def test_a_size_is_read_as_height_by_width(height: int, width: int, cross: str) -> None:
    assert Size.parse(f" {height}{cross}{width} ") == Size(height, width)


@given(sides, sides)
@settings(deadline=None)
def test_a_written_size_is_read_back(height: int, width: int) -> None:
    assert Size.parse(str(Size(height, width))) == Size(height, width)


@pytest.mark.parametrize(
    "text", ["", "512", "512x", "x512", "512x512x3", "a x b", "-1x5", "1.5x2", "512 1024", "1e3x5"]
)
def test_other_texts_are_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=f"'{re.escape(text)}' is not a size") as caught:
        Size.parse(text)
    assert "512x1024" in caught.value.remedy
    assert caught.value.exit_code == 2


@given(st.text(max_size=20))
@settings(deadline=None)
def test_no_text_escapes_as_another_error(text: str) -> None:
    try:
        size = Size.parse(text)
    except UsageError:
        return
    assert 0 < size.height <= LARGEST_SIDE


@pytest.mark.parametrize("text", ["0x512", "512x0", "16385x8", "8x999999"])
def test_sides_out_of_range_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match=f"The size {text} is out of range") as caught:
        Size.parse(text)
    assert "16384" in caught.value.remedy


def _offers(rule: SizeRule, size: Size) -> list[Size]:
    with pytest.raises(UsageError) as caught:
        rule.check(size)
    return [Size.parse(found) for found in re.findall(r"\d+x\d+", caught.value.remedy)]


@pytest.mark.parametrize(
    ("size", "remedy"),
    [
        (Size(100, 200), "96x192 or 112x208"),
        (Size(96, 200), "96x192 or 96x208"),
        (Size(100, 192), "96x192 or 112x192"),
        (Size(1, 1), ": 32x32."),
        (Size(8, 100), "32x96 or 32x112"),
    ],
)
def test_a_size_that_does_not_fit_is_refused_with_the_nearest_two(size: Size, remedy: str) -> None:
    with pytest.raises(
        UsageError, match=f"cannot take {size}: both sides must be multiples of 16 and at least 32"
    ) as e:
        SizeRule(multiple=16, minimum=32).check(size)
    assert remedy in e.value.remedy
    assert e.value.exit_code == 2


rules = st.builds(
    lambda multiple, factor: SizeRule(multiple, multiple * factor),
    st.sampled_from([1, 2, 8, 16, 32, 64]),
    st.integers(1, 4),
)
sizes = st.builds(Size, st.integers(1, 3000), st.integers(1, 3000))


@given(rules, sizes)
@settings(deadline=None)
def test_offered_sizes_are_accepted_and_nothing_lies_between(rule: SizeRule, size: Size) -> None:
    def fits(side: int) -> bool:
        return side >= rule.minimum and side % rule.multiple == 0

    if fits(size.height) and fits(size.width):
        rule.check(size)
        return
    offers = _offers(rule, size)
    for offer in offers:
        rule.check(offer)
    below, above = offers[0], offers[-1]
    for asked, low, high in [(size.height, below.height, above.height), (size.width, below.width, above.width)]:
        assert low <= max(asked, rule.minimum)
        assert high >= asked
        assert not any(fits(side) for side in range(low + 1, high))


def test_a_declaration_knows_its_size_and_its_roles() -> None:
    size = Size(32, 48)
    label = TensorSpec("label_map", Role.LABEL_MAP, (32, 48), DType.UINT8, 0, 34, "classes")
    image = picture_spec("image", Role.IMAGE, size, "the result")
    declaration = GraphDeclaration("frame", GraphKind.FRAME, (label,), (image,))
    assert declaration.size == size
    assert declaration.input(Role.LABEL_MAP) is label
    assert declaration.input(Role.FRAME) is None
    assert (image.shape, image.dtype, image.low, image.high) == ((32, 48, 3), DType.UINT8, 0, 255)


def test_the_contract_imports_neither_torch_nor_numpy() -> None:
    code = "import sys, edge_i2i.contract; print(sorted({'torch', 'numpy', 'onnx'} & sys.modules.keys()))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
