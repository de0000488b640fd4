"""Effects of printing on the ink of a line: stroke weight, dots, faint rows and columns.

`em` is the size of the letters in pixels; `difficulty`, from 0 to 1, raises probability and strength of the effects.
"""

from __future__ import annotations

import cv2
import numpy as np

from generate_captcha.arrays import Mask
from generate_captcha.seeded_random import SeededRandom

#: Minimum size in pixels of letters that may become thinner, and of letters whose weight changes more.
MIN_THINNED_EM, MIN_LARGE_EM = 24, 30
#: Rows of dots per em that letters of a dot matrix need.
DOTS_PER_EM = 10
#: Maximum difference between the printed dots and the ink, as a fraction of the ink.
MAX_DOT_LOSS = 0.55


def move(mask: Mask, left: int, top: int, size: tuple[int, int]) -> Mask:
    """Copy `mask` into an empty mask of `size` (width, height), its corner at (left, top)."""
    moved = np.zeros(size[::-1], np.uint8)
    x, y = max(0, left), max(0, top)
    part = mask[y - top : max(0, size[1] - top), x - left : max(0, size[0] - left)]
    moved[y : y + part.shape[0], x : x + part.shape[1]] = part
    return moved


def change_weight(mask: Mask, em: float, difficulty: float, rng: SeededRandom) -> Mask:
    """Sometimes make strokes thicker or, if letters are large enough, thinner."""
    if rng.random() > 0.3 * difficulty:
        return mask
    thicker = rng.random() < 0.6
    if not thicker and em < MIN_THINNED_EM:
        return mask
    kernel = np.ones((2, 2) if em < MIN_LARGE_EM else (3, 3), np.uint8)
    changed = (cv2.dilate if thicker else cv2.erode)(mask, kernel)
    share = rng.between(0.2, 0.8 if thicker else 0.5)
    return cv2.addWeighted(mask, 1 - share, changed, share, 0)


def dot_matrix(mask: Mask, em: float, difficulty: float, rng: SeededRandom) -> Mask:
    """Sometimes print the ink in few dots, touching or not, as receipt printers do."""
    size = min(3, int(em / DOTS_PER_EM))
    if size < 2 or rng.random() > 0.5 * difficulty:
        return mask
    size = 2 + rng.randbelow(size - 1)
    height, width = mask.shape
    cells = cv2.resize(mask, (-(-width // size), -(-height // size)), interpolation=cv2.INTER_AREA)
    dots = cv2.threshold(cells, rng.between(70, 130), 255, cv2.THRESH_BINARY)[1]
    if rng.random() < 0.5:
        printed = cv2.resize(dots, (dots.shape[1] * size, dots.shape[0] * size), interpolation=cv2.INTER_LINEAR)
    else:
        # Dots are fainter where they meet their neighbours.
        dot = np.full((size, size), 1 - rng.between(0.1, 0.6))
        dot[: size - 1, : size - 1] = 1
        printed = (np.kron(dots, np.ones((size, size), np.uint8)) * np.tile(dot, dots.shape)).astype(np.uint8)
    printed = printed[:height, :width]
    # Thin or dense strokes would be lost.
    return printed if cv2.norm(printed, mask, cv2.NORM_L1) < MAX_DOT_LOSS * cv2.norm(mask, cv2.NORM_L1) else mask


def faint_lines(mask: Mask, em: float, rng: SeededRandom) -> Mask:
    """Make some rows or some columns faint, as a printer does whose head does not heat or strike evenly."""
    rows = rng.random() < 0.5
    count = len(mask) if rows else mask.shape[1]
    share = np.ones(count)
    for _ in range(1 + rng.randbelow(max(1, round(2 * count / em)))):
        first = rng.randbelow(count)
        share[first : first + max(1, round(em * rng.between(0.02, 0.08)))] = rng.between(0.2, 0.7)
    return (mask * (share[:, None] if rows else share)).astype(np.uint8)
