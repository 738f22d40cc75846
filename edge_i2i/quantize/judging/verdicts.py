"""What a judge found of a variant, and where it is kept: an interrupted search goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_i2i.files.places import ANOTHER_CACHE, writing
from edge_i2i.files.whole import replacing
from edge_i2i.metrics.quality import PictureQuality

_NAME = "verdicts-{key}.txt"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class QualityVerdict:
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
    """Verdicts by the checksum of the variant's graph, in one file for each way of judging (``key``).

    Each has a checksum of its own over what it says, of which graph, and how that was judged: verdicts become a
    bundle's evidence, so one that was damaged or changed is judged again, and that is said.
    """

    def __init__(self, folder: Path, key: str) -> None:
        self._path, self._key = folder / _NAME.format(key=key[:32]), key
        self._verdicts = _read(self._path, key)

    def get(self, sha256: str) -> QualityVerdict | None:
        """What was found of a graph before, in this run or an earlier one."""
        return self._verdicts.get(sha256)

    def put(self, sha256: str, verdict: QualityVerdict) -> None:
        """Keep a verdict; the file is complete at any time."""
        self._verdicts[sha256] = verdict
        lines = [_line(self._key, name, found) for name, found in self._verdicts.items()]
        with writing(self._path, remedy=ANOTHER_CACHE):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self._path) as partial:
                partial.write_bytes("".join(lines).encode())


def _line(key: str, sha256: str, verdict: QualityVerdict) -> str:
    """The line of a verdict in the file: its checksum and what that is of."""
    text = json.dumps([key, sha256, asdict(verdict)])
    return f"{_digest(text)} {text}\n"


def _read(path: Path, key: str) -> dict[str, QualityVerdict]:
    """The sound verdicts of a file; what is not among them is judged again."""
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    except OSError as error:
        _log.warning("what was judged before cannot be read from %s (%s): it is judged again", path, error.strerror)
        return {}
    lines += [rest] if rest else []
    sound = [found for found in (_sound(line, key) for line in lines) if found is not None]
    if len(sound) < len(lines):
        _log.warning(
            "%d of %d verdicts in %s are damaged: those graphs are judged again",
            len(lines) - len(sound),
            len(lines),
            path,
        )
    return dict(sound)


def _sound(line: bytes, key: str) -> tuple[str, QualityVerdict] | None:
    """The graph's checksum and the verdict on it; None where anything of the line was changed or is another judge's."""
    digest, _, rest = line.partition(b" ")
    try:
        text = rest.decode("utf-8")
        if digest.decode("ascii") != _digest(text):
            return None
        judged_as, sha256, stored = json.loads(text)
        return (str(sha256), _verdict(stored)) if judged_as == key else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _verdict(stored: dict[str, Any]) -> QualityVerdict:
    return QualityVerdict(**{**stored, "quality": PictureQuality(**stored["quality"])})
