"""Warps of captchas: how far each pixel of the result lies from its source, in pixels.

A warp takes the size of the picture, the height of its capitals and a strength from 0 to 1. It returns two arrays,
along x and along y, float32 and broadcastable to (height, width). :func:`displace` applies the sum of several warps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.arrays import Image
from generate_captcha.seeded_random import SeededRandom

Floats: TypeAlias = NDArray[np.float32]
Warp: TypeAlias = Callable[[int, int, float, float, SeededRandom], tuple[Floats, Floats]]


def displace(image: Image, along: Floats, down: Floats) -> Image:
    """Take each pixel from (x + along, y + down) in `image`. Pixels outside repeat those at the border."""
    height, width = image.shape[:2]
    x = np.broadcast_to(np.arange(width, dtype=np.float32) + along, (height, width))
    y = np.broadcast_to(np.arange(height, dtype=np.float32)[:, None] + down, (height, width))
    return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def waves(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """Columns move up and down and rows to the sides, by one or two sine waves each."""

    def shifts(count: int, amplitude: float) -> Floats:
        place = np.arange(count, dtype=np.float32)
        total = np.zeros(count, np.float32)
        for _ in range(1 + rng.randbelow(2)):
            period, phase = rng.between(0.8, 4) * capital, rng.between(0, 2 * math.pi)
            # A short wave bends strokes as much as a long one of a larger amplitude.
            size = rng.between(0.3, 1) * amplitude * min(1.0, period / (2 * capital))
            total += size * np.sin(2 * math.pi / period * place + phase, dtype=np.float32)
        return total

    down = shifts(width, 0.16 * capital * strength)
    along = shifts(height, 0.12 * capital * strength) if rng.random() < 0.7 else np.zeros(height, np.float32)
    return along[:, None], down[None]


def swirl(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """The picture turns around a point, most at the point itself."""
    x, y, distance = _around(height, width, rng)
    radius = rng.between(0.8, 1.6) * max(height, 0.5 * width)
    angle = rng.between(-1, 1) * 0.9 * strength * np.maximum(0, 1 - distance / radius) ** 2
    sine, cosine = np.sin(angle), np.cos(angle)
    return cosine * x - sine * y - x, sine * x + cosine * y - y


def lens(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """The picture is enlarged or reduced around a point, as a fisheye lens does."""
    x, y, distance = _around(height, width, rng)
    radius = rng.between(0.7, 1.5) * height
    power = rng.between(-0.5, 0.7) * strength * np.maximum(0, 1 - distance / radius)
    return -power * x, -power * y


def ripples(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """Rings around a point move inwards and outwards, as on water."""
    x, y, distance = _around(height, width, rng)
    period, phase = rng.between(0.8, 2.5) * capital, rng.between(0, 2 * math.pi)
    size = rng.between(0.4, 1) * 0.09 * strength * min(capital, period)
    move = size * np.sin(2 * math.pi / period * distance + phase) / np.maximum(1, distance)
    return move * x, move * y


def elastic(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """Every part moves a little in a direction of its own, and smoothly (Simard et al. 2003)."""
    cell = max(3.0, rng.between(0.35, 1.0) * capital)
    rows, columns = math.ceil(height / cell) + 2, math.ceil(width / cell) + 2
    coarse = rng.random_bytes(2 * rows * columns).reshape(rows, columns, 2).astype(np.float32) / 127.5 - 1
    fine = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    fine *= 0.22 * strength * cell
    return fine[..., 0], fine[..., 1]


def tilt(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """Rotation, shear and perspective of the whole picture."""
    x, y = _centred(width), _centred(height)[:, None]
    turn = np.float32(rng.between(-1, 1) * strength * min(0.3, 0.9 * height / width))
    shear, near, far = (np.float32(rng.between(-0.4, 0.4) * strength) for _ in range(3))
    depth = 1 + near / np.float32(width) * x + far / np.float32(2 * height) * y
    return ((x + (shear - turn) * y) / depth - x).astype(np.float32), ((y + turn * x) / depth - y).astype(np.float32)


def shifted_rows(height: int, width: int, capital: float, strength: float, rng: SeededRandom) -> tuple[Floats, Floats]:
    """Bands of rows, or of columns, jump to one side."""
    rows = rng.random() < 0.6
    count = height if rows else width
    shift, place = np.zeros(count, np.float32), 0
    while place < count:
        length = max(2, round(rng.between(0.15, 0.7) * capital))
        shift[place : place + length] = rng.between(-0.11, 0.11) * strength * capital
        place += length
    none = np.zeros((1, 1), np.float32)
    return (shift[:, None], none) if rows else (none, shift[None])


def _centred(count: int) -> Floats:
    return np.arange(count, dtype=np.float32) - np.float32((count - 1) / 2)


def _around(height: int, width: int, rng: SeededRandom) -> tuple[Floats, Floats, Floats]:
    """Coordinates relative to a random point near the middle, and the distance from it."""
    x = np.arange(width, dtype=np.float32)[None] - np.float32(rng.between(0.25, 0.75) * width)
    y = np.arange(height, dtype=np.float32)[:, None] - np.float32(rng.between(0.3, 0.7) * height)
    return x, y, np.sqrt(x * x + y * y)
