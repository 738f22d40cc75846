"""Photographs that lie in the wheels of scikit-image and scikit-learn: nothing is downloaded."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from edge_i2i.arrays import Picture
from edge_i2i.errors import UsageError
from edge_i2i.requirements import require

LONGEST_SHORT_SIDE = 512  # pixels; larger photographs are shrunk so that one scale range suits them all


def photograph_folders() -> tuple[Path, ...]:
    """The folders of the installed wheels in which the photographs lie.

    Raises:
        MissingRequirementError: scikit-image or scikit-learn is not installed.
    """
    skimage = require("skimage", extra="train", purpose="Reading the demo's photographs")
    sklearn = require("sklearn", extra="train", purpose="Reading the demo's photographs")
    return (
        Path(cast(str, skimage.__file__)).parent / "data",
        Path(cast(str, sklearn.__file__)).parent / "datasets" / "images",
    )


def load_photograph(name: str) -> Picture:
    """Read one photograph by its file name, as uint8 (H, W, 3) RGB; grey ones get three equal channels.

    Raises:
        UsageError: neither wheel carries a picture of that name.
    """
    cv2 = require("cv2", extra="train", purpose="Reading photographs")
    folders = photograph_folders()
    path = next((folder / name for folder in folders if (folder / name).is_file()), None)
    pixels = None if path is None else cv2.imread(str(path), cv2.IMREAD_COLOR)
    if pixels is None:
        raise UsageError(
            f"No picture named '{name}' lies in the installed scikit-image or scikit-learn wheel.",
            remedy="Use one of: " + ", ".join(_picture_names(folders)) + ".",
        )
    shrink = LONGEST_SHORT_SIDE / min(pixels.shape[:2])
    if shrink < 1.0:
        pixels = cv2.resize(pixels, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return cast(Picture, cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB))


def _picture_names(folders: tuple[Path, ...]) -> list[str]:
    return sorted(file.name for folder in folders for file in folder.iterdir() if file.suffix in {".png", ".jpg"})
