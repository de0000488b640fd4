"""Colours, plain and textured areas, and blending. Images are uint8 (height, width, 3) in RGB order."""

from __future__ import annotations

import functools

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing.tile import Tile
from generate_captcha.seeded_random import SeededRandom

#: Red, green, blue from 0 to 255.
Rgb = tuple[float, float, float]

#: Weights of red, green and blue in the luma (ITU-R BT.601).
LUMA = 0.299, 0.587, 0.114
#: Number of textures, from fine to coarse.
TEXTURES = 4


def random_colour(luma: float, saturation: float, rng: SeededRandom) -> Rgb:
    """Return a colour of the given luma whose channels differ from grey by up to `saturation` levels."""
    red, green, blue = (rng.between(-1, 1) for _ in range(3))
    grey = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue
    return tuple(min(255.0, max(0.0, luma + saturation * (part - grey))) for part in (red, green, blue))  # type: ignore[return-value]


def vary(rgb: Rgb, spread: float, rng: SeededRandom) -> Rgb:
    """Change each channel by up to `spread` levels at random."""
    return tuple(min(255.0, max(0.0, part + rng.between(-spread, spread))) for part in rgb)  # type: ignore[return-value]


def brighten(rgb: Rgb, levels: float) -> Rgb:
    """Add `levels`, which may be negative, to each channel."""
    return tuple(min(255.0, max(0.0, part + levels)) for part in rgb)  # type: ignore[return-value]


def scale(rgb: Rgb, factor: float) -> Rgb:
    """Multiply each channel by `factor`."""
    return tuple(min(255.0, part * factor) for part in rgb)  # type: ignore[return-value]


def plain(height: int, width: int, rgb: Rgb) -> Image:
    """Return an image of one colour."""
    # Copying whole rows is five times as fast as filling pixels.
    row = np.tile(np.rint(rgb).astype(np.uint8), width)
    return np.broadcast_to(row, (height, 3 * width)).copy().reshape(height, width, 3)


def colourise(levels: Mask, dark: Rgb, light: Rgb) -> Image:
    """Return an image with the colour `dark` where `levels` is 0, `light` where it is 255."""
    table = np.linspace(dark, light, 256).round().astype(np.uint8)[:, None]
    return cv2.applyColorMap(levels, table)


def blend(under: Image, over: Image, mask: Mask, opacity: float = 1.0) -> Image:
    """Blend `over` onto `under` through `mask` times `opacity`; all of the same height and width."""
    weight = mask.astype(np.float32)
    weight *= opacity / 255
    return cv2.blendLinear(over, under, weight, 1 - weight)


def fill(image: Image, rgb: Rgb, mask: Mask, opacity: float = 1.0) -> None:
    """Blend one colour onto `image` through `mask` times `opacity`, in place."""
    image[:] = blend(image, plain(mask.shape[0], mask.shape[1], rgb), mask, opacity)


def gradient(height: int, width: int, rng: SeededRandom) -> Mask:
    """Return a linear gradient at a random angle: uint8 (height, width) from 0 to 255."""
    along, down = rng.between(-1, 1), rng.between(-1, 1)
    levels = np.linspace(0, along, width, dtype=np.float32) + np.linspace(0, down, height, dtype=np.float32)[:, None]
    low, high = min(0, along) + min(0, down), max(0, along) + max(0, down)
    return ((levels - low) * (255 / max(1e-6, high - low))).astype(np.uint8)


def texture(height: int, width: int, rng: SeededRandom) -> Mask:
    """Return noise of several scales, like paper, cloth or clouds: uint8 (height, width), 128 on average."""
    return _texture(rng.randbelow(TEXTURES)).cut(height, width, rng)


@functools.cache
def _texture(number: int) -> Tile:
    rng = np.random.default_rng(2 + number)
    height, width = 256, 640
    levels = np.zeros((height, width), np.float32)
    for factor in (1, 2, 4, 8, 16, 32, 64):
        # The higher the number, the more coarse noise weighs. Wrapped borders make the texture periodic.
        noise = rng.standard_normal((height // factor, width // factor), np.float32)
        wrapped = cv2.copyMakeBorder(noise, 2, 2, 2, 2, cv2.BORDER_WRAP)
        large = cv2.resize(wrapped, None, fx=factor, fy=factor, interpolation=cv2.INTER_CUBIC)
        part = large[2 * factor : 2 * factor + height, 2 * factor : 2 * factor + width]
        levels += factor ** (0.3 * number - 0.2) * part
    levels *= 50 / levels.std()
    return Tile((levels + 128.5).clip(0, 255).astype(np.uint8))
