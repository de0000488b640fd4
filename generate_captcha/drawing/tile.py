"""Patterns that are computed once and from which pictures take random pieces."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from generate_captcha.seeded_random import SeededRandom


class Tile:
    """A pattern, uint8 (height, width, …), that is repeated in both directions."""

    def __init__(self, pattern: NDArray[np.uint8]) -> None:
        self.height, self.width = pattern.shape[:2]
        # Repeated twice, so that a piece up to the size of the pattern is a slice.
        self._doubled = np.concatenate([np.concatenate([pattern, pattern])] * 2, axis=1)

    def cut(self, height: int, width: int, rng: SeededRandom) -> NDArray[np.uint8]:
        """Cut a piece from a random place: uint8 (height, width, …)."""
        top, left = rng.randbelow(self.height), rng.randbelow(self.width)
        if height <= self.height and width <= self.width:
            return self._doubled[top : top + height, left : left + width]
        rows, columns = np.arange(top, top + height) % self.height, np.arange(left, left + width) % self.width
        return self._doubled[rows[:, None], columns]
