"""Style `hollow`: outlines of letters, single or double."""

from __future__ import annotations

from generate_captcha.drawing import finishes, letter_effects, marks, warps
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Hollow(Family):
    LOOK = Look(
        effects=((3, letter_effects.hollow), (1, letter_effects.doubled)),
        sizes=(0, 0.2),
        gap=(-0.1, 0.3),
        rotation=(0, 25),
        capital=(0.5, 0.8),
        contrast=(100, 240),
        own_colour=0.3,
        dark=0.2,
        behind=((0.6, marks.ring), (0.6, marks.line)),
        through=((0.8, marks.line), (0.5, marks.curve)),
        over=((0.6, marks.line), (0.3, marks.specks)),
        thickness=(0.02, 0.05),
        warps=((0.3, warps.waves), (0.2, warps.elastic)),
        finishes=((0.2, finishes.compressed), (0.15, finishes.edges)),
    )
