"""Which paths may stand inside a bundle."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.bundle.paths import graph_path, unsafe_because


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "..",
        "../x",
        "graphs/../../x",
        "graphs/..",
        "C:/x",
        "C:x",
        "x:stream",
        "..\\x",
        "graphs\\x",
        "\\\\server\\share",
        ".",
        "./x",
        "a//b",
        "a/",
        "a/.../b",
        "trailing.",
        "trailing ",
        "nul\0byte",
        "line\nbreak",
        "lone\ud800surrogate",
        "x" * 201,
    ],
)
def test_unsafe_paths_are_refused(path: str) -> None:
    assert unsafe_because(path)


@pytest.mark.parametrize("path", ["x", "graphs/frame.fp32.onnx", "coreml/m.mlpackage/Data/w.bin", ".hidden", "ä/é.bin"])
def test_plain_paths_are_taken(path: str) -> None:
    assert unsafe_because(path) is None


def test_the_layout_of_graphs() -> None:
    assert graph_path("frame", "fp16") == "graphs/frame.fp16.onnx"


@given(st.text(alphabet=st.sampled_from("ab./\\: C\0"), max_size=12) | st.text(max_size=12))
def test_whatever_is_taken_stays_inside_on_every_system(path: str) -> None:
    if unsafe_because(path) is None:
        root = Path("/bundle")
        assert (root / path).resolve().is_relative_to(root)
        for kind in (PurePosixPath(path), PureWindowsPath(path)):
            assert not kind.is_absolute() and not kind.drive and ".." not in kind.parts
