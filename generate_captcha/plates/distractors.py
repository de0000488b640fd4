"""Distractors: things on a plate that are not letters, where letters could stand. They lie under the letters.

Stickers, seals, emblems and bolts between two groups of letters and beside a row, and labels of dealers above or below
the text. Without them, a network reads whatever stands between two groups as a letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2

from generate_captcha.arrays import Image
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.plates import car, letters
from generate_captcha.plates.graphics import draw_emblem, write
from generate_captcha.plates.rows import PlacedRow
from generate_captcha.seeded_random import SeededRandom

#: Probability of a distractor in a gap between two groups, and beside a row.
IN_GAP, BESIDE = 0.65, 0.4
#: The same of a dealer's label, and of a sticker, both above and below the text.
LABEL, STICKER = 0.25, 0.3
#: Kinds of :func:`generate_captcha.plates.graphics.draw_emblem` that stand beside letters on plates.
KINDS = (
    "seal", "disc", "star", "shield", "figure", "sticker", "crest", "crest", "tree", "wheelchair", "flag", "dash",
    "bolt", "bolt",
)  # fmt: skip
#: Texts of stickers: inspections, months, and abbreviations.
STICKER_TEXTS = ("24", "07", "EV", "H", "11", "TÜV", "AB", "2019", "OK", "P", "9", "JUL", "IV", "A1", "VET")
#: Minimum width beside a row, as a fraction of the height of its letters, and height above and below the text, as one
#: of the plate's, for a distractor there.
MIN_BESIDE, MIN_ABOVE = 0.4, 0.08
#: Maximum height of an emblem, as a multiple of its width. A narrow bar would be a 1.
MAX_SLENDERNESS = 2.0


class _Place(NamedTuple):
    """Centre and size in pixels."""

    x: float
    y: float
    width: float
    height: float


def add_distractors(image: Image, rows: Sequence[PlacedRow], ink: Rgb, rng: SeededRandom) -> None:
    """Draw a random selection of distractors on a plate whose letters are not yet painted, in place.

    Arguments:
        image: the plate, uint8 (height, width, 3) in RGB order.
        rows: the letters, from the top down.
        ink: colour of the letters.
    """
    height, width = image.shape[:2]
    for row in rows:
        for x, room in row.gaps:
            if rng.random() < IN_GAP:
                size = rng.between(0.45, 1.15) * room, rng.between(0.3, 1.0) * row.height
                shift = rng.between(-0.1, 0.1) * row.height
                _draw(image, _Place(x, row.top + row.height / 2 + shift, *size), ink, rng)
        # A row may stand beside another one.
        left = max((other.right for other in rows if other.right <= row.left), default=0.0)
        right = min((other.left for other in rows if other.left >= row.right), default=float(width))
        for start, free, inwards in ((left, row.left - left, 1), (right, right - row.right, -1)):
            if free > MIN_BESIDE * row.height and rng.random() < BESIDE:
                size = rng.between(0.6, 0.95) * min(free, row.height), rng.between(0.3, 1.0) * row.height
                x = start + inwards * rng.between(0.5 * size[0], free - 0.5 * size[0])
                _draw(image, _Place(x, row.top + row.height / 2, *size), ink, rng)
    above, below = rows[0].top, height - rows[-1].bottom
    for free, middle in ((above, above / 2), (below, height - below / 2)):
        if free > MIN_ABOVE * height and rng.random() < LABEL:
            _draw_label(image, middle, 0.85 * free, rng)
        elif free > MIN_ABOVE * height and rng.random() < STICKER:
            tall = rng.between(0.5, 1.1) * free
            place = _Place(rng.between(0.05, 0.95) * width, middle, tall * rng.between(0.8, 1.6), tall)
            _draw(image, place, ink, rng)


def _draw(image: Image, place: _Place, ink: Rgb, rng: SeededRandom) -> None:
    """Draw an emblem of a random kind and colour."""
    chance = rng.random()
    if chance < 0.35:
        rgb = paint.vary(ink, 25, rng)
    elif chance < 0.75:
        rgb = paint.random_colour(rng.between(50, 200), 110, rng)
    else:
        rgb = paint.random_colour(rng.between(40, 240), 12, rng)
    height = min(place.height, MAX_SLENDERNESS * place.width)
    draw_emblem(image, rng.choice(KINDS), place.x, place.y, place.width, height, rgb, STICKER_TEXTS, rng)


def _draw_label(image: Image, middle: float, height: float, rng: SeededRandom) -> None:
    """Draw the name and telephone number of a dealer, usually on a strip of another colour."""
    width = image.shape[1]
    height *= rng.between(0.6, 1.0)
    x, across = rng.between(0.35, 0.65) * width, rng.between(0.25, 0.9) * width
    rgb = paint.random_colour(rng.choice((20.0, 70.0, 110.0, 200.0, 240.0)), 90, rng)
    ink: Rgb = (240.0, 240.0, 240.0) if sum(rgb) < 380 else paint.random_colour(50, 60, rng)
    if rng.random() < 0.7:
        corner = round(x - across / 2), round(middle - height / 2)
        cv2.rectangle(image, corner, (round(x + across / 2), round(middle + height / 2)), rgb, -1)
    else:
        ink = paint.random_colour(70, 80, rng)
    write(image, letters.small_font(), car.dealer(rng), (x, middle), 0.6 * height, 0.92 * across, ink)
