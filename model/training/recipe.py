"""Defaults that depend on the corpus, so that training.py without flags suits 300 pictures and a million.

How they were found: docs/recipe.md.
"""

from __future__ import annotations

from model import model_file
from model.model_file import Card
from model.training import transfer
from parameter import RANDOM

#: Rows that the networks are made for: enough for the strokes of one line of text.
HEIGHT = 64

#: The shipped weights that trainings start from.
GENERAL = "captcha"

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


def learning_rate(preset: str, from_weights: bool) -> float:
    """Peak of the schedule; lower where there are weights to lose."""
    if preset == "base":
        return 1e-3
    return 1.5e-3 if from_weights else 2e-3


def start(card: Card) -> str:
    """The name of shipped weights that fit the network of `card`, or `random` when none do.

    They have seen strokes, noise and characters; a corpus of some hundred pictures has not enough of them.
    """
    shipped = model_file.SHIPPED / f"{GENERAL}.keras"
    if not shipped.is_file() or transfer.misfit(model_file.read_card(shipped), card):
        return RANDOM
    return GENERAL
