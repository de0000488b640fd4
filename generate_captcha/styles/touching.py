"""Style `touching`: bold letters that overlap, under strokes as thick as theirs."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Touching(Family):
    LOOK = Look(
        effects=((1, letter_effects.solid), (1, letter_effects.bold)),
        sizes=(0, 0.25),
        own_font=0.3,
        own_colour=0.05,
        gap=(-0.28, -0.02),
        slots=0.05,
        rotation=(0, 25),
        shear=(0, 0.3),
        rise=(0, 0.12),
        capital=(0.45, 0.75),
        dark=0.08,
        contrast=(120, 240),
        ink_colour=(0, 60),
        ground_contrast=(0, 60),
        grounds=((3, grounds.plain), (2, grounds.gradient)),
        through=((0.7, marks.curve), (0.4, marks.line)),
        over=((0.6, marks.curve), (0.5, marks.line)),
        thickness=(0.03, 0.13),
        shadow=0.3,
        warps=((0.3, warps.waves), (0.2, warps.elastic)),
        finishes=((0.4, finishes.blur), (0.2, finishes.compressed)),
        frame=0.2,
    )
