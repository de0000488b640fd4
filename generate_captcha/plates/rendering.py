"""A plate on a car, seen straight on, somewhat larger than it will be in the picture that a camera takes of it."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.plates import car, graphics
from generate_captcha.plates.distractors import add_distractors
from generate_captcha.plates.graphics import parse_colour
from generate_captcha.plates.layout import Layout, Paint
from generate_captcha.plates.patterns import Rows
from generate_captcha.plates.rows import Box, paint_letters, place_letters, random_lettering, repeat_letters
from generate_captcha.seeded_random import SeededRandom

#: Probability at difficulty 1 that there are things on a plate that could be taken for letters.
DISTRACTED = 0.7
#: Visible part of the car around the plate, as a fraction of the plate's height.
SURROUNDINGS = 0.35


class RenderedPlate(NamedTuple):
    """A plate on a car. Lengths are in pixels of `image`."""

    image: Image  #: uint8 (height, width, 3) in RGB order
    ink: Mask  #: of the letters
    plate: Box  #: bounding box of the plate
    text: Box  #: bounding box of the letters
    letter_height: float  #: of the smallest row
    pitch: float  #: minimum distance from letter to letter


def render(
    layout: Layout, rows: Rows, scale: float, difficulty: float, noise: float, rng: SeededRandom
) -> RenderedPlate:
    """Render the plate with the text `rows`.

    Arguments:
        scale: pixels per millimetre.
        difficulty: from 0 to 1, how much may be around the plate and on it.
        noise: factor of the dirt.
    """
    fields = layout.fields
    image, ink_colour = render_blank(layout, scale, difficulty, rng)
    height, width = image.shape[:2]
    ink = np.zeros((height, width), np.uint8)
    lettering = random_lettering(layout, rng)
    embossed = rng.random() < fields.relief
    placed = [place_letters(parts, row, lettering, scale, rng) for parts, row in zip(rows, fields.rows, strict=True)]
    if rng.random() < DISTRACTED * difficulty:
        add_distractors(image, placed, ink_colour, rng)
    boxes = []
    for placed_row, row in zip(placed, fields.rows, strict=True):
        rgb = ink_colour if row.ink is None else parse_colour(row.ink)
        boxes.append(paint_letters(image, ink, placed_row.letters, rgb, embossed, difficulty, rng))
    for parts, row in zip(rows, fields.rows, strict=True):
        if row.repeat_box:
            repeated = repeat_letters(parts, row, lettering, scale, rng)
            rgb = ink_colour if row.ink is None else parse_colour(row.ink)
            # They are not part of the label, so their ink is not recorded.
            paint_letters(image, np.zeros_like(ink), repeated.letters, rgb, embossed, difficulty, rng)
    gap = next(((each.gaps[0][0], (each.top + each.bottom) / 2) for each in placed if each.gaps), None)
    for mark in fields.marks:
        if rng.random() < mark.chance and (mark.at != "gap" or gap):
            graphics.draw_mark(image, mark, gap, scale, rng)

    car.add_screws(image, ink, fields.screws, scale, difficulty, rng)
    if rng.random() < 0.45 * difficulty:
        car.add_dirt(image, rng.random() * min(1.0, 0.8 * difficulty * noise), rng)
    margin = round(SURROUNDINGS * height)
    whole = car.draw_car(height + 2 * margin, width + 2 * margin, rng)
    car.paste_plate(whole[margin : margin + height, margin : margin + width], image, round(fields.radius * scale))
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    text = min(lefts) + margin, min(tops) + margin, max(rights) + margin, max(bottoms) + margin
    plate = margin, margin, margin + width, margin + height
    ink = cv2.copyMakeBorder(ink, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    if rng.random() < 0.5 * difficulty:
        car.draw_frame(whole, ink, plate, text, layout.letter_height * scale, rng)
    return RenderedPlate(whole, ink, plate, text, layout.letter_height * scale, min(row.pitch for row in placed))


def render_blank(layout: Layout, scale: float, difficulty: float, rng: SeededRandom) -> tuple[Image, Rgb]:
    """Render a plate without its letters and marks: ground, border, bands and small print.

    Returns the image, uint8 (height, width, 3), and the colour of the letters.
    """
    fields = layout.fields
    palette = _random_paint(fields.paints, rng)
    width, height = (round(side * scale) for side in fields.size)
    shades = {
        colour: paint.vary(parse_colour(colour), 4 + 12 * difficulty, rng) for colour in (*palette.ground, palette.ink)
    }
    ink_colour = shades[palette.ink]
    image = graphics.background(height, width, [shades[colour] for colour in palette.ground])
    graphics.draw_graphics(image, palette, rng)
    for band in fields.bands:
        if rng.random() < band.chance:
            graphics.draw_band(image, band, scale, rng)
    if fields.border:
        rim = ink_colour if palette.rim is None else parse_colour(palette.rim)
        graphics.draw_border(image, fields.border, rim, scale)
    for small, faces in zip(fields.prints, layout.print_faces, strict=True):
        if rng.random() < small.chance:
            graphics.draw_print(image, small, faces, ink_colour, scale, rng)
    return image, ink_colour


def _random_paint(paints: tuple[Paint, ...], rng: SeededRandom) -> Paint:
    """Choose a paint by its weight."""
    place = rng.random() * sum(each.weight for each in paints)
    for chosen in paints:
        place -= chosen.weight
        if place < 0:
            break
    return chosen
