"""Style `shadowed`: letters with shadows, in relief, or shaken."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, letter_effects, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Shadowed(Family):
    LOOK = Look(
        effects=((3, letter_effects.solid), (1, letter_effects.shaken), (1, letter_effects.bold)),
        gap=(-0.12, 0.3),
        sizes=(0, 0.2),
        rotation=(0, 25),
        capital=(0.4, 0.7),
        contrast=(90, 240),
        own_colour=0.25,
        dark=0.15,
        shadow=0.95,
        ground_contrast=(0, 60),
        grounds=((3, grounds.plain), (2, grounds.gradient), (0.5, grounds.texture)),
        through=((0.4, marks.tapered_curve), (0.3, marks.line)),
        over=((0.6, marks.tapered_curve), (0.6, marks.line)),
        thickness=(0.02, 0.09),
        finishes=((0.3, finishes.compressed), (0.2, finishes.blur)),
        frame=0.2,
    )
