"""Style `speckled`: hundreds of dots and flecks of noise."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Speckled(Family):
    LOOK = Look(
        gap=(-0.05, 0.35),
        rotation=(0, 20),
        shear=(0, 0.3),
        capital=(0.45, 0.8),
        contrast=(90, 240),
        own_colour=0.3,
        grounds=((2, grounds.plain), (2, grounds.grain)),
        ground_contrast=(0, 90),
        behind=((1.5, marks.specks),),
        over=((1.8, marks.specks), (0.7, marks.line)),
        thickness=(0.02, 0.12),
        warps=((0.2, warps.waves),),
        finishes=((0.4, finishes.flecked), (0.3, finishes.noisy), (0.1, finishes.binary), (0.1, finishes.palette)),
        smooth=0.5,
        height=(22, 70),
    )
