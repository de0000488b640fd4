"""Style `pixels`: letters of few pixels without grey edges, in small pictures."""

from __future__ import annotations

from generate_captcha.drawing import finishes, letter_effects, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Pixels(Family):
    LOOK = Look(
        effects=((2, letter_effects.solid), (1, letter_effects.pixelated)),
        sizes=(0, 0.3),
        own_font=0.5,
        own_colour=0.3,
        gap=(0.02, 0.5),
        slots=0.6,
        rotation=(0, 8),
        shear=(0, 0.2),
        rise=(0, 0.25),
        capital=(0.4, 0.75),
        behind=((0.7, marks.specks), (0.5, marks.line)),
        over=((0.6, marks.specks), (0.3, marks.line)),
        thickness=(0.02, 0.08),
        finishes=((0.3, finishes.palette), (0.15, finishes.binary)),
        smooth=0.1,
        frame=0.25,
        height=(22, 44),
    )
