"""Style `gridded`: lattices and chessboards behind or over the letters."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Gridded(Family):
    LOOK = Look(
        gap=(-0.05, 0.3),
        rotation=(0, 20),
        capital=(0.4, 0.75),
        contrast=(90, 230),
        ground_contrast=(15, 90),
        dark=0.25,
        grounds=((1, grounds.plain), (3, grounds.cells), (1, grounds.stripes)),
        behind=((0.9, marks.grid), (0.5, marks.box)),
        over=((0.6, marks.grid),),
        thickness=(0.01, 0.05),
        warps=((0.3, warps.waves), (0.2, warps.tilt)),
        finishes=((0.3, finishes.compressed), (0.1, finishes.palette)),
        smooth=0.7,
    )
