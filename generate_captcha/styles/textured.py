"""Style `textured`: paper, clouds, mosaics, blots and grain behind the letters."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Textured(Family):
    LOOK = Look(
        gap=(-0.05, 0.35),
        rotation=(0, 20),
        capital=(0.4, 0.75),
        contrast=(80, 230),
        dark=0.3,
        ground_contrast=(20, 110),
        ground_colour=(0, 80),
        grounds=(
            (3, grounds.texture),
            (2, grounds.grain),
            (2, grounds.blobs),
            (1, grounds.cells),
            (1, grounds.gradient),
        ),
        effects=((4, letter_effects.solid), (1, letter_effects.rough)),
        behind=((0.5, marks.line), (0.4, marks.arc)),
        over=((0.5, marks.line), (0.3, marks.specks)),
        thickness=(0.02, 0.07),
        shadow=0.15,
        warps=((0.15, warps.waves), (0.15, warps.tilt)),
        finishes=((0.4, finishes.compressed), (0.3, finishes.noisy), (0.3, finishes.blur)),
    )
