"""Style `dotted`: letters of dots, with a dotted or plain wave through them and scattered dots."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Dotted(Family):
    LOOK = Look(
        effects=((1, letter_effects.dotted),),
        sizes=(0, 0.1),
        own_font=0.1,
        own_colour=0.1,
        gap=(-0.05, 0.25),
        rotation=(0, 15),
        shear=(0, 0.45),
        rise=(0, 0.15),
        capital=(0.45, 0.75),
        contrast=(90, 230),
        ink_colour=(20, 150),
        grounds=((5, grounds.plain), (1, grounds.gradient)),
        through=((0.8, marks.dotted_wave), (0.2, marks.wave)),
        over=((9, marks.disc), (0.3, marks.specks)),
        behind=((3, marks.disc),),
        thickness=(0.04, 0.09),
        warps=((0.5, warps.waves), (0.1, warps.elastic)),
        finishes=((0.1, finishes.compressed), (0.2, finishes.palette)),
    )
