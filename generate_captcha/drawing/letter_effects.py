"""What captchas do to single letters, on masks: uint8 (height, width), the letter in the middle.

An effect takes a mask and the size of the letter in pixels per em. Results may be larger than the mask, by as much on
opposite sides.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TypeAlias

import cv2
import numpy as np

from generate_captcha.arrays import Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.grounds import stripe_levels
from generate_captcha.seeded_random import SeededRandom

Effect: TypeAlias = Callable[[Mask, float, SeededRandom], Mask]


def solid(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    return mask


def hollow(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Only the outline of the letter."""
    thickness = max(1, round(rng.between(0.025, 0.05) * em))
    inner = padded(mask, thickness)
    return cv2.subtract(cv2.dilate(inner, _disc(thickness)), inner)


def doubled(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """The outlines of two letters, one shifted against the other."""
    along, down = (round(rng.between(-0.1, 0.1) * em) for _ in range(2))
    outline = hollow(mask, em, rng)
    wide = padded(outline, max(abs(along), abs(down)) + 1)
    return np.maximum(wide, np.roll(wide, (down, along), (0, 1)))


def dotted(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Dots on a grid in place of strokes."""
    step = max(2, round(rng.between(0.06, 0.11) * em))
    rows, columns = (max(1, round(side / step)) for side in mask.shape)
    share = cv2.resize(mask, (columns, rows), interpolation=cv2.INTER_AREA)
    return np.kron((share > 90).astype(np.uint8), _dot(step, 7 + rng.randbelow(5)))


@functools.cache
def _dot(step: int, radius: int) -> Mask:
    """A disc in a square of `step` pixels: uint8 (step, step). `radius` is in twentieths of the step."""
    large = np.zeros((20 * step, 20 * step), np.uint8)
    cv2.circle(large, (10 * step, 10 * step), radius * step, 255, -1)
    return cv2.resize(large, (step, step), interpolation=cv2.INTER_AREA)


def rough(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Holes and notches, as of worn print."""
    texture = paint.texture(mask.shape[0], mask.shape[1], rng)
    # A letter keeps most of its ink, also where the texture is coarse.
    level = np.percentile(texture[mask > 127], rng.between(5, 30)) if (mask > 127).any() else 0
    return cv2.bitwise_and(mask, cv2.threshold(texture, float(level), 255, cv2.THRESH_BINARY)[1])


def striped(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Hatched."""
    levels = stripe_levels(mask.shape[0], mask.shape[1], max(3.0, rng.between(0.08, 0.16) * em), rng)
    return cv2.multiply(mask, cv2.addWeighted(levels, 0.75, levels, 0, 64), scale=1 / 255)


def pixelated(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """A letter of few large pixels."""
    rows = 10 + rng.randbelow(6)
    size = max(1, round(mask.shape[0] / rows))
    small = cv2.resize(
        mask, tuple(max(1, round(side / size)) for side in mask.shape[::-1]), interpolation=cv2.INTER_AREA
    )
    large = cv2.threshold(small, 80, 255, cv2.THRESH_BINARY)[1]
    return cv2.resize(large, None, fx=size, fy=size, interpolation=cv2.INTER_NEAREST)


def bold(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Thicker strokes."""
    thickness = max(1, round(rng.between(0.01, 0.04) * em))
    return cv2.dilate(padded(mask, thickness), _disc(thickness))


def shaken(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Two copies with a small shift."""
    along, down = (round(rng.between(-0.05, 0.05) * em) for _ in range(2))
    wide = padded(mask, max(abs(along), abs(down)) + 1)
    return np.maximum(wide, np.roll(wide, (down, along), (0, 1)))


def skewed(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Each corner moves by itself: perspective of a single letter."""
    height, width = mask.shape
    move = 0.16 * min(height, width)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    moved = corners + np.array([[rng.between(-move, move) for _ in range(2)] for _ in range(4)], np.float32)
    edge = math.ceil(move)
    matrix = cv2.getPerspectiveTransform(corners, moved + edge)
    return cv2.warpPerspective(mask, matrix, (width + 2 * edge, height + 2 * edge))


def padded(mask: Mask, pixels: int) -> Mask:
    """Add empty pixels on all sides."""
    return cv2.copyMakeBorder(mask, pixels, pixels, pixels, pixels, cv2.BORDER_CONSTANT, value=0)


def _disc(radius: int) -> Mask:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
