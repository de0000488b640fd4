"""Defaults that depend on the corpus, so that training.py without flags suits 300 pictures and a million.

How they were found: docs/recipe.md.
"""

from __future__ import annotations

#: Rows that the networks are made for: enough for the strokes of one line of text.
HEIGHT = 64

#: A column of the networks' output is so many pixels wide (their backbones shrink the width by this).
PIXELS_PER_STEP = 4


def size(aspect: float, steps_needed: int) -> tuple[int, int]:
    """Width and height for pictures of a median `aspect` (width / height) and labels that need so many steps.

    The width follows the pictures, within limits: narrower ones have too few columns to tell
    neighbours apart, wider ones cost time in proportion. Twice the steps that the longest label needs
    is what CTC reads comfortably, with a blank between any two characters.
    """
    width = min(max(aspect * HEIGHT, 128), 192)
    width = max(width, 2 * steps_needed * PIXELS_PER_STEP)
    return 8 * -(-int(width) // 8), HEIGHT


def epochs(pictures: int) -> int:
    """Passes over a corpus at the most: many over a small one, few over a large one, more steps for the larger."""
    return max(3, round(120 * (1000 / pictures) ** 0.5))


def batch_size(pictures: int) -> int:
    """Small batches for small corpora, which otherwise see too few steps."""
    return 32 if pictures < 5_000 else 64


def learning_rate(preset: str) -> float:
    """Peak of the schedule."""
    return 3e-3 if preset == "small" else 1e-3
