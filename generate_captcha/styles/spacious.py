"""Style `spacious`: small letters somewhere on a large picture, each in a colour of its own, also a faint one."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Spacious(Family):
    LOOK = Look(
        capital=(0.18, 0.5),
        margin=(0, 2),
        sizes=(0, 0.2),
        own_font=0.2,
        own_colour=0.7,
        colour_spread=0.9,
        gap=(0, 1.2),
        slots=0.4,
        rotation=(0, 30),
        rise=(0, 0.3),
        contrast=(40, 230),
        dark=0.1,
        ink_colour=(30, 220),
        ground_contrast=(0, 20),
        behind=((0.6, marks.line), (0.3, marks.specks)),
        over=((2, marks.line), (0.4, marks.specks), (0.3, marks.curve)),
        thickness=(0.02, 0.1),
        grounds=((5, grounds.plain), (1, grounds.gradient)),
        finishes=((0.2, finishes.compressed), (0.15, finishes.palette)),
        smooth=0.6,
        height=(36, 100),
    )
