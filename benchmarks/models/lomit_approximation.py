"""How far LOMIT's approximate mode (one foreground style per exemplar) lies from the exact one, on photographs.

No weights were published, so the full-size network has random weights; the error of trained ones may differ. Beside it
stands what another exemplar changes: an error as large as that would make the mode useless.

Example: python -m benchmarks.models.lomit_approximation
"""

from __future__ import annotations

import argparse
import itertools

import cv2
import torch
from skimage import data

from benchmarks.figures import FOLDER, write_figures
from edge_i2i.models.family import NormMode
from edge_i2i.models.lomit.model import FAMILY, approximation_error

FIGURES = FOLDER / "lomit-approximation.json"
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket")
SIDE = 128
SEED = 0


def main() -> None:
    """Every photograph as frame with every other as exemplar, in both norm modes."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    about = {
        "network": f"LOMIT, full size, {SIDE}x{SIDE}, random weights (seed {SEED})",
        "pictures": list(PHOTOGRAPHS),
        "range": "pictures are in [-1, 1]",
    }
    rows = [measure(mode) for mode in (NormMode.BATCH, NormMode.EVAL)]
    command = "python -m benchmarks.models.lomit_approximation"
    write_figures(FIGURES, rows, command, torch.get_num_threads(), **about)


@torch.no_grad()
def measure(mode: NormMode) -> dict[str, object]:
    """Mean and largest error of the approximate mode, and the mean difference that another exemplar makes."""
    architectures = FAMILY.architectures().values()
    config = next(item for item in architectures if item.norm_mode is mode and not item.approximate)
    generator = FAMILY.random(config, SEED).generator
    pictures = [photograph(name) for name in PHOTOGRAPHS]
    errors = [approximation_error(generator, *pair) for pair in itertools.permutations(pictures, 2)]
    changes = [
        float((generator(frame, first) - generator(frame, second)).abs().mean())
        for frame, first, second in itertools.permutations(pictures, 3)
    ]
    return {
        "norm_mode": mode.value,
        "mean_error": sum(error.mean for error in errors) / len(errors),
        "largest_error": max(error.largest for error in errors),
        "mean_change_by_another_exemplar": sum(changes) / len(changes),
    }


def photograph(name: str) -> torch.Tensor:
    """[1, 3, SIDE, SIDE] in [-1, 1], the middle square."""
    picture = getattr(data, name)()
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(square).permute(2, 0, 1)[None].float() / 127.5 - 1


if __name__ == "__main__":
    main()
