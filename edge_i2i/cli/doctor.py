"""``edge-i2i doctor``."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from edge_i2i.cli.show.console import result, result_json


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """List every engine: whether it can run here, and if not, what is missing and the command that gets it.

    Example: edge-i2i doctor
    """
    from edge_i2i.engines.registry import engine_names, get_engine
    from edge_i2i.machine import describe_machine, installed_versions

    engines = [get_engine(name) for name in engine_names()]
    found = {engine.name: (engine, engine.availability(), engine.build_availability()) for engine in engines}
    if json:
        listed = {name: {**asdict(here), "can_build": build.ok} for name, (_, here, build) in found.items()}
        result_json({"machine": describe_machine(), "versions": installed_versions(), "engines": listed})
        return
    machine = describe_machine()
    result(f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Python {machine['python']}")
    for name, (engine, here, build) in found.items():
        mark = "yes" if here.ok else ("builds only" if build.ok else "no")
        result(f"{name:12s} {mark:12s} {engine.title} {here.version or ''}".rstrip())
        if not here.ok:
            result(f"{'':12s} {here.reason}")
            result(f"{'':12s} → {here.remedy}")
