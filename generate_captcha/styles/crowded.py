"""Style `crowded`: small letters, boxes and short lines all around the text."""

from __future__ import annotations

from generate_captcha.drawing import finishes, grounds, marks
from generate_captcha.family import Family, Look

PROPERTIES = {"family": True}


class Crowded(Family):
    LOOK = Look(
        gap=(0, 0.35),
        rotation=(0, 30),
        capital=(0.42, 0.7),
        contrast=(110, 240),
        own_colour=0.5,
        ink_colour=(0, 160),
        behind=((12, marks.small_letter), (3, marks.short_line), (1, marks.box)),
        over=((4, marks.short_line), (0.6, marks.line)),
        thickness=(0.015, 0.06),
        grounds=((3, grounds.plain), (1, grounds.gradient), (1, grounds.blobs)),
        finishes=((0.2, finishes.compressed), (0.1, finishes.palette)),
        smooth=0.8,
    )
