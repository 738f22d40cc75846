"""``edge-i2i serve``, and ``python runtime/serve.py``: one function, one help text."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.options.live_options import NetworkOptions
from edge_i2i.cli.options.option_groups import with_groups
from edge_i2i.cli.options.serve_options import ReachOptions
from edge_i2i.cli.show.console import result, say
from edge_i2i.cli.signals import stop_on_signal
from edge_i2i.errors import UsageError
from edge_i2i.requirements import require

if TYPE_CHECKING:
    from edge_i2i.translate.conditions import Given
    from edge_i2i.web.server import Server

_LOOK_EVERY = 0.2  # seconds between two looks at whether it is over


@with_groups
def serve(
    bundles: Annotated[list[Path], typer.Argument(help="The .i2i bundle, or several to choose from.")],
    *,
    network: NetworkOptions,
    reach: ReachOptions,
    style: Annotated[
        list[Path] | None, typer.Option("--style", help="A picture that visitors can choose as a look; repeatable.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in this machine's browser.")] = False,
    qr: Annotated[
        bool | None, typer.Option("--qr/--no-qr", help="Show the URL as a QR code; default where others can open it.")
    ] = None,
) -> None:
    """Show bundles in a web page: with each visitor's own camera, pictures or films, on this machine or in the browser.

    Browsers give a page the camera only over HTTPS or from this very machine: for phones, --host 0.0.0.0 --https, or
    a reverse proxy with a certificate in front (--allow-host), or forward the port (ssh -L 8080:localhost:8080).

    Example: edge-i2i serve city.i2i --open
    """
    from edge_i2i.web.server import serve as start

    where = reach.of_library()
    with (
        stop_on_signal() as stop,
        start(*bundles, reach=where, styles=_styles(style or []), **vars(network)) as server,
    ):
        result(server.url)
        _tell(server, self_made=reach.is_self_made, qr=qr)
        if open_browser:
            _open(server.url)
        while not (stop.is_set() or server.wait_ready(_LOOK_EVERY)):
            pass
        say("The network is ready.")
        while not (stop.is_set() or server.wait(_LOOK_EVERY)):
            pass


def _tell(server: Server, *, self_made: bool, qr: bool | None) -> None:
    for url in server.urls_elsewhere:
        say(f"Behind a proxy: {url}")
    if self_made:
        say("The certificate is self-made: browsers warn once; choose to go on.")
    if qr or (qr is None and server.is_for_others and sys.stderr.isatty()):
        say(_qr_code(next(iter(server.urls_elsewhere), server.url)))
    say("Ctrl-C ends it.")


def _qr_code(url: str) -> str:
    """The URL as blocks of text, where the terminal has such characters; else of spaces and escape sequences."""
    segno = require("segno", extra="web", purpose="A QR code")
    text = io.StringIO()
    try:
        "\u2580\u2584\u2588".encode(sys.stderr.encoding or "ascii")
    except UnicodeEncodeError:
        segno.make(url, error="l", micro=False).terminal(out=text)
    else:
        segno.make(url, error="l", micro=False).terminal(out=text, compact=True)
    return text.getvalue().rstrip("\n")


def _styles(pictures: list[Path]) -> dict[str, Given] | None:
    """Looks by the pictures' names; None: what the bundle can show by itself."""
    from edge_i2i.media.pictures import read_picture

    titles = [picture.stem for picture in pictures]
    if len(set(titles)) < len(titles):
        raise UsageError("Two pictures of --style have the same name.", remedy="Rename one: names are shown.")
    return {picture.stem: {"exemplar": read_picture(picture)} for picture in pictures} or None


def _open(url: str) -> None:
    import webbrowser

    if not webbrowser.open(url):
        say("No browser could be opened here; open the URL by hand.")
