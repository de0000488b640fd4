"""Can the text be seen? Measured on the finished picture, along the ink that went into it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.style import Image

#: Grey levels, and multiples of the ground's own standard deviation, that ink must stand out by.
LEVELS, DEVIATIONS = 32.0, 1.5
#: Ink this thin or faint is taken for an edge.
INK, NONE = 100, 16


def stands_out(image: Image, mask: NDArray[np.uint8], em: float, levels: float = LEVELS) -> bool:
    """Whether the ink of `mask` differs from the ground around it, all along the line.

    `image` is uint8 (height, width, 3), `mask` uint8 (height, width): the line's ink as it lies in the picture,
    `em` pixels tall; `levels` are the grey levels that it must stand out by. The line is judged in stretches of an
    em, so that one letter that melts into its ground is not hidden by the others.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    reach = 2 * max(2, round(em / 10)) + 1
    ink = cv2.compare(mask, INK, cv2.CMP_GT)
    near = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    ring = cv2.compare(near, INK, cv2.CMP_GT)
    ring[mask > NONE] = 0
    starts = np.arange(0, mask.shape[1], max(4, round(em)))
    sums = []
    for where in (ink, ring):
        part = cv2.bitwise_and(grey, where)
        columns = np.concatenate(
            [
                cv2.reduce(where, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F) / 255,
                cv2.reduce(part, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F),
                cv2.reduce(part, 0, cv2.REDUCE_SUM2, dtype=cv2.CV_32F),
            ]
        )
        sums.append(np.add.reduceat(columns, starts, axis=1))
    (ink_size, ink_sum, _), (ring_size, ring_sum, ring_squares) = sums
    if not ink_size.any():
        return False
    # A stretch with a few pixels of ink is judged with its neighbours' letters, not alone.
    judged = (ink_size >= 4) & (ring_size >= 4)
    if not judged.any():
        judged = (ink_size > 0) & (ring_size > 0)
    ink_mean = ink_sum[judged] / ink_size[judged]
    ring_mean = ring_sum[judged] / ring_size[judged]
    deviation = np.sqrt(np.maximum(0, ring_squares[judged] / ring_size[judged] - ring_mean**2))
    difference = np.abs(ink_mean - ring_mean)
    return bool(judged.any() and (difference >= levels).all() and (difference >= DEVIATIONS * deviation).all())
