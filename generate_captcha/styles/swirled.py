"""Style `swirled`: lenses, whirls and ripples distort the picture."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Swirled(Family):
    LOOK = Look(
        gap=(-0.1, 0.25),
        rotation=(0, 12),
        capital=(0.4, 0.65),
        contrast=(80, 240),
        own_colour=0.2,
        own_font=0.15,
        grounds=((2, grounds.plain), (2, grounds.gradient), (0.5, grounds.stripes)),
        behind=((1, marks.grid), (0.5, marks.curve)),
        through=((0.6, marks.tapered_curve), (0.4, marks.line)),
        over=((0.4, marks.curve), (0.3, marks.arc)),
        thickness=(0.015, 0.07),
        shadow=0.2,
        warps=((0.6, warps.swirl), (0.6, warps.lens), (0.6, warps.ripples)),
        finishes=((0.3, finishes.compressed),),
    )
