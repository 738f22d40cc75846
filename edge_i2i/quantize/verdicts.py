"""What a judge found of a variant, and where it is kept: an interrupted search goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_i2i.measure.quality import PictureQuality
from edge_i2i.media.atomic import replacing

_NAME = "verdicts-{key}.json"


@dataclass(frozen=True)
class Verdict:
    """The quality of a variant against FP32 of the same network.

    ``quality``: of its uint8 pictures; budgets are held against this. ``network_psnr_db``: of the network's float
    output in [-1, 1] over all pictures, which tells good variants apart; None where the graph does not show it.
    ``judged_by``: the engine and what it computed in. ``emulated``: no engine here computes the target, so its
    arithmetic was emulated.
    """

    quality: PictureQuality
    network_psnr_db: float | None
    judged_by: str
    emulated: bool = False

    @property
    def fine_psnr_db(self) -> float:
        """The PSNR in dB before rounding where it is known, else that of the pictures."""
        return self.quality.psnr_db if self.network_psnr_db is None else self.network_psnr_db


class VerdictCache:
    """Verdicts by the checksum of the variant's graph, in one file for each way of judging (``key``)."""

    def __init__(self, folder: Path, key: str) -> None:
        self._path = folder / _NAME.format(key=key[:32])
        self._verdicts = _read(self._path)

    def get(self, sha256: str) -> Verdict | None:
        """What was found of a graph before, in this run or an earlier one."""
        return self._verdicts.get(sha256)

    def put(self, sha256: str, verdict: Verdict) -> None:
        """Keep a verdict; the file is complete at any time."""
        self._verdicts[sha256] = verdict
        self._path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps({name: asdict(found) for name, found in self._verdicts.items()}, indent=1)
        with replacing(self._path) as partial:
            partial.write_text(text, encoding="utf-8")


def _read(path: Path) -> dict[str, Verdict]:
    """What a file holds; nothing where there is none or it is damaged: it is judged again then."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return {sha256: _verdict(found) for sha256, found in stored.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _verdict(stored: dict[str, Any]) -> Verdict:
    return Verdict(**{**stored, "quality": PictureQuality(**stored["quality"])})
