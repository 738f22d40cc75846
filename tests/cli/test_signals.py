"""The first signal asks, the second one ends; whatever the signal is called."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import typer

from edge_i2i.cli import main
from edge_i2i.cli.show.console import Bar, StageLines
from edge_i2i.cli.signals import Interruption, interrupt_on_signal, stop_on_signal
from edge_i2i.errors import GraphError

SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK") if hasattr(signal, name)]


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """No signal is ignored, as SIGHUP is by what nohup started: here, and so in the programs that are started."""
    before = {number: signal.getsignal(number) for number in SIGNALS if signal.getsignal(number) is signal.SIG_IGN}
    for number in before:
        signal.signal(number, signal.SIG_DFL)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_interrupts(number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Interruption) as caught, interrupt_on_signal():
        signal.raise_signal(number)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_request_and_the_second_an_end(number: int) -> None:
    with pytest.raises(Interruption), interrupt_on_signal(), stop_on_signal() as stop:
        signal.raise_signal(number)
        assert stop.is_set()
        signal.raise_signal(SIGNALS[0])


def test_elsewhere_than_in_the_main_thread_nothing_is_changed() -> None:
    seen = []

    def run() -> None:
        with interrupt_on_signal(), stop_on_signal():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_it_can_be_told_in_a_sentence() -> None:
    assert str(Interruption(signal.SIGINT)) == "Interrupted"
    assert str(Interruption(signal.SIGTERM)) == "Ended by SIGTERM"


# In processes ---------------------------------------------------------------------------------------------------

PROGRAM = """
import sys, time, typer
from pathlib import Path
from edge_i2i.cli.main import run_program
from edge_i2i.cli.signals import stop_on_signal
from edge_i2i.files.whole import replacing

def ready(): print("ready", flush=True)

def works():
    with replacing(Path("result")) as partial:
        partial.touch()
        ready()
        time.sleep(60)

def stops():
    with stop_on_signal() as stop:
        ready()
        stop.wait(60)
        print("stopped")

def hangs():
    with stop_on_signal() as stop:
        ready()
        stop.wait(60)
        print("asked", flush=True)
        while True:
            try:
                time.sleep(60)
            except KeyboardInterrupt:
                pass

name = sys.argv.pop(1)
run_program(globals()[name])
"""


def process(verb: str, folder: Path, before: str = "") -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(before) + PROGRAM, verb]
    started = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert started.stdout is not None and started.stdout.readline() == "ready\n"
    return started


def ended(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=60)
    return child.returncode, out, err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to other processes")
@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_half_written_goes_and_a_sentence_says_so(tmp_path: Path, number: int) -> None:
    child = process("works", tmp_path)
    child.send_signal(number)
    code, _, err = ended(child)
    assert code == 128 + number
    said = "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"
    assert err == f"{said}; nothing half-written was left behind.\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to other processes")
@pytest.mark.parametrize("number", SIGNALS)
def test_what_can_stop_by_itself_is_done(tmp_path: Path, number: int) -> None:
    child = process("stops", tmp_path)
    child.send_signal(number)
    assert ended(child) == (0, "stopped\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to other processes")
@pytest.mark.parametrize("pair", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGINT)])
def test_the_second_signal_ends_what_hangs(tmp_path: Path, pair: Sequence[int]) -> None:
    child = process("hangs", tmp_path)
    child.send_signal(pair[0])
    assert child.stdout is not None and child.stdout.readline() == "asked\n"
    child.send_signal(pair[1])
    assert ended(child)[0] == 128 + pair[1]


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this system has no terminals that hang up")
def test_nohup_goes_on(tmp_path: Path) -> None:
    child = process("stops", tmp_path, "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n")
    child.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        child.wait(0.5)
    child.send_signal(signal.SIGTERM)
    assert ended(child)[0] == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no signals to other processes")
def test_a_shells_background_job_takes_an_interrupt(tmp_path: Path) -> None:
    child = process("works", tmp_path, "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n")
    child.send_signal(signal.SIGINT)
    assert ended(child)[0] == 130


class Foreign(Exception):
    pass


@pytest.mark.parametrize(
    "made_of_it", [Foreign("foreign"), ImportError("half imported"), GraphError("cannot be traced")]
)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_that_foreign_code_makes_another_error_of_is_still_one(
    made_of_it: Exception, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    program = typer.Typer()

    @program.command()
    def verb() -> None:
        with contextlib.suppress(KeyboardInterrupt):  # as C++ does that gives nothing of it on
            signal.raise_signal(number)
        raise made_of_it

    assert main._guarded(program, []) == 128 + number
    err = capsys.readouterr().err
    assert "nothing half-written" in err and "not expected" not in err and "error:" not in err


def test_an_error_without_a_signal_stays_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    program = typer.Typer()

    @program.command()
    def verb() -> None:
        raise GraphError("cannot be traced")

    assert main._guarded(program, []) == GraphError("x").exit_code and "cannot be traced" in capsys.readouterr().err


class Swallows:
    """Python drops what is raised while this is being destroyed."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("goes_on", [lambda: StageLines(True)("next"), lambda: Bar(True).advance()])
def test_an_interrupt_that_was_swallowed_ends_the_work_where_it_goes_on(goes_on: Callable[[], None]) -> None:
    program, reached = typer.Typer(), list[str]()

    @program.command()
    def verb() -> None:
        Swallows()
        reached.append("the work goes on")
        goes_on()
        reached.append("to its end")

    assert main._guarded(program, []) == 130 and reached == ["the work goes on"]
    goes_on()


def test_where_nothing_was_swallowed_work_goes_on() -> None:
    with interrupt_on_signal():
        StageLines(True)("next")
    StageLines(True)("next")
