"""Style `wavy`: rows and columns are bent by sine waves."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Wavy(Family):
    LOOK = Look(
        gap=(-0.15, 0.25),
        rotation=(0, 15),
        capital=(0.4, 0.7),
        contrast=(80, 240),
        own_colour=0.15,
        own_font=0.15,
        grounds=((3, grounds.plain), (1, grounds.gradient), (0.5, grounds.grain)),
        behind=((1.2, marks.line), (0.5, marks.specks), (0.5, marks.curve)),
        through=((1, marks.line), (0.5, marks.curve)),
        over=((0.5, marks.curve), (0.3, marks.specks)),
        thickness=(0.02, 0.09),
        warps=((1, warps.waves), (0.5, warps.waves), (0.2, warps.tilt)),
        finishes=((0.3, finishes.compressed), (0.2, finishes.blur)),
    )
