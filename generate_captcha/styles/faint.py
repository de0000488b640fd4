"""Style `faint`: letters that hardly differ from a background in changing colours."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Faint(Family):
    LOOK = Look(
        sizes=(0, 0.45),
        own_font=0.3,
        own_colour=0.2,
        gap=(0, 0.5),
        slots=0.4,
        rotation=(0, 15),
        rise=(0, 0.3),
        capital=(0.35, 0.85),
        dark=0.25,
        contrast=(32, 90),
        ink_colour=(0, 60),
        ground_colour=(0, 70),
        ground_contrast=(20, 90),
        grounds=((1, grounds.plain), (4, grounds.gradient), (1, grounds.texture)),
        behind=((0.5, marks.specks), (0.5, marks.arc)),
        over=((0.4, marks.line),),
        thickness=(0.015, 0.05),
        finishes=((0.4, finishes.compressed), (0.3, finishes.noisy), (0.2, finishes.blur)),
        smooth=0.7,
        height=(24, 70),
    )
