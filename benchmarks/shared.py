"""What several measuring programs need: photographs, and figures with their circumstances."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_i2i.machine import describe_machine, installed_versions


def photographs(folder: Path) -> None:
    """Those that come with scikit-image and scikit-learn, whole and in four quarters each."""
    import cv2
    import numpy as np
    import skimage.data
    from sklearn.datasets import load_sample_images

    names = ("coffee", "chelsea", "astronaut", "rocket", "retina", "hubble_deep_field", "immunohistochemistry")
    pictures = [getattr(skimage.data, name)()[..., :3] for name in names] + list(load_sample_images().images)
    folder.mkdir(parents=True, exist_ok=True)
    for number, picture in enumerate(pictures):
        height, width = picture.shape[0] // 2, picture.shape[1] // 2
        parts = [picture, *(picture[y : y + height, x : x + width] for y in (0, height) for x in (0, width))]
        for part, view in enumerate(parts):
            cv2.imwrite(str(folder / f"{number:02d}-{part}.png"), np.ascontiguousarray(view[..., ::-1]))


def write_figures(path: Path, rows: list[dict[str, Any]], command: str, threads: int, **about: Any) -> None:
    """Keep what is measured so far, with the command, the machine and the versions beside it."""
    figures = {
        **about,
        "rows": rows,
        "threads": threads,
        "machine": describe_machine(),
        "versions": installed_versions(),
        "command": command,
        "date": datetime.now(UTC).date().isoformat(),
    }
    path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
