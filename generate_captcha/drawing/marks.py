"""Marks that captchas draw behind, through and over their letters.

A mark draws itself once on a canvas, uint8 (height, width, channels), in place, with a :class:`Pen`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.arrays import Image, Mask
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text.glyphs import paste, rotate

#: OpenCV draws at fractions of a pixel, given as integers with this many fractional bits.
BITS = 4


@dataclass(frozen=True)
class Pen:
    """What a mark is drawn with."""

    #: Returns the colour of the next stroke, one number per channel.
    colour: Callable[[], tuple[float, ...]]
    #: Width of the stroke, and height of the capitals of the text, in pixels.
    thickness: float
    capital: float
    #: Whether edges are anti-aliased.
    smooth: bool
    #: Upper and lower edge of the text, in pixels from the top.
    top: float
    bottom: float
    #: Draws a random letter at a size in pixels per em.
    letter: Callable[[int], Mask]

    @property
    def pixels(self) -> int:
        return max(1, round(self.thickness))

    @property
    def line_type(self) -> int:
        return cv2.LINE_AA if self.smooth else cv2.LINE_8


Mark: TypeAlias = Callable[[Image, Pen, SeededRandom], None]


def line(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A straight line, mostly from one side to the other."""
    height, width = canvas.shape[:2]
    if rng.random() < 0.6:
        ends = [(rng.between(-0.05, 0.3) * width, rng.random() * height)]
        ends += [(rng.between(0.7, 1.05) * width, rng.random() * height)]
    else:
        ends = [(rng.random() * width, rng.random() * height) for _ in range(2)]
    _stroke(canvas, np.array(ends), pen)


def short_line(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A straight line of about the length of a letter."""
    height, width = canvas.shape[:2]
    x, y, angle = rng.random() * width, rng.random() * height, rng.between(0, 2 * math.pi)
    length = rng.between(0.15, 1.2) * pen.capital
    _stroke(canvas, np.array([(x, y), (x + length * math.cos(angle), y + length * math.sin(angle))]), pen)


def curve(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A cubic Bézier curve from one side to the other."""
    _stroke(canvas, _bezier(canvas.shape, rng), pen)


def wave(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A sine wave through the text."""
    _stroke(canvas, _wave(canvas.shape[1], pen, rng), pen)


def dotted_wave(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A sine wave of dots through the text."""
    colour, radius = pen.colour(), max(8, round(rng.between(0.3, 0.7) * pen.thickness * 2**BITS))
    path = _wave(canvas.shape[1], pen, rng)
    lengths = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    places = np.arange(0.0, lengths[-1], max(2.0, rng.between(0.7, 1.4) * pen.thickness))
    for x, y in zip(np.interp(places, lengths, path[:, 0]), np.interp(places, lengths, path[:, 1]), strict=True):
        cv2.circle(canvas, _fixed(x, y), radius, colour, -1, pen.line_type, BITS)


def _wave(width: int, pen: Pen, rng: SeededRandom) -> NDArray[np.float64]:
    middle = rng.between(pen.top, pen.bottom)
    amplitude = rng.between(0.1, 0.6) * (pen.bottom - pen.top)
    period, phase = rng.between(1.2, 8) * pen.capital, rng.between(0, 2 * math.pi)
    first, last = rng.between(-0.05, 0.15) * width, rng.between(0.85, 1.05) * width
    x = np.linspace(first, last, max(12, round(12 * (last - first) / pen.capital)))
    drift = rng.between(-0.3, 0.3) * (pen.bottom - pen.top) / width
    y = middle + amplitude * np.sin(2 * math.pi / period * x + phase) + drift * (x - width / 2)
    return np.stack([x, y], axis=1)


def zigzag(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A broken line from one side to the other."""
    height, width = canvas.shape[:2]
    corners = 3 + rng.randbelow(6)
    x = np.linspace(-0.02 * width, 1.02 * width, corners)
    _stroke(canvas, np.stack([x, [rng.between(0.05, 0.95) * height for _ in range(corners)]], axis=1), pen)


def arc(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A part of an ellipse, often a large one."""
    height, width = canvas.shape[:2]
    centre = rng.random() * width, rng.between(-0.2, 1.2) * height
    axes = rng.between(0.3, 2.5) * pen.capital, rng.between(0.3, 1.5) * pen.capital
    start = rng.between(0, 360)
    extent = 360.0 if rng.random() < 0.3 else rng.between(40, 300)
    cv2.ellipse(
        canvas, _fixed(*centre), _fixed(*axes), rng.between(0, 180), start, start + extent, pen.colour(), pen.pixels,
        pen.line_type, BITS,
    )  # fmt: skip


def ring(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """The outline of a small circle."""
    height, width = canvas.shape[:2]
    radius = round(rng.between(0.08, 0.5) * pen.capital * 2**BITS)
    centre = _fixed(rng.random() * width, rng.random() * height)
    cv2.circle(canvas, centre, max(8, radius), pen.colour(), pen.pixels, pen.line_type, BITS)


def disc(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A filled circle, from a dot to the width of a stroke."""
    height, width = canvas.shape[:2]
    radius = round(rng.between(0.5, 1.3) * pen.thickness * 2**BITS)
    centre = _fixed(rng.random() * width, rng.random() * height)
    cv2.circle(canvas, centre, max(8, radius), pen.colour(), -1, pen.line_type, BITS)


def specks(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A sprinkle of equal dots of one to three pixels, in up to four colours."""
    height, width = canvas.shape[:2]
    size = max(1, min(3, round(rng.between(0.3, 1) * pen.thickness)))
    count = max(1, round(rng.between(0.2, 1) * 0.02 * height * width / size**2))
    places = rng.random_bytes(4 * count).view(np.uint16).reshape(count, 2).astype(np.uint32)
    rows, columns = places[:, 0] * height >> 16, places[:, 1] * width >> 16
    for part in range(4):
        colour = pen.colour()
        for down in range(size):
            for along in range(size):
                y, x = rows[part::4] + down, columns[part::4] + along
                inside = (y < height) & (x < width)
                canvas[y[inside], x[inside]] = colour


def grid(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """Parallel lines at equal distances, often crossed by others."""
    height, width = canvas.shape[:2]
    colour, angle = pen.colour(), 0.0 if rng.random() < 0.6 else rng.between(0, math.pi)
    reach, crossed = math.hypot(height, width), rng.random() < 0.7
    for turn in (angle, angle + math.pi / 2) if crossed else (angle + rng.choice((0, math.pi / 2)),):
        step = rng.between(0.25, 1.0) * pen.capital
        along = np.array([math.cos(turn), math.sin(turn)])
        across = np.array([-along[1], along[0]])
        place = rng.random() * step - reach / 2
        while place < reach / 2:
            middle = np.array([width / 2, height / 2]) + place * across
            _stroke(canvas, np.array([middle - reach * along, middle + reach * along]), pen, colour)
            place += step


def negative(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A large disc or box in which colours are inverted."""
    height, width = canvas.shape[:2]
    size = rng.between(0.4, 1.0) * pen.capital
    x, y = rng.random() * width, rng.between(pen.top, pen.bottom)
    inside = np.zeros((height, width), np.uint8)
    if rng.random() < 0.6:
        cv2.circle(inside, _fixed(x, y), round(size * 2**BITS), 255, -1, cv2.LINE_8, BITS)
    else:
        cv2.rectangle(inside, _fixed(x - size, 0), _fixed(x + size, height), 255, -1, cv2.LINE_8, BITS)
    canvas[inside > 0] = 255 - canvas[inside > 0]


def tapered_curve(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A curve whose width changes along it."""
    path, colour = _bezier(canvas.shape, rng), pen.colour()
    middle = rng.between(0.2, 0.8)
    for place, (start, end) in enumerate(itertools.pairwise(path)):
        share = max(0.2, 1 - abs(place / len(path) - middle) * 1.5)
        pixels = max(1, round(1.5 * share * pen.thickness))
        cv2.line(canvas, _fixed(*start), _fixed(*end), colour, pixels, pen.line_type, BITS)


def scratches(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """Many parallel short lines."""
    height, width = canvas.shape[:2]
    angle = rng.between(0, math.pi)
    for _ in range(6 + rng.randbelow(10)):
        x, y, length = rng.random() * width, rng.random() * height, rng.between(0.2, 0.9) * pen.capital
        turn = angle + rng.between(-0.15, 0.15)
        _stroke(canvas, np.array([(x, y), (x + length * math.cos(turn), y + length * math.sin(turn))]), pen)


def box(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """The outline of a rectangle."""
    height, width = canvas.shape[:2]
    x, y = rng.between(-0.1, 0.9) * width, rng.between(-0.2, 0.9) * height
    right, bottom = x + rng.between(0.3, 2) * pen.capital, y + rng.between(0.3, 1.2) * pen.capital
    _stroke(canvas, np.array([(x, y), (right, y), (right, bottom), (x, bottom), (x, y)]), pen)


def small_letter(canvas: Image, pen: Pen, rng: SeededRandom) -> None:
    """A letter that is too small to be one of the text."""
    height, width = canvas.shape[:2]
    # Few sizes, so that most letters are in the cache.
    mask = pen.letter(max(5, 2 * round(rng.between(0.14, 0.3) * pen.capital)))
    if not mask.size:
        return
    if rng.random() < 0.5:
        mask = rotate(mask, rng.between(-40, 40), 0.0)
    x, y = rng.randbelow(width) - mask.shape[1] // 2, rng.randbelow(height) - mask.shape[0] // 2
    paste(canvas, mask, x, y, tuple(map(round, pen.colour())))


def _bezier(shape: tuple[int, ...], rng: SeededRandom) -> NDArray[np.float64]:
    """Points on a cubic Bézier curve from the left to the right, float64 (24, 2)."""
    height, width = shape[:2]
    points = np.array(
        [
            ((share + rng.between(-0.15, 0.15)) * width, rng.between(-0.2, 1.2) * height)
            for share in (-0.02, 0.33, 0.67, 1.02)
        ]
    )
    t = np.linspace(0, 1, 24)[:, None]
    path: NDArray[np.float64] = (1 - t) ** 3 * points[0] + 3 * (1 - t) ** 2 * t * points[1]
    path += 3 * (1 - t) * t**2 * points[2] + t**3 * points[3]
    return path


def _stroke(canvas: Image, points: NDArray[np.float64], pen: Pen, colour: tuple[float, ...] | None = None) -> None:
    fixed = np.rint(points * 2**BITS).astype(np.int32)
    cv2.polylines(canvas, [fixed], False, colour or pen.colour(), pen.pixels, pen.line_type, BITS)


def _fixed(x: float, y: float) -> tuple[int, int]:
    return round(x * 2**BITS), round(y * 2**BITS)
