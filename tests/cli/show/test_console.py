"""One door for everything that is written: fit for the console, and never a reason to fail."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from edge_i2i.cli.show.console import Bar, Door, open_doors, result, result_json, say, shown_on
from edge_i2i.errors import OutputError

EVIL = "\x1b]0;pwned\x07\x1b[2J\rforged\u202e"
NOT_UTF8 = b"caf\xe9".decode("utf-8", "surrogateescape")


def stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", newline="\n")


def written(through: io.TextIOWrapper) -> str:
    through.flush()
    assert isinstance(through.buffer, io.BytesIO)
    return through.buffer.getvalue().decode(through.encoding)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "cp932", "utf-8"])
def test_whatever_is_written_can_be_encoded(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    out, err = stream(encoding), stream(encoding)
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    with open_doors():
        result(f"→ 4×4 {NOT_UTF8} 日 {EVIL}")
        say(f"→ {NOT_UTF8} {EVIL}")
        sys.stderr.writelines(["→\n", EVIL])
    for text in (written(out), written(err)):
        assert not set(text) & set("\x1b\x07\r\u202e")
    assert sys.stdout is out and sys.stderr is err


def test_json_is_valid_and_exact(capsys: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {"name": EVIL, "\x7f": "\x7f\x9b", "nan": [float("nan"), float("inf"), 1.5], "é": "日"}
    with open_doors():
        result_json({**given, "path": Path(NOT_UTF8), "deep": {"file": (NOT_UTF8,)}, "none": None})
    text = capsys.readouterr().out
    assert text.isascii() and text.isprintable() is False and "\x1b" not in text and "\x7f" not in text
    told = json.loads(text)
    assert told == {
        **given,
        "nan": [None, None, 1.5],
        "path": "caf�",
        "deep": {"file": ["caf�"]},
        "none": None,
    }


def test_a_strangers_line_feed_begins_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    result("the file 'a\nerror: none' is there\n  → look")
    assert capsys.readouterr().out == "the file 'a\n  error: none' is there\n  → look\n"


class Gone(io.TextIOWrapper):
    """A stream that nobody takes anything of."""

    def __init__(self, number: int) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self.number = number

    def write(self, text: str, /) -> int:
        raise OSError(self.number, os.strerror(self.number))


@pytest.mark.parametrize("number", [errno.EPIPE, errno.ENOSPC, errno.EIO, errno.EBADF])
def test_messages_that_nobody_takes_are_no_error(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    monkeypatch.setattr(sys, "stderr", Gone(number))
    with open_doors():
        say("one")
        say("two")


def test_a_reader_of_results_may_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(errno.EPIPE))
    with open_doors():
        result("one")


def test_results_that_cannot_be_written_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Gone(errno.ENOSPC))
    with pytest.raises(OutputError, match="No space left"), open_doors():
        result("one")


def test_streams_that_were_never_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with open_doors():
        say("one")
        result("two")


class Terminal(io.StringIO):
    """A terminal of 80 columns."""

    encoding = "ascii"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("note", ["[red]a[/]", "[/", "[bold", ":smile: \x1b[2J", NOT_UTF8, "日"])
def test_a_bar_shows_any_file_name(monkeypatch: pytest.MonkeyPatch, note: str) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    with open_doors():
        bar = Bar()
        bar.start(2, note)
        bar.advance(1, note)
        bar.finish()
    assert terminal.getvalue().isascii() and "\x1b[2J" not in terminal.getvalue().replace("\\x1b[2J", "")
    if note == "[red]a[/]":
        assert note in terminal.getvalue()


def test_what_draws_gets_the_same_stream(capsys: pytest.CaptureFixture[str]) -> None:
    with open_doors():
        assert isinstance(sys.stdout, Door)
        shown_on(sys.stdout).write("\x1b[1mbold\x1b[0m")
    assert capsys.readouterr().out == "\x1b[1mbold\x1b[0m"


def run(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", command.replace("edge-i2i", f"{sys.executable} -m edge_i2i")],
        capture_output=True,
        env={**os.environ, **environment},
        timeout=120,
        check=False,
    )


@pytest.mark.skipif(sys.platform == "win32", reason="written for bash")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("edge-i2i models >&-", 0),
        ("edge-i2i models 2>&- >/dev/null", 0),
        ("edge-i2i models <&- >&- 2>&-", 0),
        ("edge-i2i models > /dev/full", 2),
        ("edge-i2i models --json > /dev/full", 2),
        ("set -o pipefail; edge-i2i models | true", 0),
        ("edge-i2i nonsense 2>/dev/full", 2),
        ("edge-i2i --help > /dev/full", 2),
        ("PYTHONIOENCODING=ascii edge-i2i live --help", 0),
        ("LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 edge-i2i models", 0),
        ("edge-i2i inspect $'caf\\xe9\\x1b[2J.i2i'", 4),
    ],
)
def test_real_consoles(command: str, code: int) -> None:
    done = run(command)
    assert done.returncode == code, (done.stdout[-300:], done.stderr[-300:])
    assert b"Traceback" not in done.stderr and b"Exception ignored" not in done.stderr and b"\x1b" not in done.stderr


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks at descriptors as Linux shows them")
def test_a_file_never_becomes_a_closed_standard_stream() -> None:
    code = (
        "from edge_i2i.cli.show.console import open_doors\nimport os\n"
        "with open_doors():\n    number = os.open('/dev/null', os.O_RDONLY)\nos._exit(number)"
    )
    done = subprocess.run(["bash", "-c", f'{sys.executable} -c "{code}" <&- >&- 2>&-'], check=False, timeout=60)
    assert done.returncode > 2
