"""``edge-i2i serve``, and ``python runtime/serve.py``: one function, one help text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge_i2i.cli.console import result, say
from edge_i2i.cli.live_options import NetworkOptions
from edge_i2i.cli.option_groups import with_groups
from edge_i2i.cli.signals import stop_on_signal
from edge_i2i.errors import UsageError

if TYPE_CHECKING:
    from edge_i2i.conditions import Given

DEFAULT_PORT = 8080
_LOOPBACK = "127.0.0.1"
_LOOK_EVERY = 0.2  # seconds between two looks at whether it is over


@with_groups
def serve(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle.")],
    *,
    network: NetworkOptions,
    host: Annotated[
        str, typer.Option("--host", help="Address to listen on; any but this machine's own prints a URL with a token.")
    ] = _LOOPBACK,
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    style: Annotated[
        list[Path] | None, typer.Option("--style", help="A picture that visitors can choose as a look; repeatable.")
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open the page in this machine's browser.")] = False,
) -> None:
    """Show a bundle in a web page: with each visitor's own camera, on this machine or in the browser itself.

    Browsers give a page the camera only over HTTPS or from this very machine: for phones, put a reverse proxy with
    a certificate in front, or forward the port (ssh -L 8080:localhost:8080).

    Example: edge-i2i serve city.i2i --open
    """
    from edge_i2i.live.web.server import serve as start

    with (
        stop_on_signal() as stop,
        start(bundle, host=host, port=port, styles=_styles(style or []), **vars(network)) as server,
    ):
        result(server.url)
        say("Ctrl-C ends it.")
        if open_browser:
            _open(server.url)
        while not (stop.is_set() or server.wait_ready(_LOOK_EVERY)):
            pass
        say("The network is ready.")
        while not (stop.is_set() or server.wait(_LOOK_EVERY)):
            pass


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
