"""Style `sheared`: bands of rows and columns are shifted, and letters lean."""

from __future__ import annotations

from generate_captcha.drawing import finishes, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Sheared(Family):
    LOOK = Look(
        effects=((1, letter_effects.solid), (1, letter_effects.skewed)),
        gap=(0, 0.35),
        rotation=(0, 15),
        shear=(0.1, 0.5),
        capital=(0.45, 0.75),
        contrast=(90, 240),
        own_colour=0.5,
        ink_colour=(0, 170),
        behind=((0.7, marks.line),),
        through=((0.5, marks.line),),
        over=((0.8, marks.line), (0.3, marks.specks)),
        thickness=(0.02, 0.1),
        warps=((0.7, warps.shifted_rows), (0.5, warps.waves), (0.5, warps.tilt)),
        finishes=((0.2, finishes.compressed), (0.1, finishes.palette)),
    )
