"""Style `curves`: thick curves in the colour of the ink run through the text, over small letters in light colours."""

from __future__ import annotations

from generate_captcha.drawing import finishes, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Curves(Family):
    LOOK = Look(
        sizes=(0, 0.2),
        own_font=0.2,
        own_colour=0.35,
        gap=(-0.05, 0.35),
        rotation=(0, 40),
        rise=(0, 0.2),
        capital=(0.4, 0.7),
        contrast=(80, 220),
        ink_colour=(0, 150),
        behind=((8, marks.small_letter), (0.5, marks.specks)),
        through=((1.2, marks.wave), (0.4, marks.curve)),
        over=((0.5, marks.wave), (0.3, marks.arc)),
        thickness=(0.04, 0.14),
        warps=((0.2, warps.waves),),
        finishes=((0.2, finishes.compressed), (0.1, finishes.palette)),
    )
