"""Can the text be seen? Measured on the finished picture, along the ink that went into it."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.style import Image

#: Grey levels, and multiples of the ground's own standard deviation, that ink must stand out by.
LEVELS, DEVIATIONS = 32.0, 1.5
#: The part of those levels that is asked of every half of a letter.
HALF = 0.3
#: Ink this thin or faint is taken for an edge.
INK, NONE = 100, 16


def stands_out(image: Image, mask: NDArray[np.uint8], em: float, levels: float = LEVELS) -> bool:
    """Whether the ink of `mask` differs from the ground around it, all along the line.

    `image` is uint8 (height, width, 3), `mask` uint8 (height, width): the line's ink as it lies in the picture,
    `em` pixels tall; `levels` are the grey levels that it must stand out by. The line is judged in stretches of an
    em, so that one letter that melts into its ground is not hidden by the others, and these in upper and lower halves.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    reach = 2 * max(2, round(em / 10)) + 1
    ink = cv2.compare(mask, INK, cv2.CMP_GT)
    near = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    ring = cv2.compare(near, INK, cv2.CMP_GT)
    ring[mask > NONE] = 0
    rows = np.flatnonzero(ink.max(axis=1))
    if not len(rows):
        return False
    starts = np.arange(0, mask.shape[1], max(4, round(em)))
    bands = max(2, round(2 * len(rows) / em))
    edges = np.linspace(rows[0], rows[-1] + 1, bands + 1).round().astype(int)
    # With the ring above and below.
    edges[[0, -1]] = 0, len(mask)
    # Letters of a pixel or two have no halves.
    if not np.diff(edges).all():
        return False
    # Of each band of rows and stretch of columns: pixels, their sum and the sum of their squares, of ink and of ring.
    of_ink, of_ring = (
        np.stack([_sums(grey[low:high], where[low:high], starts) for low, high in itertools.pairwise(edges)])
        for where in (ink, ring)
    )
    for inks, rings, part, deviations in (
        (of_ink.sum(axis=0), of_ring.sum(axis=0), 1.0, DEVIATIONS),
        (of_ink.swapaxes(0, 1), of_ring.swapaxes(0, 1), HALF, 0.0),
    ):
        # Where there are few pixels of ink, the neighbours' letters are judged.
        judged = (inks[0] >= 4) & (rings[0] >= 4)
        if not judged.any():
            judged = (inks[0] > 0) & (rings[0] > 0)
        ink_mean = inks[1][judged] / inks[0][judged]
        ring_mean = rings[1][judged] / rings[0][judged]
        deviation = np.sqrt(np.maximum(0, rings[2][judged] / rings[0][judged] - ring_mean**2))
        difference = np.abs(ink_mean - ring_mean)
        enough = (difference >= part * levels) & (difference >= deviations * deviation)
        if not judged.any() or not enough.all():
            return False
    return True


def _sums(grey: NDArray[np.uint8], where: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Pixels of `where`, and the sums of their levels and of the squares of these, in the stretches that begin at
    `starts`: float32 (3, stretches).
    """
    part = cv2.bitwise_and(grey, where)
    columns = np.concatenate(
        [
            cv2.reduce(where, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F) / 255,
            cv2.reduce(part, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F),
            cv2.reduce(part, 0, cv2.REDUCE_SUM2, dtype=cv2.CV_32F),
        ]
    )
    return np.add.reduceat(columns, starts, axis=1)
