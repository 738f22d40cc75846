"""``edge-i2i verify``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edge_i2i.cli.options.choices import Engine, Precision, Variants
from edge_i2i.cli.show.console import result, result_json
from edge_i2i.errors import ParityError


def verify(
    bundle: Annotated[Path, typer.Argument(help="The .i2i bundle.")],
    engine: Engine = "auto",
    variant: Variants = None,
    precision: Precision = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="CPU threads inside one call.")] = None,
    checksums_only: Annotated[bool, typer.Option("--checksums-only", help="Check the files, run nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")] = False,
) -> None:
    """Check every byte and every graph of a bundle, then run its golden inputs and compare with the stored outputs.

    Ends with exit code 4 if the bundle is damaged or has a graph that could do harm, 5 if an engine gives another
    picture. Quantized variants are held to the quality that the bundle states of them; those for engines other than the
    one that runs are skipped, unless --variant names them.

    Example: edge-i2i verify city.i2i --engine openvino
    """
    from edge_i2i.bench.verify import check_names, verify_bundle
    from edge_i2i.bundle.reader import open_bundle
    from edge_i2i.engines.protocol import EngineOptions
    from edge_i2i.translate.translator import default_engine_folder

    opened = open_bundle(bundle)
    check_names(opened, engine, variant or ())
    opened.verify_checksums()
    opened.verify_graphs()
    options = EngineOptions(threads=threads, engine_folder=default_engine_folder(bundle), precision=precision)
    skipped: list[dict[str, str]] = []

    def skip(graph: str, name: str, reason: str) -> None:
        skipped.append({"graph": graph, "variant": name, "reason": reason})

    verdicts = [] if checksums_only else verify_bundle(opened, engine, variant or (), options, skip)
    if json:
        told = [asdict(item) for item in verdicts]
        result_json({"bundle": str(bundle), "checksums": "ok", "verdicts": told, "skipped": skipped})
    else:
        result(f"{bundle}: every file is as it was written")
        for item in verdicts:
            verdict = "ok" if item.ok else "FAILED"
            result(
                f"  {item.graph:8s} {item.variant:16s} {item.engine} ({item.effective_precision}): {verdict}, "
                f"{item.parity.psnr_db:.1f} dB to the reference"
            )
        for left_out in skipped:
            result(f"  {left_out['graph']:8s} {left_out['variant']:16s} skipped: {left_out['reason']}")
    broken = [item.problem for item in verdicts if not item.ok]
    if broken:
        raise ParityError(" ".join(broken), remedy="Use another engine or variant; report it with these figures.")
