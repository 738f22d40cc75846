"""What a finished run leaves for people: held-out figures, pictures, and a log of readable length."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_i2i.arrays import Picture
from edge_i2i.files.places import writing
from edge_i2i.files.whole import replacing
from edge_i2i.learn.evaluate import HeldOutPicture, summarise
from edge_i2i.machine import describe_machine, installed_versions
from edge_i2i.requirements import require

PACKAGES = (
    "torch",
    "lightning-fabric",
    "numpy",
    "opencv-python-headless",
    "scikit-image",
    "scikit-learn",
    "torchmetrics",
)
LOG_LINES = 300


def write_results(
    folder: Path, pictures: Sequence[HeldOutPicture], log: Path, circumstances: dict[str, Any]
) -> dict[str, Any]:
    """Write ``heldout.json``, ``heldout-*.png`` (photograph | target | ours) and a thinned ``log.jsonl``.

    Args:
        folder: made if needed; files of the same names are replaced.
        pictures: as `evaluate.evaluate_held_out` returns them.
        log: the run's whole ``log.jsonl``.
        circumstances: what else belongs into ``heldout.json`` (recipe, steps, seconds, command …).

    Returns:
        The content of ``heldout.json``.
    """
    content = {
        "held_out": summarise(pictures),
        **circumstances,
        "machine": describe_machine(),
        "versions": installed_versions(PACKAGES),
    }
    content["date"] = datetime.now(UTC).date().isoformat()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / "heldout.json") as unfinished:
            unfinished.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for one in pictures:
            write_png(folder / f"heldout-{Path(one.name).stem}.png", one.side_by_side())
        with replacing(folder / "log.jsonl") as unfinished:
            unfinished.write_text(thin_log(log.read_text(encoding="utf-8")), encoding="utf-8")
    return content


def write_png(path: Path, rgb: Picture) -> None:
    """Write a uint8 (H, W, 3) RGB picture."""
    cv2 = require("cv2", extra="train", purpose="Writing pictures")
    _, encoded = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    with replacing(path) as unfinished:
        unfinished.write_bytes(encoded.tobytes())


def thin_log(text: str, most: int = LOG_LINES) -> str:
    """Keep every held-out line, and of the others evenly spread ones, about ``most`` in all."""
    lines = [line for line in text.splitlines() if line]
    losses = [index for index, line in enumerate(lines) if "held_out_psnr" not in line]
    stride = max(1, -(-len(losses) // most))
    dropped = set(losses) - set(losses[stride - 1 :: stride]) - set(losses[:1])
    return "".join(f"{line}\n" for index, line in enumerate(lines) if index not in dropped)
