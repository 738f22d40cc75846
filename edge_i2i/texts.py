"""Texts of strangers (names, labels, licences, keys, file names) made fit to be shown: one function for every door.

A terminal obeys control characters, and both a terminal and a page turn text around at direction overrides: a bundle's
name could clear the screen, forge a line, or make ``gpj.exe`` read ``exe.jpg``.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

ENCODING_ERRORS = "edge-i2i.shown"
"""The error handler, for ``str.encode``, that puts something similar where an encoding lacks a character."""

# Control characters but line feed and tab; invisible format characters and those that change the direction of text
# (but not the joiners, which scripts and emoji need); line and paragraph separators. Halves of surrogate pairs stand
# for bytes of file names that are no UTF-8.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)
_BREAKS = re.compile("[\n\t]")
_SIMILAR: Mapping[str, str] = MappingProxyType(
    {"→": "->", "►": ">", "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "·": "-", "•": "*", "≥": ">=", "≤": "<="}
    | {"²": "2", "±": "+-", "α": "alpha", "’": "'", "‘": "'", "“": '"', "”": '"', "�": "?"}
)


def shown(text: str) -> str:
    r"""The text without what a terminal or a page would obey; line feeds and tabs stay.

    >>> shown("\x1b[2Jcity\u202e"), shown("caf\udce9")
    ('\\x1b[2Jcity\\u202e', 'caf�')
    """
    return _UNFIT.sub(_visible, text)


def one_line(text: str) -> str:
    r"""What ``shown`` gives, on one line: line feeds and tabs are spelled out as well.

    A stranger's text thus never begins a line of its own.

    >>> one_line("city\nerror: none")
    'city\\nerror: none'
    """
    return _BREAKS.sub(_visible, shown(text))


def encodable(text: str, encoding: str) -> str:
    """The text with something similar, or ``?``, for characters that the encoding has not.

    >>> encodable("4×4 → 8×8, naïve", "ascii")
    '4x4 -> 8x8, na?ve'
    """
    return text.encode(encoding, ENCODING_ERRORS).decode(encoding)


def shown_in(value: Any) -> Any:
    """The same plain data (dicts, lists, texts, numbers) with every text, also the keys, as ``one_line`` gives it."""
    if isinstance(value, str):
        return one_line(value)
    if isinstance(value, Mapping):
        return {shown_in(key): shown_in(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown_in(item) for item in value]
    return value


def _visible(found: re.Match[str]) -> str:
    character = found[0]
    if "\ud800" <= character <= "\udfff":
        return "�"
    return character.encode("unicode_escape").decode("ascii")


def _put_similar(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    return "".join(_SIMILAR.get(character, "?") for character in missing), error.end


codecs.register_error(ENCODING_ERRORS, _put_similar)
