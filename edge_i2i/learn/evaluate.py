"""How good a generator is on photographs that it never saw: PSNR and SSIM to the painted target.

Every figure stands beside two simple ones: the photograph left as it is, and the best 1×1 colour fit (a 3×4 affine
colour matrix, least squares over the training pairs). A generator that does not beat both has learned nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from edge_i2i.arrays import Picture
from edge_i2i.learn.look import paint
from edge_i2i.media.photographs import load_photograph

COLOUR_FIT_STRIDE = 7  # every 7th pixel each way is plenty for twelve unknowns


@dataclass(frozen=True)
class Scores:
    """Likeness to the target: PSNR in dB (peak 255), SSIM (11×11 Gaussian window of sigma 1.5, mean over RGB)."""

    psnr: float
    ssim: float


@dataclass(frozen=True)
class HeldOutPicture:
    """One held-out photograph, its target, and what each contender made of it (uint8 (H, W, 3) RGB)."""

    name: str
    photograph: Picture
    target: Picture
    ours: Picture
    scores: dict[str, Scores]

    def side_by_side(self) -> Picture:
        """Photograph | target | ours: uint8 (H, 3W, 3)."""
        return np.hstack([self.photograph, self.target, self.ours])


def fit_colours(pairs: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The 3×4 affine colour matrix that maps photographs to paintings best, in the least-squares sense.

    Args:
        pairs: uint8 (N, 2, H, W, 3), photograph then painting.

    Returns:
        float64 (3, 4): three columns for RGB in [0, 255] and one for the constant.
    """
    sample = pairs[:, :, ::COLOUR_FIT_STRIDE, ::COLOUR_FIT_STRIDE].astype(np.float64)
    photographs, paintings = sample[:, 0].reshape(-1, 3), sample[:, 1].reshape(-1, 3)
    solution, *_ = np.linalg.lstsq(_with_ones(photographs), paintings, rcond=None)
    return cast("NDArray[np.float64]", solution.T)


def apply_colours(matrix: NDArray[np.float64], rgb: Picture) -> Picture:
    """Apply a 3×4 affine colour matrix to a uint8 (H, W, 3) picture."""
    return _to_uint8(_with_ones(rgb.astype(np.float64)) @ matrix.T)


def translate(generator: nn.Module, rgb: Picture) -> Picture:
    """Run a picture-to-picture generator.

    Args:
        generator: maps float [1, 3, H, W] in [-1, 1] to the same.
        rgb: uint8 (H, W, 3), RGB; H and W as the generator needs them.

    Returns:
        uint8 (H, W, 3), RGB, rounded to nearest.
    """
    device = next(generator.parameters()).device
    frame = _to_tensor(rgb).to(device) / 127.5 - 1.0
    with torch.inference_mode():
        picture: Tensor = generator(frame)
    return _to_uint8((picture.float()[0].permute(1, 2, 0).cpu().numpy() + 1.0) * 127.5)


def score(picture: Picture, target: Picture) -> Scores:
    """PSNR and SSIM between two uint8 (H, W, 3) pictures."""
    ours, wanted = (_to_tensor(one) for one in (picture, target))
    psnr = peak_signal_noise_ratio(ours, wanted, data_range=255.0)
    ssim = structural_similarity_index_measure(ours, wanted, data_range=255.0)
    return Scores(round(float(psnr), 3), round(float(cast(Tensor, ssim)), 4))


def evaluate_held_out(
    generator: nn.Module, names: Sequence[str], colours: NDArray[np.float64], *, multiple: int
) -> list[HeldOutPicture]:
    """Paint whole held-out photographs with the generator and with the two simple contenders.

    Args:
        generator: maps float [1, 3, H, W] in [-1, 1] to the same.
        names: file names of photographs, as in a recipe's ``held_out``.
        colours: float64 (3, 4), the affine colour matrix of ``fit_colours``.
        multiple: the generator's size rule; photographs are cropped to it at the right and the bottom.
    """
    results = []
    for name in names:
        whole = load_photograph(name)
        height, width = (side - side % multiple for side in whole.shape[:2])
        photograph = np.ascontiguousarray(whole[:height, :width])
        target, ours = paint(photograph), translate(generator, photograph)
        contenders = {"ours": ours, "identity": photograph, "colour_fit": apply_colours(colours, photograph)}
        scores = {contender: score(picture, target) for contender, picture in contenders.items()}
        results.append(HeldOutPicture(name, photograph, target, ours, scores))
    return results


def summarise(pictures: Sequence[HeldOutPicture]) -> dict[str, Any]:
    """Figures a picture and their means, ready for JSON."""
    contenders = list(pictures[0].scores)
    mean = {
        contender: {
            "psnr": round(float(np.mean([one.scores[contender].psnr for one in pictures])), 3),
            "ssim": round(float(np.mean([one.scores[contender].ssim for one in pictures])), 4),
        }
        for contender in contenders
    }
    each = {one.name: {contender: asdict(value) for contender, value in one.scores.items()} for one in pictures}
    return {"mean": mean, "pictures": each}


def _with_ones(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.concatenate([rgb, np.ones((*rgb.shape[:-1], 1))], axis=-1)


def _to_tensor(rgb: Picture) -> Tensor:
    """uint8 (H, W, 3) → float32 [1, 3, H, W], same values."""
    return torch.from_numpy(rgb.astype(np.float32)).permute(2, 0, 1).unsqueeze(0)


def _to_uint8(values: NDArray[Any]) -> Picture:
    return cast(Picture, np.rint(np.clip(values, 0.0, 255.0)).astype(np.uint8))
