"""The smallest pictures with text: each character is a stripe at its own height."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

ALPHABET = "abcd"
WIDTH, HEIGHT = 48, 32


def striped(count: int, seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int32], list[str]]:
    """Images uint8 (count, 32, 48, 1), labels int32 (count, 4) padded with 0, texts of 2 to 4 characters."""
    rng = np.random.default_rng(seed)
    images = np.full((count, HEIGHT, WIDTH, 1), 255, np.uint8)
    labels = np.zeros((count, 4), np.int32)
    for image, label in zip(images, labels, strict=True):
        numbers = rng.integers(1, len(ALPHABET) + 1, rng.integers(2, 5))
        label[: len(numbers)] = numbers
        for place, number in enumerate(numbers):
            top = 8 * (number - 1)
            image[top : top + 6, 12 * place + 2 : 12 * place + 9] = 0
    texts = ["".join(ALPHABET[number - 1] for number in label if number) for label in labels]
    return images, labels, texts
