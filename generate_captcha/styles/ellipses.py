"""Style `ellipses`: arcs, ellipses and circles around and across the letters."""

from __future__ import annotations

from generate_captcha.drawing import finishes, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Ellipses(Family):
    LOOK = Look(
        gap=(-0.05, 0.35),
        sizes=(0, 0.15),
        rotation=(0, 20),
        capital=(0.45, 0.75),
        own_colour=0.6,
        ink_colour=(20, 180),
        contrast=(60, 220),
        behind=((5, marks.arc), (3, marks.ring)),
        over=((2.5, marks.ring), (1, marks.arc)),
        through=((0.4, marks.curve),),
        thickness=(0.015, 0.05),
        finishes=((0.2, finishes.compressed), (0.2, finishes.palette)),
        smooth=0.8,
    )
