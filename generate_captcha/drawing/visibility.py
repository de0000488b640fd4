"""Check on the finished picture that the text is visible against its background."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.arrays import Image, Mask

#: Minimum contrast of the ink: in grey levels, and in standard deviations of the background.
MIN_CONTRAST, MIN_DEVIATIONS = 32.0, 1.5
#: The fraction of the minimum contrast that the upper and the lower part of letters need.
PART_CONTRAST = 0.3
#: Mask levels: above the first is ink, up to the second is background, those between are edges.
INK, BACKGROUND = 100, 16


def stands_out(
    image: Image, mask: Mask, em: float, min_contrast: float = MIN_CONTRAST, min_deviations: float = MIN_DEVIATIONS
) -> bool:
    """Whether the ink differs from the background around it, everywhere along the line.

    The line is divided into sections of one em, so that other letters do not hide one that is invisible, and the
    sections into rows of half an em.

    Arguments:
        image: uint8 (height, width, 3) in RGB order.
        mask: uint8 (height, width), the line's ink in the picture.
        em: size of the letters in pixels.
        min_contrast: minimum difference in grey levels.
        min_deviations: minimum difference in standard deviations of the background.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    reach = 2 * max(2, round(em / 10)) + 1
    ink = cv2.compare(mask, INK, cv2.CMP_GT)
    near = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    ring = cv2.compare(near, INK, cv2.CMP_GT)
    ring[mask > BACKGROUND] = 0
    rows = np.flatnonzero(ink.max(axis=1))
    if not len(rows):
        return False
    starts = np.arange(0, mask.shape[1], max(4, round(em)))
    bands = max(2, round(2 * len(rows) / em))
    edges = np.linspace(rows[0], rows[-1] + 1, bands + 1).round().astype(int)
    # The first and last band include the ring above and below.
    edges[[0, -1]] = 0, len(mask)
    # Letters of one or two pixels cannot be divided.
    if not np.diff(edges).all():
        return False
    # For each band of rows and section of columns: number of pixels, their sum and sum of squares, in ink and ring.
    of_ink, of_ring = (_sums(grey, where, edges, starts) for where in (ink, ring))
    for inks, rings, part, deviations in (
        (of_ink.sum(axis=0), of_ring.sum(axis=0), 1.0, min_deviations),
        (of_ink.swapaxes(0, 1), of_ring.swapaxes(0, 1), PART_CONTRAST, 0.0),
    ):
        # Sections with few pixels of ink are left out; their letters reach into the neighbouring ones.
        judged = (inks[0] >= 4) & (rings[0] >= 4)
        if not judged.any():
            judged = (inks[0] > 0) & (rings[0] > 0)
        ink_mean = inks[1][judged] / inks[0][judged]
        ring_mean = rings[1][judged] / rings[0][judged]
        deviation = np.sqrt(np.maximum(0, rings[2][judged] / rings[0][judged] - ring_mean**2))
        difference = np.abs(ink_mean - ring_mean)
        enough = (difference >= part * min_contrast) & (difference >= deviations * deviation)
        if not judged.any() or not enough.all():
            return False
    return True


def _sums(
    grey: NDArray[np.uint8], where: Mask, edges: NDArray[np.int64], starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return number, sum and sum of squares of the pixels of `where`: float64 (bands, 3, sections).

    Bands of rows are between `edges`, sections of columns begin at `starts`.
    """
    corners = np.ix_(edges, [*starts, where.shape[1]])
    total, squares = cv2.integral2(cv2.bitwise_and(grey, where))
    tables = cv2.integral(where)[corners] / 255, total[corners], squares[corners]
    return np.stack([np.diff(np.diff(table, axis=0), axis=1) for table in tables], axis=1)
