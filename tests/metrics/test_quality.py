"""The figures of a variant against its reference, and the budget that they are held to."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge_i2i.bundle.manifest import EvidenceRecord
from edge_i2i.contract import Size
from edge_i2i.errors import PictureError
from edge_i2i.metrics.flicker import pan_clip
from edge_i2i.metrics.picture import psnr, ssim
from edge_i2i.metrics.quality import PictureQuality, QualityBudget, quality_of
from edge_i2i.metrics.texture import grey_level_ratio_of_all, texture_ratio_of_all

BUDGET = QualityBudget(min_psnr_db=47, min_ssim=0.996)
GOOD = {"psnr_db": 50.0, "worst_psnr_db": 48.0, "ssim": 0.998, "texture_ratio": 1.0, "grey_levels_ratio": 0.97}


def pictures(count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [np.cumsum(rng.normal(0, 9, (24, 32, 3)), axis=1).astype(np.int64).astype(np.uint8) for _ in range(count)]


def noisy(picture: np.ndarray, amount: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, amount, picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)


def test_equal_pictures_have_every_figure_at_its_best() -> None:
    references = pictures()
    clip = pan_clip(references[0], Size(20, 20))
    quality = quality_of(references, references, clip, clip)
    assert quality == PictureQuality(math.inf, math.inf, pytest.approx(1), 1, 1, 1)
    assert BUDGET.complaints(quality) == ()


def test_the_psnr_is_that_of_all_pictures_together_and_the_worst_is_told_apart() -> None:
    references = pictures()
    variants = [references[0], noisy(references[1], 3), noisy(references[2], 20)]
    quality = quality_of(variants, references)
    assert quality.psnr_db == pytest.approx(psnr(np.concatenate(variants), np.concatenate(references)))
    assert quality.worst_psnr_db == pytest.approx(psnr(variants[2], references[2]))
    assert quality.worst_psnr_db < quality.psnr_db
    assert quality.ssim == pytest.approx(np.mean([ssim(a, b) for a, b in zip(variants, references, strict=True)]))
    assert quality.texture_ratio == texture_ratio_of_all(variants, references)
    assert quality.grey_levels_ratio == grey_level_ratio_of_all(variants, references)
    assert quality.flicker_ratio is None


def test_float_outputs_are_judged_as_the_pictures_that_they_become() -> None:
    references = pictures()
    variants = [noisy(picture, 4) for picture in references]
    floats = [[picture.astype(np.float32) / 127.5 - 1 for picture in group] for group in (variants, references)]
    of_floats, of_pictures = quality_of(*floats), quality_of(variants, references)
    assert of_floats.psnr_db == pytest.approx(of_pictures.psnr_db, abs=1e-4)
    assert of_floats.ssim == pytest.approx(of_pictures.ssim, abs=1e-6)
    assert of_floats.texture_ratio == pytest.approx(of_pictures.texture_ratio, abs=1e-5)


def test_pictures_of_different_sizes() -> None:
    references = [picture[: 24 - i] for i, picture in enumerate(pictures())]
    assert quality_of([noisy(picture, 2) for picture in references], references).psnr_db > 35


def test_a_flickering_variant() -> None:
    clip = pan_clip(pictures()[0], Size(20, 20), (1, 1), 4)
    plain = clip.through(lambda frame: noisy(frame, 2, seed=int(frame.sum())))
    worse = clip.through(lambda frame: noisy(frame, 4, seed=int(frame.sum())))
    quality = quality_of(pictures(), pictures(), worse, plain)
    assert quality.flicker_ratio is not None and quality.flicker_ratio > 2
    (complaint,) = BUDGET.complaints(quality)
    assert "flicker ratio" in complaint and "more than 1.05" in complaint


def test_evidence_holds_every_figure() -> None:
    broken = [np.full((12, 12, 3), math.nan, np.float32)]
    whole = [np.zeros((12, 12, 3), np.float32)]
    clip = pan_clip(whole[0], Size(12, 12), (1, 1))
    best = quality_of(whole, whole, clip, clip).figures()
    assert best == {
        "psnr_db": 999,
        "worst_psnr_db": 999,
        "ssim": pytest.approx(1),
        "texture_ratio": 1,
        "grey_levels_ratio": 1,
        "flicker_ratio": 1,
    }
    assert quality_of(broken, whole).figures() == {"psnr_db": -999, "worst_psnr_db": -999}
    record = EvidenceRecord(kind="quality", figures=best, date="2026-01-01T00:00:00Z")
    assert record.figures == best


def test_a_broken_variant_misses_every_budget() -> None:
    broken, whole = np.full((2, 20, 20, 3), math.nan, np.float32), np.zeros((2, 20, 20, 3), np.float32)
    clips = [pan_clip(frames[0], Size(20, 20)) for frames in (broken, whole)]
    quality = quality_of(list(broken), list(whole), *clips)
    assert len(BUDGET.complaints(quality)) == 4


@pytest.mark.parametrize(
    ("figure", "value", "complaint"),
    [
        ("psnr_db", 46.9, "PSNR 46.9 dB is less than 47 dB"),
        ("ssim", 0.9959, "SSIM 0.9959 is less than 0.996"),
        ("grey_levels_ratio", 0.79, "share of grey levels 0.79 is less than 0.9"),
        ("flicker_ratio", 1.12, "flicker ratio 1.12 is more than 1.05"),
        ("psnr_db", math.nan, "PSNR nan dB is less than 47 dB"),
        ("flicker_ratio", math.nan, "flicker ratio nan is more than 1.05"),
    ],
)
def test_each_figure_is_held_to_the_budget(figure: str, value: float, complaint: str) -> None:
    assert BUDGET.complaints(PictureQuality(**{**GOOD, "flicker_ratio": None, figure: value})) == (complaint,)


def test_limits_themselves_pass() -> None:
    at_the_limit = PictureQuality(47, 40, 0.996, 0.5, 0.9, 1.05)
    assert BUDGET.complaints(at_the_limit) == ()


def test_what_cannot_be_compared_is_refused() -> None:
    references = pictures()
    clip = pan_clip(references[0], Size(20, 20))
    with pytest.raises(PictureError, match="2 pictures"):
        quality_of(references[:2], references)
    with pytest.raises(PictureError, match="0 pictures"):
        quality_of([], [])
    with pytest.raises(PictureError, match="different shapes"):
        quality_of([picture[:, :-1] for picture in references], references)
    with pytest.raises(PictureError, match="float64"):
        quality_of([picture / 127.5 - 1 for picture in references], references)
    with pytest.raises(PictureError, match="int32"):
        quality_of(*([picture.astype(np.int32) for picture in references] for _ in range(2)))
    with pytest.raises(PictureError, match="reference's clip"):
        quality_of(references, references, clip)
