"""Backgrounds of captchas, drawn in two colours of similar brightness.

A ground takes height, width, two colours and the height of the capitals, and returns uint8 (height, width, 3) in RGB
order.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.seeded_random import SeededRandom

Ground: TypeAlias = Callable[[int, int, Rgb, Rgb, float, SeededRandom], Image]


def plain(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """One colour."""
    return paint.plain(height, width, one)


def gradient(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """From one colour to the other, along a line or outwards from a point."""
    if rng.random() < 0.7:
        return paint.colourise(paint.gradient(height, width, rng), one, other)
    x = (np.arange(width, dtype=np.float32) - rng.random() * width) / width
    y = (np.arange(height, dtype=np.float32)[:, None] - rng.random() * height) / height
    distance = np.sqrt(x * x + y * y)
    return paint.colourise((distance * (255 / distance.max())).astype(np.uint8), one, other)


def grain(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """Every pixel, or block of pixels, is of a random colour between the two."""
    size = 1 if rng.random() < 0.7 else max(1, round(rng.between(0.05, 0.25) * capital))
    rows, columns = math.ceil(height / size), math.ceil(width / size)
    levels = rng.random_bytes(rows * columns).reshape(rows, columns)
    if size > 1:
        levels = cv2.resize(levels, (columns * size, rows * size), interpolation=cv2.INTER_NEAREST)[:height, :width]
    return paint.colourise(np.ascontiguousarray(levels), one, other)


def texture(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """Like paper, cloth or clouds."""
    return paint.colourise(np.ascontiguousarray(paint.texture(height, width, rng)), one, other)


def cells(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """Rectangles of random colours, as a mosaic, or of both colours by turns, as on a chessboard."""
    across, down = (max(2, round(rng.between(0.2, 1.0) * capital)) for _ in range(2))
    if rng.random() < 0.5:
        down = across
    rows, columns = math.ceil(height / down), math.ceil(width / across)
    if rng.random() < 0.5:
        levels = rng.random_bytes(rows * columns).reshape(rows, columns)
    else:
        levels = ((np.arange(rows)[:, None] + np.arange(columns)) % 2 * 255).astype(np.uint8)
    large = cv2.resize(levels, (columns * across, rows * down), interpolation=cv2.INTER_NEAREST)
    return paint.colourise(np.ascontiguousarray(large[:height, :width]), one, other)


def stripes(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """Stripes in any direction, with hard or soft edges."""
    return paint.colourise(stripe_levels(height, width, rng.between(0.1, 1.2) * capital, rng), one, other)


def stripe_levels(height: int, width: int, period: float, rng: SeededRandom) -> Mask:
    """Stripes of the given period in pixels, in any direction: uint8 (height, width) from 0 to 255."""
    angle = rng.between(0, math.pi) if rng.random() < 0.5 else rng.choice((0, math.pi / 4, math.pi / 2))
    turn = 2 * math.pi / max(2.0, period)
    x = np.arange(width, dtype=np.float32) * np.float32(turn * math.cos(angle))
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(turn * math.sin(angle))
    hardness = 127 if rng.random() < 0.5 else 1_000
    return (hardness * np.sin(x + y) + 127.5).clip(0, 255).astype(np.uint8)


def blobs(height: int, width: int, one: Rgb, other: Rgb, capital: float, rng: SeededRandom) -> Image:
    """Filled circles and rectangles of colours between the two."""
    image = paint.plain(height, width, one)
    for _ in range(3 + rng.randbelow(12)):
        share, size = rng.random(), rng.between(0.1, 0.8) * capital
        colour = tuple(a + share * (b - a) for a, b in zip(one, other, strict=True))
        x, y = rng.randbelow(width), rng.randbelow(height)
        if rng.random() < 0.6:
            cv2.circle(image, (x, y), max(1, round(size)), colour, -1, cv2.LINE_AA)
        else:
            cv2.rectangle(image, (x, y), (round(x + size), round(y + rng.between(0.3, 2) * size)), colour, -1)
    return image
