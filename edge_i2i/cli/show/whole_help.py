"""Help texts as wide as the terminal (``COLUMNS``), with nothing cut off."""

from __future__ import annotations

import sys
from typing import Any

from typer.core import TyperGroup

AS_WIDE_AS_THE_TERMINAL = {"max_content_width": sys.maxsize}
"""Settings of a command's context: without them no help is wider than 80 columns."""


class WholeHelp(TyperGroup):
    """A group whose list of commands says the first sentence of each as a whole."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Wrapped where it is long, instead of ended by three dots."""
        commands = [(name, self.commands[name]) for name in self.list_commands(ctx)]
        rows = [(name, command.get_short_help_str(sys.maxsize)) for name, command in commands if not command.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)
