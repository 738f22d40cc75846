"""The ``edge-i2i`` command: it gathers the verbs and turns errors into sentences and exit codes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NoReturn

import typer

import edge_i2i
from edge_i2i.cli import (
    cache,
    collect,
    doctor,
    export,
    import_checkpoint,
    inspect,
    live,
    models,
    qat,
    quantize,
    sensitivity,
    serve,
    train,
    translate,
    verify,
)
from edge_i2i.cli.options.conditions import TakesBundle
from edge_i2i.cli.show.console import open_doors, say
from edge_i2i.cli.show.verbs import Verbs
from edge_i2i.cli.show.whole_help import AS_WIDE_AS_THE_TERMINAL
from edge_i2i.cli.signals import Interruption, interrupt_on_signal
from edge_i2i.errors import EdgeI2IError, OutputError
from edge_i2i.requirements import missing_requirement

_DEBUG = "--debug"
INTERRUPTED = 128
"""Exit codes from here on: this, and the number of the signal."""

app = typer.Typer(
    name="edge-i2i",
    cls=Verbs,
    context_settings=AS_WIDE_AS_THE_TERMINAL,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Image-to-image translation networks, from research checkpoint to real-time frames on small machines.",
)
app.command()(models.models)
app.add_typer(export.app, name="export")
app.command("import")(import_checkpoint.import_checkpoint)
app.command()(inspect.inspect)
app.command()(verify.verify)
app.command(cls=TakesBundle)(translate.translate)
app.command(cls=TakesBundle)(live.live)
app.command()(serve.serve)
app.command()(doctor.doctor)
app.add_typer(cache.app, name="cache")
app.command()(train.train)
app.command()(collect.collect)
app.command()(quantize.quantize)
app.command()(sensitivity.sensitivity)
app.command()(qat.qat)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"edge-i2i {edge_i2i.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks and every log line; may stand anywhere.")
    ] = False,
) -> None:
    """Options of every verb; ``--debug`` is taken out of the arguments before this is reached."""


def main() -> None:
    """Entry point of ``edge-i2i``."""
    _leave(run_command(sys.argv[1:]))


def run_command(arguments: Sequence[str]) -> int:
    """Run ``edge-i2i`` with these arguments and return its exit code; results go to stdout, messages to stderr."""
    return _guarded(app, arguments)


def run_program(verb: Callable[..., Any]) -> None:
    """Entry point of a program in a stage folder: the same verb, without the command's name in front."""
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
    program.command(context_settings=AS_WIDE_AS_THE_TERMINAL)(verb)
    _leave(_guarded(program, sys.argv[1:]))


def _leave(code: int) -> NoReturn:
    """End the process; at once where a thread of a live session hangs in foreign code, which would abort it later."""
    clock = sys.modules.get("edge_i2i.clock")
    patience = {"seconds": 0.0} if code >= INTERRUPTED else {}  # somebody has asked twice
    if clock is not None and not clock.wait_for_threads(**patience):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _guarded(program: typer.Typer, arguments: Sequence[str]) -> int:
    """Run, and turn what is raised into a sentence on stderr and an exit code."""
    debug = _DEBUG in arguments
    try:
        with open_doors():
            return _explained(program, [text for text in arguments if text != _DEBUG], debug)
    except OutputError as error:  # the results did not go out
        say(f"error: {error}")
        return error.exit_code


def _explained(program: typer.Typer, arguments: list[str], debug: bool) -> int:
    level = logging.DEBUG if debug else logging.WARNING
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", force=True)
    try:
        with interrupt_on_signal() as interruptions:
            try:
                program(arguments, standalone_mode=True)
            except Exception:
                if interruptions:  # whatever was made of it on the way here
                    raise interruptions[0] from None
                raise
    except EdgeI2IError as error:
        _explain(error, debug)
        return error.exit_code
    except KeyboardInterrupt as error:
        return _interrupted(error)
    except SystemExit as stop:
        if (interruption := _behind(stop)) is not None:
            return _interrupted(interruption)
        return stop.code if isinstance(stop.code, int) else 1
    except Exception as error:  # noqa: BLE001 - the last door: anything unexpected still ends in a sentence
        return _unexpected(error, debug)
    return 0


def _behind(stop: SystemExit) -> KeyboardInterrupt | None:
    """The interruption that typer turned into a silent exit; None: there was none."""
    given = stop.__context__
    while given is not None and not isinstance(given, KeyboardInterrupt):
        given = given.__context__
    return given


def _interrupted(error: KeyboardInterrupt) -> int:
    interruption = error if isinstance(error, Interruption) else Interruption(signal.SIGINT)
    say(f"{interruption}; nothing half-written was left behind.")
    return interruption.exit_code


def _unexpected(error: Exception, debug: bool) -> int:
    """The last sentence; an import that failed, wherever it stood, may be of a package that an extra brings."""
    missing = missing_requirement(error) if isinstance(error, ImportError) else None
    _explain(missing or error, debug)
    if missing is not None:
        return missing.exit_code
    say("This was not expected. Run again with --debug and report what it says.")
    return 1


def _explain(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    say(f"error: {error if str(error) else type(error).__name__}")
