"""Style `simple`: letters of one font and colour, some turned a little, with few dots or lines."""

from __future__ import annotations

from generate_captcha.drawing import finishes, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Simple(Family):
    LOOK = Look(
        sizes=(0, 0.08),
        own_font=0.05,
        own_colour=0.1,
        gap=(0.0, 0.4),
        rotation=(0, 10),
        shear=(0, 0.1),
        rise=(0, 0.08),
        capital=(0.4, 0.8),
        ground_contrast=(0, 15),
        dark=0.1,
        behind=((0.8, marks.specks), (1.2, marks.line)),
        over=((0.5, marks.line), (0.4, marks.specks)),
        finishes=((0.3, finishes.compressed), (0.1, finishes.palette)),
        smooth=0.7,
        frame=0.2,
        height=(20, 70),
    )
