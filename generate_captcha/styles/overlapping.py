"""Style `overlapping`: letters of different sizes, each over a part of its neighbour, with a shadow and strokes."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Overlapping(Family):
    LOOK = Look(
        effects=((1, letter_effects.solid), (1, letter_effects.bold)),
        sizes=(0.1, 0.45),
        own_font=0.1,
        own_colour=0.15,
        gap=(-0.5, -0.1),
        overlap=0.4,
        slots=0.05,
        rotation=(0, 15),
        shear=(0, 0.3),
        rise=(0, 0.15),
        capital=(0.4, 0.75),
        dark=0.08,
        contrast=(110, 250),
        ink_colour=(0, 80),
        ground_contrast=(0, 50),
        grounds=((4, grounds.plain), (1, grounds.gradient)),
        through=((0.3, marks.curve),),
        over=((0.8, marks.curve), (0.9, marks.line)),
        thickness=(0.02, 0.09),
        shadow=0.5,
        warps=((0.3, warps.waves), (0.2, warps.elastic)),
        finishes=((0.3, finishes.compressed), (0.2, finishes.blur)),
        frame=0.2,
    )
