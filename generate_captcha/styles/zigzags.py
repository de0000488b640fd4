"""Style `zigzags`: broken lines and straight lines cross the letters."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Zigzags(Family):
    LOOK = Look(
        gap=(-0.05, 0.3),
        rotation=(0, 25),
        sizes=(0, 0.2),
        capital=(0.4, 0.75),
        contrast=(80, 230),
        own_colour=0.35,
        behind=((1.5, marks.line), (1, marks.zigzag)),
        through=((0.6, marks.zigzag), (0.5, marks.line)),
        over=((1, marks.zigzag), (1.2, marks.line)),
        thickness=(0.015, 0.08),
        grounds=((3, grounds.plain), (1, grounds.gradient), (1, grounds.stripes)),
        ground_contrast=(0, 40),
        finishes=((0.3, finishes.compressed),),
        smooth=0.7,
        frame=0.15,
    )
