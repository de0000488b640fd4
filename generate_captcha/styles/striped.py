"""Style `striped`: hatched and worn letters, under scratches."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, letter_effects, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Striped(Family):
    LOOK = Look(
        effects=((2, letter_effects.striped), (2, letter_effects.rough), (1, letter_effects.solid)),
        gap=(0, 0.35),
        rotation=(0, 20),
        capital=(0.5, 0.8),
        contrast=(110, 240),
        dark=0.2,
        grounds=((2, grounds.plain), (1, grounds.stripes), (1, grounds.gradient)),
        ground_contrast=(0, 40),
        over=((0.8, marks.scratches), (0.6, marks.line)),
        behind=((0.5, marks.scratches),),
        thickness=(0.015, 0.05),
        finishes=((0.2, finishes.compressed), (0.15, finishes.noisy), (0.15, finishes.embossed)),
    )
