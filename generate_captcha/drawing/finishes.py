"""What happens to captchas after they are drawn: scaling, compression, palettes, noise.

A finish takes a picture, uint8 (height, width, 3) in RGB order, the height of its capitals in pixels, and a strength
from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from generate_captcha.arrays import Image
from generate_captcha.drawing import effects
from generate_captcha.seeded_random import SeededRandom

Finish: TypeAlias = Callable[[Image, float, float, SeededRandom], Image]

#: Height of capitals in pixels that letters need to be legible after a reduction.
LEGIBLE = 9.0
#: The order in which pixels of a block of four by four become brighter (Bayer 1973).
BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]], np.float32) / 16 - 0.5


def blur(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    return cv2.GaussianBlur(image, (0, 0), 0.3 + rng.random() * 0.045 * strength * capital)


def reduced(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """A picture that has been smaller."""
    least = max(1 - 0.6 * strength, LEGIBLE / capital)
    return effects.low_resolution(image, rng.between(least, 1)) if least < 1 else image


def compressed(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """JPEG."""
    return effects.jpeg(image, int(rng.between(90 - 65 * strength, 95)))


def noisy(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Grain."""
    return effects.noise(image, rng.between(3, 3 + 30 * strength), rng.random() < 0.5, rng)


def palette(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Few levels of each colour, as in a GIF, with or without dithering."""
    step = rng.choice((36.5, 51.0, 51.0, 64.0))
    levels = image.astype(np.float32)
    if rng.random() < 0.5:
        height, width = image.shape[:2]
        pattern = np.tile(BAYER, (-(-height // 4), -(-width // 4)))[:height, :width, None]
        levels += step * pattern
    return (np.rint(levels / np.float32(step)) * np.float32(step)).clip(0, 255).astype(np.uint8)


def binary(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Black and white."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)[1], cv2.COLOR_GRAY2RGB)


def flecked(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Salt and pepper: pixels of random brightness."""
    height, width = image.shape[:2]
    chance = rng.random_bytes(height * width).reshape(height, width)
    hit = chance < 2 + 16 * strength * rng.random()
    image[hit] = rng.random_bytes(3 * int(hit.sum())).reshape(-1, 3) if rng.random() < 0.5 else rng.choice((0, 255))
    return image


def inverted(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Negative."""
    return cv2.bitwise_not(image)


def embossed(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Grey relief, lit from one side."""
    reach = 1 if capital < 24 else 2
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1), np.float32)
    kernel[0, 0], kernel[-1, -1] = 1, -1
    grey = cv2.filter2D(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F, kernel)
    levels = (rng.between(100, 200) + rng.between(0.6, 1.2) * grey).clip(0, 255).astype(np.uint8)
    return cv2.cvtColor(levels, cv2.COLOR_GRAY2RGB)


def edges(image: Image, capital: float, strength: float, rng: SeededRandom) -> Image:
    """Only edges, bright on black or dark on white."""
    found = cv2.convertScaleAbs(cv2.Laplacian(image, cv2.CV_16S, ksize=3), alpha=rng.between(0.4, 1.0))
    return found if rng.random() < 0.5 else cv2.bitwise_not(found)
