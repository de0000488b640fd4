"""Random numbers that depend only on a seed."""

from __future__ import annotations

import bisect
import itertools
import random
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")


class SeededRandom(random.Random):
    """Random numbers for one picture, with the three functions of `secrets` that the package `captcha` calls.

    All methods use only `random()` and `getrandbits()`, whose sequences Python promises to keep from version to
    version. `randrange`, `choice` and `shuffle` carry no such promise, so `choice` is overridden.
    """

    def randbelow(self, end: int) -> int:
        """Return an integer from 0 to end - 1."""
        return int(self.random() * end)

    def randbits(self, bits: int) -> int:
        """Return an integer from 0 to 2**bits - 1."""
        return self.getrandbits(bits)

    def choice(self, items: Sequence[Item]) -> Item:  # type: ignore[override]  # no wider than needed
        """Return one of `items`, all equally likely."""
        return items[int(self.random() * len(items))]

    def between(self, low: float, high: float) -> float:
        """Return a number from `low` to `high`, uniformly distributed."""
        return low + (high - low) * self.random()

    def round_randomly(self, number: float) -> int:
        """Round up or down so that the mean is `number`: 1.25 becomes 1 with probability 0.75, else 2."""
        return int(number + self.random()) if number % 1 else int(number)

    def random_bytes(self, count: int) -> NDArray[np.uint8]:
        """Return `count` integers from 0 to 255, uint8 (count,)."""
        return np.frombuffer(self.getrandbits(8 * count).to_bytes(count, "little"), np.uint8)

    def pick(self, weighted: Sequence[tuple[float, Item]]) -> Item:
        """Return one of the items of pairs (weight, item), with a probability in proportion to its weight."""
        shares = list(itertools.accumulate(weight for weight, _ in weighted))
        return weighted[min(bisect.bisect_right(shares, self.random() * shares[-1]), len(weighted) - 1)][1]
