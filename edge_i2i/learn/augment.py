"""Augmentation of one photograph, drawn from a random generator that the caller seeds.

Geometry and colour are changed *before* the look is painted, so a pair stays exact. What a cheap camera adds (noise)
is put on the input only, *after* painting: the generator learns to paint a noisy frame as if it were clean.
"""

from __future__ import annotations

from types import ModuleType
from typing import cast

import numpy as np

from edge_i2i.arrays import FloatPicture, Picture
from edge_i2i.learn.recipe import AugmentSection
from edge_i2i.requirements import require

PALETTE_STOPS = 4  # colours of the ramp that a grey photograph is tinted with


def random_view(photograph: Picture, side: int, ranges: AugmentSection, rng: np.random.Generator) -> Picture:
    """A random square view of a photograph: moved, turned, scaled and perhaps mirrored.

    Args:
        photograph: uint8 (H, W, 3), RGB.
        side: height and width of the view, pixels. What lies outside the photograph is its reflection.
        ranges: what may be drawn.
        rng: the source of every draw.

    Returns:
        uint8 (side, side, 3), RGB.
    """
    cv2 = _opencv()
    height, width = photograph.shape[:2]
    scale = float(np.exp(rng.uniform(*np.log(ranges.scale))))
    angle = float(rng.uniform(-ranges.rotation_degrees, ranges.rotation_degrees))
    centre = (_centre(width, side / scale, rng), _centre(height, side / scale, rng))
    mirrored = rng.random() < ranges.flip
    matrix = cv2.getRotationMatrix2D(centre, angle, scale)
    matrix[:, 2] += side / 2 - np.asarray(centre)
    # Shrinking without a blur would turn fine texture into false lines.
    source = cv2.GaussianBlur(photograph, (0, 0), 0.45 * np.sqrt(scale**-2 - 1)) if scale < 0.95 else photograph
    view = cv2.warpAffine(source, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return cast(Picture, np.ascontiguousarray(view[:, ::-1]) if mirrored else view)


def _centre(length: int, seen: float, rng: np.random.Generator) -> float:
    """A centre from which the view stays inside where it can, and is centred where it cannot."""
    margin = min(seen, length) / 2
    return float(rng.uniform(margin, length - margin))


def random_light(picture: Picture, ranges: AugmentSection, rng: np.random.Generator) -> Picture:
    """Another light and another camera: exposure, contrast, white balance, saturation, hue, focus.

    Args:
        picture: uint8 (H, W, 3), RGB.
        ranges: what may be drawn.
        rng: the source of every draw.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    cv2 = _opencv()
    colour = picture.astype(np.float32) / 255.0
    colour = colour ** np.float32(np.exp(rng.uniform(*np.log(ranges.gamma))))
    colour = (colour - 0.5) * np.float32(rng.uniform(*ranges.contrast)) + 0.5
    colour += np.float32(rng.uniform(-ranges.brightness, ranges.brightness))
    colour *= rng.uniform(1 - ranges.white_balance, 1 + ranges.white_balance, 3).astype(np.float32)
    colour = _turn_hue(np.clip(colour, 0.0, 1.0), ranges, rng)
    if rng.random() < ranges.defocus:
        colour = cv2.GaussianBlur(colour, (0, 0), float(rng.uniform(0.5, 1.6)))
    return cast(Picture, np.rint(np.clip(colour, 0.0, 1.0) * 255.0).astype(np.uint8))


def _turn_hue(colour: FloatPicture, ranges: AugmentSection, rng: np.random.Generator) -> FloatPicture:
    cv2 = _opencv()
    reach = 180.0 if rng.random() < ranges.any_hue else ranges.hue_degrees
    hsv = cv2.cvtColor(colour, cv2.COLOR_RGB2HSV)  # float: hue in degrees, the rest in [0, 1]
    hsv[..., 0] = (hsv[..., 0] + np.float32(rng.uniform(-reach, reach))) % 360.0
    hsv[..., 1] = np.clip(hsv[..., 1] * np.float32(rng.uniform(*ranges.saturation)), 0.0, 1.0)
    return cast(FloatPicture, cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB))


def random_tint(grey: Picture, rng: np.random.Generator) -> Picture:
    """Colour a grey photograph with a random ramp from a dark to a light colour.

    Args:
        grey: uint8 (H, W, 3), RGB, with three equal channels.
        rng: the source of every draw.

    Returns:
        uint8 (H, W, 3), RGB.
    """
    stops = np.linspace(0.0, 1.0, PALETTE_STOPS)
    colours = np.clip(stops[:, np.newaxis] + rng.normal(0.0, 0.18, (PALETTE_STOPS, 3)), 0.0, 1.0)
    level = np.arange(256) / 255.0
    ramp = np.stack([np.interp(level, stops, colours[:, channel]) for channel in range(3)], axis=1)
    painted: Picture = np.rint(ramp * 255.0).astype(np.uint8)[grey[..., 0]]
    return painted


def camera_noise(picture: Picture, ranges: AugmentSection, rng: np.random.Generator) -> Picture:
    """Sensor noise on some of the pictures.

    Args:
        picture: uint8 (H, W, 3), RGB.
        ranges: what may be drawn.
        rng: the source of every draw.

    Returns:
        uint8 (H, W, 3), RGB: a new array, or the same one where no noise was drawn.
    """
    if rng.random() >= ranges.noise:
        return picture
    noise = rng.normal(0.0, rng.uniform(0.0, ranges.noise_sigma), picture.shape)
    return cast(Picture, np.rint(np.clip(picture + noise, 0.0, 255.0)).astype(np.uint8))


def _opencv() -> ModuleType:
    return require("cv2", extra="train", purpose="Augmenting photographs")
