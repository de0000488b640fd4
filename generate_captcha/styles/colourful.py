"""Style `colourful`: each letter has a font, a colour, a size and an angle of its own."""

from __future__ import annotations

from generate_captcha.drawing import finishes, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Colourful(Family):
    LOOK = Look(
        sizes=(0.05, 0.3),
        own_font=0.8,
        own_colour=1,
        gap=(-0.05, 0.8),
        slots=0.5,
        rotation=(5, 40),
        shear=(0, 0.3),
        rise=(0, 0.35),
        capital=(0.35, 0.7),
        dark=0.05,
        ink_colour=(40, 200),
        contrast=(45, 220),
        shaded=0.2,
        behind=((2, marks.line), (1, marks.specks)),
        through=((0.3, marks.curve),),
        over=((2, marks.line), (0.7, marks.specks), (0.4, marks.arc)),
        thickness=(0.015, 0.06),
        finishes=((0.2, finishes.compressed), (0.1, finishes.palette)),
    )
