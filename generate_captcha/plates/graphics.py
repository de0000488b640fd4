"""The parts of a plate besides its letters: background, border, bands, small print, seals and emblems.

All functions but :func:`background` draw on an image in place. `scale` is in pixels per millimetre.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.plates import letters
from generate_captcha.plates.layout import Band, Border, Mark, Paint, Print
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text.fonts import Font


@functools.cache
def parse_colour(colour: str) -> Rgb:
    """Convert a colour such as `#003399`."""
    return tuple(float(int(colour[start : start + 2], 16)) for start in (1, 3, 5))  # type: ignore[return-value]


def background(height: int, width: int, colours: list[Rgb]) -> Image:
    """Return an image of one colour, or a gradient of several from the top down: uint8 (height, width, 3)."""
    if len(colours) == 1:
        return paint.plain(height, width, colours[0])
    places = np.linspace(0, 1, len(colours))
    rows = np.stack([np.interp(np.linspace(0, 1, height), places, part) for part in np.transpose(colours)], axis=1)
    return np.repeat(np.rint(rows).astype(np.uint8)[:, None], width, axis=1)


def draw_graphics(image: Image, palette: Paint, rng: SeededRandom) -> None:
    """Draw a random selection of the graphics of `palette`, pale."""
    if not palette.graphics:
        return
    over = image.copy()
    drawn = False
    for kind in palette.graphics:
        if rng.random() < 0.55:
            drawn = True
            rgb = paint.vary(parse_colour(rng.choice(palette.colours or palette.ground)), 20, rng)
            _draw_graphic(over, kind, rgb, rng)
    if drawn:
        share = rng.between(0.25, 0.9)
        cv2.addWeighted(over, share, image, 1 - share, 0, dst=image)


def _draw_graphic(image: Image, kind: str, rgb: Rgb, rng: SeededRandom) -> None:
    height, width = image.shape[:2]
    match kind:
        case "hills" | "waves":
            x = np.linspace(0, 1, 33)
            level = np.full(33, rng.between(0.45, 0.85))
            for octave in (1, 2, 4, 8):
                swing = rng.between(0.02, 0.14) / (1 if octave < 3 else 2)
                level += swing * np.sin(math.tau * (octave * x * rng.between(0.6, 1.4) + rng.random()))
            edge = np.stack([x * width, level * height], axis=1)
            if kind == "hills":
                fill_polygon(image, np.concatenate([edge, [[width, height], [0, height]]]), rgb)
            else:
                for step in range(1 + rng.randbelow(4)):
                    points = np.rint((edge + np.array([0, step * 0.09 * height])) * 16).astype(np.int32)
                    cv2.polylines(image, [points], False, rgb, max(1, height // 30), cv2.LINE_AA, 4)
        case "sun":
            centre = round(rng.random() * width), round(rng.between(0.2, 0.7) * height)
            cv2.circle(image, centre, round(rng.between(0.12, 0.4) * height), rgb, -1, cv2.LINE_AA)
        case "rays":
            middle = np.array([rng.random() * width, rng.between(0.3, 1.0) * height])
            for number in range(0, 24, 2):
                angles = np.array([number, number + 1]) * (math.tau / 24)
                ends = middle + 1.2 * width * np.stack([np.cos(angles), np.sin(angles)], axis=1)
                cv2.fillPoly(image, [np.rint(np.stack([middle, *ends])).astype(np.int32)], rgb, cv2.LINE_AA)
        case "clouds":
            paint.fill(image, rgb, paint.texture(height, width, rng), 0.6)
        case "stars":
            for _ in range(3 + rng.randbelow(9)):
                x, y = rng.random() * width, rng.random() * height
                _draw_star(image, x, y, rng.between(0.03, 0.1) * height, rgb)
        case "stripe":
            top = rng.choice((0.0, 0.72, 0.78, 0.84))
            end = 0.28 * rng.between(0.5, 1) if top == 0 else 1.0
            cv2.rectangle(image, (0, round(top * height)), (width, round(end * height)), rgb, -1)
        case "figure":
            x, size = rng.between(0.1, 0.9) * width, rng.between(0.3, 0.7) * height
            _draw_figure(image, x, 0.5 * height, size, rgb, rng)
        case "mesh":
            for place in range(-height, width, max(3, height // 14)):
                cv2.line(image, (place, 0), (place + height, height), rgb, 1, cv2.LINE_AA)


def fill_polygon(image: Image, points: np.ndarray, rgb: Rgb) -> None:
    """Fill a polygon of points (x, y), float (n, 2), in place."""
    cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], rgb, cv2.LINE_AA, 4)


def _draw_figure(image: Image, x: float, y: float, size: float, rgb: Rgb, rng: SeededRandom) -> None:
    """Draw a random shape, in place of a tree, an animal or the outline of a country."""
    number = 7 + rng.randbelow(8)
    angles = np.arange(number) * (math.tau / number)
    radius = size / 2 * np.array([rng.between(0.35, 1.0) for _ in range(number)])
    fill_polygon(image, np.stack([x + radius * np.cos(angles), y + radius * np.sin(angles)], axis=1), rgb)


def _draw_star(image: Image, x: float, y: float, radius: float, rgb: Rgb) -> None:
    angles = np.arange(10) * (math.pi / 5) - math.pi / 2
    radii = np.where(np.arange(10) % 2, 0.4, 1.0) * max(1.5, radius)
    fill_polygon(image, np.stack([x + radii * np.cos(angles), y + radii * np.sin(angles)], axis=1), rgb)


def draw_border(image: Image, border: Border, rgb: Rgb, scale: float) -> None:
    """Draw a line around the plate."""
    height, width = image.shape[:2]
    inset, radius = round(border.inset * scale), round(border.radius * scale)
    thickness = max(1, round(border.width * scale))
    outer = rounded_rectangle(height, width, inset, radius)
    inner = rounded_rectangle(height, width, inset + thickness, max(0, radius - thickness))
    paint.fill(image, rgb, cv2.subtract(outer, inner), 1.0)


@functools.lru_cache(maxsize=512)
def rounded_rectangle(height: int, width: int, inset: int, radius: int) -> Mask:
    """Return a filled rectangle with round corners, `inset` pixels from the edges: uint8 (height, width), read-only."""
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = inset, inset, width - 1 - inset, height - 1 - inset
    radius = max(0, min(radius, (right - left) // 2, (bottom - top) // 2))
    cv2.rectangle(mask, (left + radius, top), (right - radius, bottom), 255, -1)
    cv2.rectangle(mask, (left, top + radius), (right, bottom - radius), 255, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    mask.setflags(write=False)
    return mask


def draw_band(image: Image, band: Band, scale: float, rng: SeededRandom) -> None:
    """Draw a strip along one side with its symbol and text."""
    height, width = image.shape[:2]
    across = min(round(band.width * scale), height, width)
    horizontal = band.side in ("top", "bottom")
    part = {
        "left": image[:, :across], "right": image[:, width - across :],
        "top": image[:across], "bottom": image[height - across :],
    }[band.side]  # fmt: skip
    part[:] = np.rint(paint.vary(parse_colour(band.colour), 10, rng))
    ink = parse_colour(band.ink)
    height, width = part.shape[:2]
    room = min(height, width)
    x, y = (0.6 * room, height / 2) if horizontal else (width / 2, 0.3 * height)
    if band.symbol == "stars":
        radius = 0.3 * room
        for number in range(12):
            angle = number * math.tau / 12
            at = round((x + radius * math.cos(angle)) * 16), round((y + radius * math.sin(angle)) * 16)
            cv2.circle(part, at, max(8, round(0.045 * room * 16)), (255, 204, 0), -1, cv2.LINE_AA, 4)
    elif band.symbol == "disc":
        cv2.circle(part, (round(x), round(y)), max(2, round(0.3 * room)), ink, -1, cv2.LINE_AA)
    elif band.symbol == "flag" and band.flag:
        if horizontal:
            x = width - 0.8 * room
        flag_height, flag_width = (0.62 * room, 0.9 * room) if horizontal else (0.42 * room, 0.64 * room)
        for number, colour in enumerate(band.flag):
            top = y - flag_height / 2 + flag_height * number / len(band.flag)
            corner = round(x - flag_width / 2), round(top)
            end = round(x + flag_width / 2), round(top + flag_height / len(band.flag))
            cv2.rectangle(part, corner, end, parse_colour(colour), -1)
    if band.texts:
        text = rng.choice(band.texts)
        size = 0.55 * height if horizontal else min(0.62 * width, 0.26 * height)
        down = 0.5 if horizontal else 0.78 if band.symbol != "none" else 0.72
        write(part, letters.small_font(), text, (width / 2, down * height), size, 0.88 * width, ink)


def draw_print(image: Image, small: Print, faces: tuple[Font, ...], ink: Rgb, scale: float, rng: SeededRandom) -> None:
    """Draw small print, in the colour `ink` unless it has its own."""
    rgb = parse_colour(rng.choice(small.inks)) if small.inks else ink
    face, text = rng.choice(faces), rng.choice(small.texts)
    (x, y), height, max_width = (side * scale for side in small.at), small.height * scale, small.width * scale
    parts = tuple(text) if small.stacked else (text,)
    for place, part in enumerate(parts):
        down = 1.2 * height * (place - (len(parts) - 1) / 2)
        write(image, face, part, (x, y + down), height, max_width, rgb)


def write(
    image: Image, face: Font, text: str, centre: tuple[float, float], height: float, max_width: float, rgb: Rgb
) -> None:
    """Write small print with capitals of `height` pixels. Parts outside the image are cut off."""
    if height < 2:
        return
    # Drawn in few sizes, so that texts can be cached, and scaled.
    drawn_height = max(6, 2 * math.ceil(height / 2))
    ink = letters.draw_small_print(face, text, drawn_height)
    if not ink.size:
        return
    factor = height / drawn_height
    width, height = min(max_width, ink.shape[1] * factor), ink.shape[0] * factor
    ink = cv2.resize(ink, (max(1, round(width)), max(1, round(height))), interpolation=cv2.INTER_AREA)
    left, top = round(centre[0] - width / 2), round(centre[1] - height / 2)
    x, y = max(0, left), max(0, top)
    ink = ink[y - top :, x - left :]
    part = image[y : y + ink.shape[0], x : x + ink.shape[1]]
    if part.size:
        paint.fill(part, rgb, np.ascontiguousarray(ink[: part.shape[0], : part.shape[1]]), 1.0)


def draw_mark(image: Image, mark: Mark, gap: tuple[float, float] | None, scale: float, rng: SeededRandom) -> None:
    """Draw a seal, sticker or emblem. `gap` is the centre of the first separator in pixels, needed for marks in it."""
    if mark.at == "gap":
        assert gap
        x, y = gap[0], gap[1] + mark.offset * scale
    else:
        x, y = mark.at[0] * scale, mark.at[1] * scale
    width, height = mark.size[0] * scale, mark.size[1] * scale
    if mark.kind == "stripes":
        left, top, bottom = x - width / 2, round(y - height / 2), round(y + height / 2)
        for number, colour in enumerate(mark.colours):
            start, end = (round(left + width * edge / len(mark.colours)) for edge in (number, number + 1))
            cv2.rectangle(image, (start, top), (end - 1, bottom), parse_colour(colour), -1)
        return
    rgb = paint.vary(parse_colour(rng.choice(mark.colours)), 15, rng)
    draw_emblem(image, mark.kind, x, y, width, height, rgb, mark.texts, rng)


def draw_emblem(
    image: Image,
    kind: str,
    x: float,
    y: float,
    width: float,
    height: float,
    rgb: Rgb,
    texts: Sequence[str],
    rng: SeededRandom,
) -> None:
    """Draw a mark of `kind` (:class:`generate_captcha.plates.layout.Mark`, but not stripes) with the colour `rgb`.

    Arguments:
        x, y, width, height: centre and size in pixels. Round marks are as wide as the smaller of width and height.
        texts: texts of stickers; one of them.
    """
    corner, end = (round(x - width / 2), round(y - height / 2)), (round(x + width / 2), round(y + height / 2))
    # With four fractional bits.
    centre, radius = (round(x * 16), round(y * 16)), round(min(width, height) * 8)
    match kind:
        case "seal":
            cv2.circle(image, centre, radius, paint.scale(rgb, 0.55), -1, cv2.LINE_AA, 4)
            cv2.circle(image, centre, round(0.9 * radius), rgb, -1, cv2.LINE_AA, 4)
            inner = paint.scale(rgb, rng.between(0.5, 0.9))
            cv2.circle(image, centre, round(0.45 * radius), inner, -1, cv2.LINE_AA, 4)
        case "disc" | "dot":
            cv2.circle(image, centre, radius, rgb, -1, cv2.LINE_AA, 4)
        case "star":
            _draw_star(image, x, y, min(width, height) / 2, rgb)
        case "dash":
            cv2.rectangle(image, corner, end, rgb, -1)
        case "sticker":
            cv2.rectangle(image, corner, end, rgb, -1)
            ink: Rgb = (20, 20, 20) if sum(rgb) > 380 else (245, 245, 245)
            if texts:
                write(image, letters.small_font(), rng.choice(texts), (x, y), 0.6 * height, 0.85 * width, ink)
        case "shield":
            points = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.05), (0.25, 0.38), (0, 0.5), (-0.25, 0.38), (-0.5, 0.05)]
            outline = np.array([(x + a * width, y + b * height) for a, b in points])
            fill_polygon(image, outline, rgb)
            fill_polygon(image, np.array([x, y]) + 0.6 * (outline - [x, y]), paint.scale(rgb, 0.7))
        case "figure":
            _draw_figure(image, x, y, min(width, height), rgb, rng)
        case "crest":
            # A disc with a ring, and a star or a shape in it, as of states and firefighters.
            cv2.circle(image, centre, radius, rgb, -1, cv2.LINE_AA, 4)
            inner = paint.random_colour(255 - sum(rgb) / 3, 70, rng)
            cv2.circle(image, centre, round(rng.between(0.5, 0.85) * radius), inner, -1, cv2.LINE_AA, 4)
            if rng.random() < 0.5:
                _draw_star(image, x, y, 0.5 * radius / 16, rgb)
            else:
                _draw_figure(image, x, y, 1.1 * radius / 16, rgb, rng)
        case "tree":
            # A conifer, or a tower: narrow, with the height of a letter.
            foot = rng.between(0.05, 0.2) * width
            points = [(-foot, height / 2), (-foot, 0.35 * height)]
            for level in (0.35, 0.1, -0.15):
                points += [(-0.5 * width * (0.6 + level), level * height), (-0.2 * width, (level - 0.15) * height)]
            left = [*points, (0.0, -height / 2)]
            right = [(-a, b) for a, b in reversed(points)]
            fill_polygon(image, np.array([(x + a, y + b) for a, b in (*left, *right)]), rgb)
        case "wheelchair":
            # The sign of access: a white person in a wheel, on a square.
            ink = (250.0, 250.0, 250.0) if sum(rgb) < 480 else (30.0, 60.0, 150.0)
            if rng.random() < 0.6:
                cv2.rectangle(image, corner, end, rgb, -1)
            else:
                ink = rgb
            thickness = max(1, round(0.09 * height))
            wheel = (round((x - 0.06 * width) * 16), round((y + 0.16 * height) * 16))
            cv2.circle(image, wheel, round(0.25 * height * 16), ink, thickness, cv2.LINE_AA, 4)
            head = (round((x - 0.1 * width) * 16), round((y - 0.36 * height) * 16))
            cv2.circle(image, head, round(0.08 * height * 16), ink, -1, cv2.LINE_AA, 4)
            body = [(-0.1, -0.28), (-0.06, 0.08), (0.2, 0.08), (0.3, 0.38)]
            bones = np.array([(round((x + a * width) * 16), round((y + b * height) * 16)) for a, b in body])
            cv2.polylines(image, [bones.astype(np.int32)], False, ink, thickness, cv2.LINE_AA, 4)
        case "flag":
            for number in range(3):
                top, bottom = (round(y + height * (part / 3 - 0.5) * 0.7) for part in (number, number + 1))
                cv2.rectangle(
                    image, (corner[0], top), (end[0], bottom), paint.random_colour(rng.between(60, 220), 110, rng), -1
                )
        case "bolt":
            cv2.circle(image, centre, radius, paint.scale(rgb, 0.5), -1, cv2.LINE_AA, 4)
            cv2.circle(image, centre, round(0.8 * radius), rgb, -1, cv2.LINE_AA, 4)
            tilt, reach = rng.random() * math.pi, 0.6 * radius / 16
            across = math.cos(tilt) * reach, math.sin(tilt) * reach
            one, other = ((round((x + side * across[0]) * 16), round((y + side * across[1]) * 16)) for side in (-1, 1))
            cv2.line(image, one, other, paint.scale(rgb, 0.4), max(1, round(reach / 3)), cv2.LINE_AA, 4)
