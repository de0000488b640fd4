"""Parts of vehicles, whole vehicles, and plates without a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.plates import car
from generate_captcha.plates.graphics import background, draw_emblem, draw_mark, fill_polygon, rounded_rectangle
from generate_captcha.plates.layout import Layout
from generate_captcha.plates.rendering import render_blank
from generate_captcha.scenes import words
from generate_captcha.scenes.signs import Fonts, write_lines
from generate_captcha.seeded_random import SeededRandom

#: Kinds of emblems in grilles and on bonnets.
EMBLEMS = ("disc", "shield", "star", "crest", "figure", "seal")
#: Pixels per millimetre of plates on the scene are such that they fill this share of its height or width.
PLATE_SHARE = (0.55, 0.8)


def part_of_vehicle(height: int, width: int, rng: SeededRandom) -> Image:
    """Draw a bumper, a grille, lamps, wheels, door handles or windows."""
    image = car.draw_car(height, width, rng)
    parts = (_grille, _lamp, _wheel, _handle, _window, _bumper)
    for _ in range(1 + rng.randbelow(3)):
        rng.choice(parts)(image, rng)
    return image


def blank_plate(height: int, width: int, layouts: Sequence[Layout], fonts: Fonts, rng: SeededRandom) -> Image:
    """Draw a plate without a number, or the board of a dealer in its place, on a car."""
    image = car.draw_car(height, width, rng)
    layout = rng.choice(layouts)
    share = rng.between(*PLATE_SHARE)
    scale = share * min(height / layout.fields.size[1], width / layout.fields.size[0])
    if rng.random() < 0.55:
        plate, ink = render_blank(layout, scale, rng.random(), rng)
        for mark in layout.fields.marks:
            if mark.at != "gap" and rng.random() < 0.5 * mark.chance:
                draw_mark(plate, mark, None, scale, rng)
        car.add_screws(plate, np.zeros(plate.shape[:2], np.uint8), layout.fields.screws, scale, 1.0, rng)
    else:
        size = [max(12, round(side * scale)) for side in layout.fields.size]
        ink = paint.random_colour(rng.choice((20.0, 60.0, 120.0, 235.0)), 90, rng)
        ground = paint.random_colour(235.0 if sum(ink) < 400 else 40.0, 70 if rng.random() < 0.3 else 8, rng)
        plate = paint.plain(size[1], size[0], ground)
        _write_board(plate, ink, fonts, rng)
    if rng.random() < 0.3:
        car.add_dirt(plate, rng.random(), rng)
    high, wide = plate.shape[:2]
    left, top = round(rng.between(0.4, 0.6) * (width - wide)), round(rng.between(0.4, 0.6) * (height - high))
    car.paste_plate(image[top : top + high, left : left + wide], plate, round(layout.fields.radius * scale))
    if rng.random() < 0.5:
        box = float(left), float(top), float(left + wide), float(top + high)
        inner = box[0] + 0.15 * wide, box[1] + 0.15 * high, box[2] - 0.15 * wide, box[3] - 0.15 * high
        car.draw_frame(image, np.zeros((height, width), np.uint8), box, inner, 0.3 * high, rng)
    return image


def _write_board(plate: Image, ink: Rgb, fonts: Fonts, rng: SeededRandom) -> None:
    """Write the name of a dealer with its address or telephone number, below a stripe or beside an emblem."""
    high, wide = plate.shape[:2]
    left = 0.0
    if rng.random() < 0.4:
        left = min(high, 0.3 * wide)
        rgb = paint.random_colour(rng.between(40, 210), 110, rng)
        draw_emblem(plate, rng.choice(EMBLEMS), left / 2, high / 2, 0.8 * left, 0.7 * high, rgb, (), rng)
    if rng.random() < 0.3:
        cv2.rectangle(plate, (0, 0), (wide, round(0.12 * high)), paint.random_colour(110, 110, rng), -1)
    name = f"{words.invented(rng)} {words.word(rng)}" if rng.random() < 0.6 else f"Auto {words.invented(rng)}"
    lines = [name, rng.choice((words.address, words.phone))(rng)]
    if rng.random() < 0.25:
        lines = [words.address(rng)]
    elif rng.random() < 0.3:
        lines.append(words.small_print(rng))
    sizes = [1.0, *(rng.between(0.45, 0.9) for _ in lines[1:])]
    write_lines(plate, lines, sizes, (left + 0.04 * wide, 0.16 * high, 0.96 * wide, 0.94 * high), ink, fonts, rng)


def vehicles(height: int, width: int, rng: SeededRandom) -> Image:
    """Draw whole vehicles at a distance, whose plates are too small to be read."""
    horizon = round(rng.between(0.3, 0.6) * height)
    sky = [paint.random_colour(rng.between(60, 240), 40, rng) for _ in range(2)]
    image = background(height, width, sky)
    road = paint.random_colour(rng.between(40, 140), 10, rng)
    image[horizon:] = paint.colourise(
        np.ascontiguousarray(paint.texture(height - horizon, width, rng)), paint.scale(road, 0.8), road
    )
    for _ in range(rng.randbelow(4)):
        corner = rng.randbelow(width), round(horizon * rng.between(0.0, 0.8))
        end = corner[0] + round(rng.between(0.3, 1.5) * height), horizon
        cv2.rectangle(image, corner, end, paint.random_colour(rng.between(30, 210), 40, rng), -1)
    count = 1 + rng.randbelow(max(1, round(width / height)))
    size = rng.between(0.55, 0.95) * height
    for place in range(count):
        middle = (place + rng.between(0.3, 0.7)) * width / count
        foot = min(0.97 * height, horizon + 0.6 * size * rng.between(0.6, 1.0))
        if rng.random() < 0.6:
            _front(image, middle, foot, min(size, 1.1 * width / count), rng)
        else:
            _side(image, middle, foot, min(0.62 * size, 0.4 * width / count), rng)
    return image


def _front(image: Image, x: float, foot: float, size: float, rng: SeededRandom) -> None:
    """Draw a vehicle from the front or from behind, `size` pixels wide, standing on `foot`."""
    rgb = paint.random_colour(
        rng.choice((20.0, 45.0, 90.0, 150.0, 210.0, 240.0)), 100 if rng.random() < 0.5 else 8, rng
    )
    behind, tall = rng.random() < 0.5, size * rng.between(0.65, 0.9)
    half, top = size / 2, foot - tall
    waist = foot - tall * rng.between(0.5, 0.6)
    roof = half * rng.between(0.55, 0.8)

    def polygon(points: Sequence[tuple[float, float]], colour: Rgb) -> None:
        fill_polygon(image, np.array([(x + a, b) for a, b in points]), colour)

    for side in (-1, 1):
        inner, outer = side * (half - 0.18 * size), side * (half - 0.02 * size)
        polygon([(inner, foot), (outer, foot), (outer, waist), (inner, waist)], (18.0, 18.0, 20.0))
    low = foot - 0.08 * tall
    polygon([(-half, waist), (-roof, top), (roof, top), (half, waist), (half, low), (-half, low)], rgb)
    glass = paint.random_colour(rng.between(25, 150), 25, rng)
    sill, edge, rim = half - 0.16 * size, roof - 0.06 * size, top + 0.08 * tall
    polygon([(-sill, waist), (-edge, rim), (edge, rim), (sill, waist)], glass)
    lights = (190.0, 25.0, 20.0) if behind else (235.0, 235.0, 220.0)
    level = waist + 0.18 * tall
    for side in (-1, 1):
        centre = round((x + side * 0.36 * size) * 16), round(level * 16)
        axes = round(0.1 * size * 16), round(rng.between(0.04, 0.08) * size * 16)
        cv2.ellipse(image, centre, axes, 0, 0, 360, lights, -1, cv2.LINE_AA, 4)
    if not behind:
        corner = round(x - 0.22 * size), round(level - 0.05 * size)
        cv2.rectangle(image, corner, (round(x + 0.22 * size), round(level + 0.06 * size)), paint.scale(rgb, 0.35), -1)
    bumper = foot - 0.3 * tall
    cv2.rectangle(
        image,
        (round(x - half), round(bumper)),
        (round(x + half), round(low)),
        paint.scale(rgb, rng.between(0.4, 0.95)),
        -1,
    )
    _tiny_plate(image, x, bumper + 0.1 * tall, 0.24 * size, rng)


def _tiny_plate(image: Image, x: float, y: float, wide: float, rng: SeededRandom) -> None:
    """Draw a plate with specks in place of letters."""
    ground = rng.choice(((235.0, 235.0, 230.0), (240.0, 200.0, 60.0), (40.0, 60.0, 140.0), (30.0, 30.0, 30.0)))
    tall = wide * rng.choice((0.22, 0.24, 0.5))
    left, top = round(x - wide / 2), round(y - tall / 2)
    cv2.rectangle(image, (left, top), (round(x + wide / 2), round(y + tall / 2)), ground, -1)
    ink = (235.0, 235.0, 235.0) if sum(ground) < 380 else (40.0, 40.0, 40.0)
    # Specks of two pixels: letters at this distance are no larger.
    for _ in range(round(wide / 3)):
        spot = left + 1 + rng.randbelow(max(1, round(wide) - 2)), top + 1 + rng.randbelow(max(1, round(tall) - 1))
        image[spot[1] : spot[1] + 2, spot[0] : spot[0] + 1] = paint.vary(ink, 50, rng)


def _side(image: Image, x: float, foot: float, size: float, rng: SeededRandom) -> None:
    """Draw a vehicle from its side, `size` pixels high, standing on `foot`."""
    rgb = paint.random_colour(rng.choice((20.0, 60.0, 110.0, 180.0, 235.0)), 100 if rng.random() < 0.5 else 8, rng)
    long, mirror = size * rng.between(2.4, 3.2), rng.choice((-1, 1))

    def place(points: Sequence[tuple[float, float]]) -> np.ndarray:
        return np.array([(x + mirror * (a - 0.5) * long, foot - b * size) for a, b in points])

    back = rng.between(0.0, 0.2)
    fill_polygon(
        image,
        place([(0, 0.15), (0, 0.55), (back, 0.62), (back + 0.1, 1), (0.6, 1), (0.75, 0.6), (0.98, 0.5), (1, 0.15)]),
        rgb,
    )
    glass = paint.random_colour(rng.between(25, 150), 25, rng)
    fill_polygon(image, place([(back + 0.06, 0.64), (back + 0.13, 0.93), (0.38, 0.93), (0.38, 0.64)]), glass)
    fill_polygon(image, place([(0.41, 0.64), (0.41, 0.93), (0.58, 0.93), (0.7, 0.64)]), glass)
    for a in (0.2, 0.8):
        (centre,) = place([(a, 0.18)])
        at = round(centre[0] * 16), round(centre[1] * 16)
        cv2.circle(image, at, round(0.22 * size * 16), (22.0, 22.0, 24.0), -1, cv2.LINE_AA, 4)
        cv2.circle(image, at, round(0.13 * size * 16), paint.random_colour(150, 10, rng), -1, cv2.LINE_AA, 4)


def _grille(image: Image, rng: SeededRandom) -> None:
    """Draw the grille of a radiator: bars, a mesh or a honeycomb in a frame, often with an emblem."""
    height, width = image.shape[:2]
    high, wide = round(rng.between(0.4, 1.1) * height), round(rng.between(0.4, 1.1) * width)
    left, top = rng.randbelow(max(1, width - wide + 1)), rng.randbelow(max(1, height - high + 1))
    part = image[top : top + high, left : left + wide]
    high, wide = part.shape[:2]
    dark = paint.random_colour(rng.between(4, 45), 6, rng)
    bright = paint.random_colour(rng.choice((40.0, 70.0, 110.0, 170.0, 215.0)), 8, rng)
    part[:] = paint.colourise(paint.gradient(high, wide, rng), paint.scale(dark, 0.5), dark)
    pitch = rng.between(0.07, 0.3) * height
    thick = max(1, round(pitch * rng.between(0.15, 0.6)))
    slopes: tuple[float, ...] = rng.choice(
        ((0.0,), (0.0,), (90.0,), (35.0, -35.0), (60.0, -60.0), (0.0, 90.0), (0.0, 60.0, -60.0))
    )
    reach = high + wide
    for degrees in slopes:
        across, along = math.radians(degrees + 90), math.radians(degrees)
        for step in np.arange(-reach, reach, pitch):
            x, y = wide / 2 + step * math.cos(across), high / 2 + step * math.sin(across)
            start = round(x - reach * math.cos(along)), round(y - reach * math.sin(along))
            end = round(x + reach * math.cos(along)), round(y + reach * math.sin(along))
            cv2.line(part, start, end, bright, thick, cv2.LINE_AA)
            if thick > 3:
                cv2.line(part, start, end, paint.scale(bright, 1.3), max(1, thick // 3), cv2.LINE_AA)
    if rng.random() < 0.6:
        edge = max(1, round(rng.between(0.02, 0.08) * high))
        outer = rounded_rectangle(high, wide, 0, high // 4)
        ring = cv2.subtract(outer, rounded_rectangle(high, wide, edge, max(0, high // 4 - edge)))
        paint.fill(part, paint.random_colour(rng.choice((30.0, 180.0, 225.0)), 8, rng), ring)
    if rng.random() < 0.5:
        size = rng.between(0.35, 0.8) * high
        place = rng.between(0.3, 0.7) * wide, rng.between(0.35, 0.65) * high
        rgb = paint.random_colour(rng.between(90, 230), 60 if rng.random() < 0.4 else 8, rng)
        draw_emblem(part, rng.choice(EMBLEMS), *place, size * rng.between(0.8, 1.6), size, rgb, (), rng)


def _lamp(image: Image, rng: SeededRandom) -> None:
    """Draw a headlight with its reflectors, or a rear light of coloured glass."""
    height, width = image.shape[:2]
    x, y = rng.random() * width, rng.between(0.2, 0.8) * height
    across, down = rng.between(0.3, 0.9) * height, rng.between(0.15, 0.45) * height
    glass = np.zeros((height, width), np.uint8)
    centre, tilt = (round(x * 16), round(y * 16)), rng.between(-25, 25)
    if rng.random() < 0.5:
        cv2.ellipse(glass, centre, (round(across * 16), round(down * 16)), tilt, 0, 360, 255, -1, cv2.LINE_AA, 4)
    else:
        corners = [(-1, -0.6), (0.8, -1), (1, 0.3), (0.3, 1), (-0.8, 0.8)]
        points = np.array([(x + a * across * rng.between(0.7, 1.2), y + b * down) for a, b in corners])
        cv2.fillPoly(glass, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    rear = rng.random() < 0.5
    rgb: Rgb = (
        (rng.between(120, 210), rng.between(0, 40), rng.between(0, 40)) if rear else paint.random_colour(150, 15, rng)
    )
    lit = paint.colourise(paint.gradient(height, width, rng), paint.scale(rgb, rng.between(0.2, 0.7)), rgb)
    for _ in range(1 + rng.randbelow(4)):
        spot = round(x + rng.between(-0.7, 0.7) * across), round(y + rng.between(-0.5, 0.5) * down)
        radius = max(2, round(rng.between(0.25, 0.7) * down))
        tone = (235.0, 150.0, 40.0) if rng.random() < 0.25 else paint.scale(rgb, rng.between(0.4, 1.8))
        cv2.circle(lit, spot, radius, paint.scale(tone, 0.4), -1, cv2.LINE_AA)
        cv2.circle(lit, spot, max(1, round(0.8 * radius)), tone, -1, cv2.LINE_AA)
        cv2.circle(lit, spot, max(1, round(0.25 * radius)), (250.0, 250.0, 245.0), -1, cv2.LINE_AA)
    if rng.random() < 0.5:
        for line in range(round(y - down), round(y + down), max(2, round(down / 4))):
            cv2.line(lit, (0, line), (width, line + rng.randbelow(3)), paint.scale(rgb, 0.6), 1, cv2.LINE_AA)
    rim = cv2.dilate(glass, np.ones((3, 3), np.uint8), iterations=max(1, round(0.02 * height)))
    paint.fill(image, paint.random_colour(rng.choice((15.0, 30.0, 190.0)), 5, rng), rim, 0.9)
    image[:] = paint.blend(image, lit, glass)


def _wheel(image: Image, rng: SeededRandom) -> None:
    """Draw a wheel, usually only a part of it."""
    height, width = image.shape[:2]
    radius = rng.between(0.5, 1.4) * height
    x, y = rng.random() * width, rng.between(0.3, 1.2) * height

    def disc(size: float, rgb: Rgb) -> None:
        cv2.circle(image, (round(x * 16), round(y * 16)), round(size * 16), rgb, -1, cv2.LINE_AA, 4)

    tyre = paint.random_colour(rng.between(12, 45), 4, rng)
    disc(1.12 * radius, (6.0, 6.0, 7.0))
    disc(radius, tyre)
    disc(0.7 * radius, paint.scale(tyre, 0.5))
    rim = paint.random_colour(rng.choice((35.0, 120.0, 170.0, 200.0)), 8, rng)
    spokes, turn = 5 + rng.randbelow(8), rng.random() * math.tau
    for number in range(spokes):
        angle = turn + number * math.tau / spokes
        end = round(x + 0.68 * radius * math.cos(angle)), round(y + 0.68 * radius * math.sin(angle))
        cv2.line(image, (round(x), round(y)), end, rim, max(1, round(rng.between(0.08, 0.11) * radius)), cv2.LINE_AA)
    cv2.circle(
        image,
        (round(x * 16), round(y * 16)),
        round(0.68 * radius * 16),
        rim,
        max(1, round(0.05 * radius)),
        cv2.LINE_AA,
        4,
    )
    disc(0.14 * radius, paint.scale(rim, 0.8))


def _handle(image: Image, rng: SeededRandom) -> None:
    """Draw the handle of a door in its recess, with the gap beside the door."""
    height, width = image.shape[:2]
    high, wide = round(rng.between(0.12, 0.3) * height), round(rng.between(0.6, 1.4) * height)
    left, top = rng.randbelow(max(1, width - wide)), rng.randbelow(max(1, height - 2 * high))
    around = image[top : top + 2 * high, left : left + wide]
    recess = rounded_rectangle(*around.shape[:2], 0, high)
    paint.fill(around, (15.0, 15.0, 16.0), recess, rng.between(0.2, 0.6))
    handle = image[top + high // 3 : top + high // 3 + high, left : left + wide]
    rgb = paint.random_colour(rng.choice((20.0, 60.0, 160.0, 220.0)), 30, rng)
    paint.fill(handle, rgb, rounded_rectangle(*handle.shape[:2], 0, high // 2))
    if rng.random() < 0.6:
        x = rng.randbelow(width)
        cv2.line(
            image,
            (x, 0),
            (x + round(rng.between(-0.3, 0.3) * height), height),
            (10.0, 10.0, 10.0),
            max(1, height // 40),
        )
    if rng.random() < 0.4:
        cv2.circle(image, (left + wide + high, top + high), max(2, high // 3), (25.0, 25.0, 25.0), -1, cv2.LINE_AA)


def _window(image: Image, rng: SeededRandom) -> None:
    """Draw a window with reflections, its rubber seal, and sometimes a sticker or a wiper."""
    height, width = image.shape[:2]
    edge = rng.between(0.15, 0.85) * height
    slope = rng.between(-0.3, 0.3) * height
    above = rng.random() < 0.5
    limit = -height if above else 2 * height
    points = np.array([(0, edge), (width, edge + slope), (width, limit), (0, limit)], float)
    mask: Mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint(points * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    dark = paint.random_colour(rng.between(8, 60), 15, rng)
    glass = paint.colourise(paint.gradient(height, width, rng), dark, paint.vary(paint.scale(dark, 2.5), 20, rng))
    for _ in range(rng.randbelow(4)):
        x, wide = rng.between(-0.2, 1) * width, rng.between(0.1, 0.5) * width
        shift = rng.between(-0.5, 0.5) * height
        over = glass.copy()
        fill_polygon(
            over,
            np.array([(x, 0), (x + wide, 0), (x + wide + shift, height), (x + shift, height)]),
            paint.random_colour(rng.between(100, 240), 30, rng),
        )
        cv2.addWeighted(over, 0.3, glass, 0.7, 0, dst=glass)
    if rng.random() < 0.4:
        size = rng.between(0.15, 0.4) * height
        place = rng.random() * width, rng.random() * height
        rgb = paint.random_colour(rng.between(60, 230), 110, rng)
        draw_emblem(
            glass,
            rng.choice(("seal", "sticker", "disc", "shield")),
            *place,
            size * 1.4,
            size,
            rgb,
            ("TÜV", "24", "P"),
            rng,
        )
    if rng.random() < 0.3:
        start = round(rng.random() * width), round(edge)
        end = (
            start[0] + round(rng.between(-1, 1) * width),
            round(edge + (-1 if above else 1) * rng.random() * 0.6 * height),
        )
        cv2.line(glass, start, end, (8.0, 8.0, 8.0), max(1, height // 25), cv2.LINE_AA)
    image[:] = paint.blend(image, glass, mask)
    seal = max(1, round(rng.between(0.02, 0.08) * height))
    cv2.line(image, (0, round(edge)), (width, round(edge + slope)), (12.0, 12.0, 12.0), seal, cv2.LINE_AA)


def _bumper(image: Image, rng: SeededRandom) -> None:
    """Draw the edge of a bumper with slits, sensors, a tow hook's cover or exhaust pipes."""
    height, width = image.shape[:2]
    rgb = paint.random_colour(rng.choice((18.0, 35.0, 90.0, 180.0, 225.0)), 60 if rng.random() < 0.4 else 6, rng)
    top = rng.between(0.1, 0.6) * height
    bend = rng.between(-0.15, 0.15) * height
    x = np.linspace(0, width, 17)
    edge = np.stack([x, top + bend * (2 * x / width - 1) ** 2], axis=1)
    fill_polygon(image, np.concatenate([edge, [[width, 2 * height], [0, 2 * height]]]), rgb)
    lit = np.rint(edge * 16).astype(np.int32)
    cv2.polylines(image, [lit], False, paint.scale(rgb, 1.5), max(1, round(0.02 * height)), cv2.LINE_AA, 4)
    for _ in range(rng.randbelow(3)):
        y = rng.between(top + 0.1 * height, 1.0 * height)
        cv2.line(
            image, (0, round(y)), (width, round(y + bend)), paint.scale(rgb, rng.between(0.2, 0.6)),
            max(1, round(rng.between(0.01, 0.12) * height)), cv2.LINE_AA,
        )  # fmt: skip
    radius = rng.between(0.04, 0.12) * height
    level = rng.between(0.5, 0.95) * height
    for _ in range(rng.randbelow(4)):
        at = round(rng.random() * width * 16), round(level * 16)
        cv2.circle(image, at, round(1.2 * radius * 16), paint.scale(rgb, 0.6), -1, cv2.LINE_AA, 4)
        cv2.circle(image, at, round(radius * 16), paint.scale(rgb, rng.between(0.3, 1.1)), -1, cv2.LINE_AA, 4)
    if rng.random() < 0.25:
        pipe = rng.between(0.15, 0.3) * height
        start = rng.random() * width
        for number in range(1 + rng.randbelow(2)):
            at = round((start + 2.4 * number * pipe) * 16), round(0.85 * height * 16)
            cv2.circle(
                image, at, round(pipe * 16), paint.random_colour(rng.between(120, 220), 5, rng), -1, cv2.LINE_AA, 4
            )
            cv2.circle(image, at, round(0.8 * pipe * 16), (8.0, 8.0, 8.0), -1, cv2.LINE_AA, 4)
