"""A plate mounted on a car: screws, dirt, the car around it, a dealer's frame."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.drawing.visibility import BACKGROUND, INK
from generate_captcha.plates import letters
from generate_captcha.plates.graphics import rounded_rectangle, write
from generate_captcha.plates.rows import Box
from generate_captcha.seeded_random import SeededRandom

#: Positions of screws, as fractions of width and height, for layouts without their own.
SCREWS = (
    ((0.2, 0.09), (0.8, 0.09), (0.2, 0.91), (0.8, 0.91)),
    ((0.25, 0.1), (0.75, 0.1)),
    ((0.035, 0.5), (0.965, 0.5)),
    ((0.3, 0.9), (0.7, 0.9), (0.3, 0.1), (0.7, 0.1)),
)
#: Number of invented dealers: few enough that their drawn names stay in the cache.
DEALERS = 400
#: Share of a frame's sides that cover the edge of letters, and by how much at most, as a fraction of a letter's height:
#: less than a stroke, so that an E does not become an F.
CUTTING_FRAMES, MAX_CUT = 0.3, 0.05
#: Syllables of dealers' names on frames.
SYLLABLES = (
    "AU", "TO", "MO", "TORS", "CAR", "LINE", "CITY", "RO", "SA", "VAL", "LEY", "NORD", "SUD", "WEST", "KAR", "HAUS",
    "BER", "MAR", "CO", "DEL", "SOL", "VIL", "LA", "PARK", "STAR", "FOR", "DA", "MIL", "LER", "KO", "VA", "NEW",
    "BEST", "GO",
)  # fmt: skip


def add_screws(
    image: Image, ink: Mask, screws: tuple[tuple[float, float], ...], scale: float, difficulty: float, rng: SeededRandom
) -> None:
    """Sometimes draw screws or their caps, in place.

    Arguments:
        screws: positions in millimetres. If empty, they are drawn at usual places that are free of letters.
        scale: pixels per millimetre.
    """
    height, width = ink.shape
    if screws:
        if rng.random() > 0.5 + 0.4 * difficulty:
            return
        # The holes are larger than the screws, and not all of them are used.
        shift = rng.between(-0.06, 0.06) * height, rng.between(-0.04, 0.04) * height
        places = [(x * scale + shift[0], y * scale + shift[1]) for x, y in screws if rng.random() < 0.8]
        radius = rng.between(0.04, 0.08) * height
    else:
        if rng.random() > 0.25 + 0.5 * difficulty:
            return
        usual = rng.choice(SCREWS)
        radius = max(1.5, rng.between(0.025, 0.05) * height)
        places = [(x * width, y * height) for x, y in usual if _is_free(ink, x * width, y * height, 1.6 * radius)]
    rgb, shaded = paint.random_colour(rng.between(40, 250), 15, rng), rng.random() < 0.6
    for x, y in places:
        centre = round(x * 16), round(y * 16)
        if shaded:
            cv2.circle(image, centre, round(1.25 * radius * 16), paint.scale(rgb, 0.5), -1, cv2.LINE_AA, 4)
        cv2.circle(image, centre, round(radius * 16), rgb, -1, cv2.LINE_AA, 4)


def _is_free(ink: Mask, x: float, y: float, reach: float) -> bool:
    """Whether there is no letter within `reach` pixels."""
    column, row, around = round(x), round(y), math.ceil(reach)
    return not ink[max(0, row - around) : row + around, max(0, column - around) : column + around].any()


def add_dirt(image: Image, strength: float, rng: SeededRandom) -> None:
    """Draw dust or splashes, in place."""
    height, width = image.shape[:2]
    mask = paint.texture(height, width, rng)
    rgb = paint.random_colour(rng.between(60, 150), 25, rng)
    if rng.random() < 0.5:
        # Splashes: only the peaks of the texture.
        mask = cv2.convertScaleAbs(cv2.subtract(mask, rng.between(120, 170)), alpha=3)
    paint.fill(image, rgb, np.ascontiguousarray(mask), 0.65 * strength)


def draw_car(height: int, width: int, rng: SeededRandom) -> Image:
    """Draw the car around a plate: paint, plastic, edges and slits. Returns uint8 (height, width, 3) in RGB order."""
    luma = rng.choice((25.0, 35.0, 60.0, 110.0, 160.0, 200.0, 230.0))
    rgb = paint.random_colour(luma, 70 if rng.random() < 0.4 else 8, rng)
    dark = paint.scale(rgb, rng.between(0.3, 0.9))
    image = paint.colourise(paint.gradient(height, width, rng), dark, rgb)
    for _ in range(rng.randbelow(6)):
        y = round(rng.random() * height)
        shade = paint.scale(rgb, rng.between(0.2, 1.4))
        if rng.random() < 0.75:
            slope = round(rng.between(-0.05, 0.05) * width)
            thickness = 1 + rng.randbelow(max(2, height // 7))
            cv2.line(image, (0, y), (width, y + slope), shade, thickness, cv2.LINE_AA)
        else:
            x = round(rng.random() * width)
            cv2.circle(image, (x, y), 1 + rng.randbelow(max(2, height // 5)), shade, -1, cv2.LINE_AA)
    return image


def paste_plate(car: Image, plate: Image, radius: int) -> None:
    """Copy `plate` with round corners of `radius` pixels onto `car`, which has the same size, in place."""
    height, width = plate.shape[:2]
    before = car.copy()
    car[:] = plate
    if not radius:
        return
    mask = rounded_rectangle(height, width, 0, radius)
    for rows in (slice(0, radius), slice(height - radius, height)):
        for columns in (slice(0, radius), slice(width - radius, width)):
            corner = np.ascontiguousarray(mask[rows, columns])
            car[rows, columns] = paint.blend(before[rows, columns], plate[rows, columns], corner)


def dealer(rng: SeededRandom) -> str:
    """Return the name, address or telephone number of one of the :data:`DEALERS`."""
    return rng.choice(_dealers())


@functools.cache
def _dealers() -> tuple[str, ...]:
    rng = SeededRandom(DEALERS)
    return tuple(_invent_dealer(rng) for _ in range(DEALERS))


def _invent_dealer(rng: SeededRandom) -> str:
    name = "".join(rng.choice(SYLLABLES) for _ in range(2 + rng.randbelow(2)))
    chance = rng.random()
    if chance < 0.6:
        return f"{name} {rng.choice(SYLLABLES)}{rng.choice(SYLLABLES)}"
    if chance < 0.75:
        return f"{name.lower()}.com"
    number = "".join(str(rng.randbelow(10)) for _ in range(7))
    return f"{name} {number[:3]}-{number[3:]}" if chance < 0.9 else f"({number[:2]}) {number[2:]}"


def draw_frame(image: Image, ink: Mask, plate: Box, text: Box, letter_height: float, rng: SeededRandom) -> None:
    """Draw a frame over the plate's edges, usually with a dealer's name, in place.

    A share of the frames covers the letters' feet and heads or the outer edges of the first and last letter, by less
    than a stroke. In `ink`, a frame is neither ink nor background: letters that touch a frame of their own colour are
    still legible.

    Arguments:
        plate, text: bounding boxes of the plate and its letters in pixels.
    """
    height = plate[3] - plate[1]
    rgb = paint.random_colour(rng.choice((15.0, 25.0, 40.0, 60.0, 170.0, 215.0)), 8, rng)
    outwards = rng.between(0.02, 0.09) * height
    inwards = []
    for edge, of_text in zip(plate, text, strict=True):
        free = abs(edge - of_text)
        if rng.random() < CUTTING_FRAMES and free < 0.2 * height:
            inwards.append(free + rng.random() * MAX_CUT * letter_height)
        else:
            inwards.append(min(rng.random() * 0.2 * height, 0.7 * free))
    outer = plate[0] - outwards, plate[1] - outwards, plate[2] + outwards, plate[3] + outwards
    inner = plate[0] + inwards[0], plate[1] + inwards[1], plate[2] - inwards[2], plate[3] - inwards[3]
    below = rng.between(0.04, 0.2) * height if rng.random() < 0.6 else 0.0
    above = rng.between(0.04, 0.16) * height if rng.random() < 0.35 else 0.0
    left, top, right, bottom = (round(side) for side in (outer[0], outer[1] - above, outer[2], outer[3] + below))
    for corner, end in (
        ((left, top), (right, round(inner[1]))),
        ((left, round(inner[3])), (right, bottom)),
        ((left, top), (round(inner[0]), bottom)),
        ((round(inner[2]), top), (right, bottom)),
    ):
        cv2.rectangle(image, corner, end, rgb, -1)
        cv2.rectangle(ink, corner, end, (INK + BACKGROUND) // 2, -1)
    colour: Rgb = (235.0, 235.0, 235.0) if sum(rgb) < 380 else (30.0, 30.0, 30.0)
    for low, high in ((inner[3], bottom), (top, inner[1])):
        if high - low > 5 and rng.random() < 0.75:
            centre = (left + right) / 2, (low + high) / 2
            size = rng.between(0.5, 0.85) * (high - low)
            write(image, letters.small_font(), dealer(rng), centre, size, 0.85 * (right - left), colour)
