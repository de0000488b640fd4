"""Style `dark`: light letters on dark backgrounds."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Dark(Family):
    LOOK = Look(
        gap=(-0.05, 0.35),
        rotation=(0, 25),
        capital=(0.4, 0.75),
        contrast=(80, 240),
        own_colour=0.4,
        ink_colour=(0, 170),
        ground_colour=(0, 70),
        ground_contrast=(0, 60),
        dark=1,
        grounds=((3, grounds.plain), (2, grounds.gradient), (1, grounds.texture), (0.5, grounds.grain)),
        behind=((1, marks.line), (0.6, marks.specks), (0.5, marks.arc)),
        through=((0.5, marks.curve),),
        over=((0.7, marks.line), (0.5, marks.specks), (0.15, marks.negative)),
        thickness=(0.015, 0.08),
        shadow=0.1,
        warps=((0.25, warps.waves), (0.1, warps.elastic)),
        finishes=((0.3, finishes.compressed), (0.2, finishes.noisy)),
    )
