"""Texts of strangers obey nobody's terminal, and no console is too poor to show something."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_i2i.texts import encodable, one_line, shown, shown_in

_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@given(st.text(st.characters(exclude_categories=())))
def test_nothing_is_left_that_a_terminal_obeys(text: str) -> None:
    fit = shown(text)
    assert not {c for c in fit if unicodedata.category(c) in ("Cc", "Cs")} - {"\n", "\t"}
    assert not set(fit) & set(_DIRECTIONS)
    assert shown(fit) == fit


@given(st.text(st.characters(exclude_categories=())))
def test_one_line_is_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


@pytest.mark.parametrize("text", ["city → night, 4×4", "日本語 عربى", "👩‍🔬 e\u0301", "a\tb\nc"])
def test_what_people_write_stays(text: str) -> None:
    assert shown(text) == text


def test_what_is_taken_out_can_still_be_seen() -> None:
    assert shown("\x1b[2J\r\x07\x9b") == r"\x1b[2J\r\x07\x9b"
    assert shown("exe.\u202egpj") == r"exe.\u202egpj"
    assert shown(b"caf\xe9".decode("utf-8", "surrogateescape")) == "caf�"


@given(st.text(), st.sampled_from(["ascii", "cp1252", "cp437", "cp932", "latin-1", "utf-8"]))
def test_every_text_is_shown_by_every_console(text: str, encoding: str) -> None:
    encodable(shown(text), encoding).encode(encoding)


def test_our_own_signs_are_told_in_ascii() -> None:
    assert encodable("512×512 → 4 ms … ≥ 47 dB", "ascii") == "512x512 -> 4 ms ... >= 47 dB"


def test_plain_data() -> None:
    assert shown_in({"na\x1bme": ["a\nb", 1, None, {"x": "\u202e"}], "n": 0.5}) == {
        r"na\x1bme": [r"a\nb", 1, None, {"x": r"\u202e"}],
        "n": 0.5,
    }
