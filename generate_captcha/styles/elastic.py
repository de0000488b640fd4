"""Style `elastic`: letters that are bent as if written by hand."""

from __future__ import annotations

from generate_captcha.drawing import finishes, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Elastic(Family):
    LOOK = Look(
        gap=(-0.12, 0.25),
        own_font=0.35,
        sizes=(0, 0.25),
        rotation=(0, 20),
        shear=(0, 0.4),
        rise=(0, 0.2),
        capital=(0.4, 0.7),
        contrast=(90, 240),
        own_colour=0.15,
        effects=((2, letter_effects.solid), (1, letter_effects.bold), (2, letter_effects.skewed)),
        through=((0.7, marks.curve),),
        over=((0.5, marks.curve), (0.3, marks.specks)),
        thickness=(0.02, 0.08),
        warps=((1, warps.elastic), (0.4, warps.waves), (0.3, warps.tilt)),
        finishes=((0.3, finishes.blur), (0.2, finishes.compressed)),
    )
