"""Signs, posters, documents and captcha-like texts. None has a single line in capitals that could be a plate."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np

from generate_captcha.arrays import Image
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.plates.graphics import background, draw_emblem, fill_polygon, rounded_rectangle, write
from generate_captcha.plates.letters import draw_small_print
from generate_captcha.scenes import words
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text.fonts import Font

Fonts = Sequence[Font]

#: Kinds of logos.
LOGOS = ("disc", "star", "shield", "crest", "figure", "tree", "flag", "seal", "wheelchair")


def write_lines(
    image: Image,
    lines: Sequence[str],
    sizes: Sequence[float],
    box: tuple[float, float, float, float],
    rgb: Rgb,
    fonts: Fonts,
    rng: SeededRandom,
) -> None:
    """Write lines one below the other into a box, in place, as large as fit.

    Arguments:
        sizes: heights of the lines relative to one another.
        box: left, top, right, bottom in pixels.
    """
    left, top, right, bottom = box
    faces = [rng.choice(fonts)] * len(lines) if rng.random() < 0.6 else [rng.choice(fonts) for _ in lines]
    # Capitals take 0.6 of a line's height.
    unit = (bottom - top) / sum(sizes)
    heights = []
    for line, size, face in zip(lines, sizes, faces, strict=True):
        shape = draw_small_print(face, line, 20).shape
        heights.append(min(0.6 * unit * size, 20 * (right - left) / max(1, shape[1])))
    align, y = rng.choice((0.0, 0.5, 0.5)), top
    for line, size, face, height in zip(lines, sizes, faces, heights, strict=True):
        wide = draw_small_print(face, line, 20).shape[1] * height / 20
        x = left + align * (right - left) + (0.5 - align) * wide
        write(image, face, line, (x, y + unit * size / 2), height, right - left, rgb)
        y += unit * size


def sign(height: int, width: int, fonts: Fonts, rng: SeededRandom) -> Image:
    """Draw a shop sign, a poster or an advertisement: several lines, often with a logo, in a frame."""
    image = _wall(height, width, rng)
    high, wide = round(rng.between(0.75, 1.3) * height), round(rng.between(0.75, 1.3) * width)
    left, top = round(rng.random() * (width - wide)), round(rng.random() * (height - high))
    ground, ink = contrasting(rng)
    board = paint.plain(high, wide, ground)
    if rng.random() < 0.3:
        board = paint.colourise(paint.gradient(high, wide, rng), ground, paint.vary(ground, 60, rng))
    margin = rng.between(0.05, 0.12) * high
    box = [margin, margin, wide - margin, high - margin]
    if rng.random() < 0.3:
        edge = cv2.subtract(
            rounded_rectangle(high, wide, 0, high // 12),
            rounded_rectangle(high, wide, max(1, round(0.4 * margin)), high // 14),
        )
        paint.fill(board, ink, edge)
    if rng.random() < 0.4:
        size = rng.between(0.3, 0.6) * min(high, 0.6 * wide)
        x = rng.choice((margin + size / 2, wide - margin - size / 2))
        rgb = paint.random_colour(rng.between(50, 220), 110, rng)
        draw_emblem(board, rng.choice(LOGOS), x, high * rng.between(0.3, 0.7), size, size, rgb, (), rng)
        if x < wide / 2:
            box[0] += 1.1 * size
        else:
            box[2] -= 1.1 * size
    if rng.random() < 0.2:
        stripe = round(rng.between(0.1, 0.25) * high)
        cv2.rectangle(board, (0, 0), (wide, stripe), paint.random_colour(rng.between(40, 200), 110, rng), -1)
        box[1] = max(box[1], 1.2 * stripe)
    lines, sizes = _lines_of_a_sign(rng)
    write_lines(board, lines, sizes, (box[0], box[1], box[2], box[3]), ink, fonts, rng)
    _paste(image, board, left, top)
    return image


def _lines_of_a_sign(rng: SeededRandom) -> tuple[list[str], list[float]]:
    """Return two to six lines and their relative heights. At least three if one is in capitals."""
    count = 2 + rng.randbelow(5)
    lines = [
        words.phrase(rng, 1 + rng.randbelow(3)) if rng.random() < 0.6 else words.small_print(rng) for _ in range(count)
    ]
    sizes = [rng.between(0.6, 1.2) for _ in lines]
    if rng.random() < 0.5:
        # A heading in larger letters.
        lines[0] = words.phrase(rng, 1 + rng.randbelow(2))
        sizes[0] = rng.between(1.4, 2.2)
    if count > 2 and rng.random() < 0.3:
        place = rng.randbelow(count)
        lines[place] = words.phrase(rng, 2 + rng.randbelow(2)).upper()
        sizes[place] = min(sizes[place], 1.0)
    return lines, sizes


def road_sign(height: int, width: int, fonts: Fonts, rng: SeededRandom) -> Image:
    """Draw directions with arrows and distances, or round and triangular signs."""
    image = _wall(height, width, rng)
    if rng.random() < 0.5:
        ground, ink = rng.choice(
            (
                ((20.0, 70.0, 150.0), (240.0, 240.0, 240.0)), ((10.0, 100.0, 60.0), (240.0, 240.0, 240.0)),
                ((240.0, 200.0, 30.0), (20.0, 20.0, 20.0)), ((235.0, 235.0, 235.0), (20.0, 20.0, 20.0)),
                ((120.0, 60.0, 30.0), (240.0, 240.0, 240.0)),
            )
        )  # fmt: skip
        high, wide = round(rng.between(0.7, 1.1) * height), round(rng.between(0.8, 1.1) * width)
        board = paint.plain(high, wide, paint.vary(ground, 15, rng))
        edge = max(1, round(0.03 * high))
        radius = round(rng.between(0.05, 0.2) * high)
        line = cv2.subtract(
            rounded_rectangle(high, wide, edge, radius), rounded_rectangle(high, wide, 2 * edge, radius)
        )
        paint.fill(board, ink, line)
        lines = [_destination(rng) for _ in range(2 + rng.randbelow(3))]
        left, right = 0.06 * wide, 0.94 * wide
        if rng.random() < 0.6:
            size = min(0.6 * high, 0.25 * wide)
            on_left = rng.random() < 0.5
            x = left + 0.5 * size if on_left else right - 0.5 * size
            _draw_arrow(board, x, 0.5 * high, size, rng.choice((0.0, 90.0, 180.0, 270.0, 45.0, 135.0)), ink)
            left, right = (left + 1.2 * size, right) if on_left else (left, right - 1.2 * size)
        sizes = [rng.between(0.8, 1.2) for _ in lines]
        write_lines(board, lines, sizes, (left, 0.1 * high, right, 0.9 * high), ink, fonts, rng)
        _paste(image, board, round(rng.random() * (width - wide)), round(rng.random() * (height - high)))
        return image
    count = 1 + rng.randbelow(max(1, round(width / height)))
    for place in range(count):
        x, y = (place + rng.between(0.35, 0.65)) * width / count, rng.between(0.4, 0.6) * height
        _draw_disc_or_triangle(image, x, y, rng.between(0.3, 0.55) * height, fonts, rng)
    return image


def _destination(rng: SeededRandom) -> str:
    name = words.invented(rng) if rng.random() < 0.6 else f"{words.word(rng)} {words.invented(rng)}"
    return f"{name} {1 + rng.randbelow(200)} km" if rng.random() < 0.4 else name


def _draw_arrow(image: Image, x: float, y: float, size: float, degrees: float, rgb: Rgb) -> None:
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    outline = [(-0.5, -0.1), (0.1, -0.1), (0.1, -0.35), (0.5, 0), (0.1, 0.35), (0.1, 0.1), (-0.5, 0.1)]
    fill_polygon(image, np.array([x, y]) + size * np.array(outline) @ turn.T, rgb)


def _draw_disc_or_triangle(image: Image, x: float, y: float, radius: float, fonts: Fonts, rng: SeededRandom) -> None:
    """Draw a sign of prohibition, of a limit or of danger."""
    red, white = (195.0, 25.0, 30.0), (240.0, 240.0, 238.0)
    centre = round(x * 16), round(y * 16)
    kind = rng.randbelow(4)
    if kind == 0:
        corners = np.array([(x, y - radius), (x + radius, y + 0.8 * radius), (x - radius, y + 0.8 * radius)])
        fill_polygon(image, corners, red)
        fill_polygon(image, np.array([x, y + 0.2 * radius]) + 0.7 * (corners - [x, y + 0.2 * radius]), white)
        draw_emblem(image, "figure", x, y + 0.3 * radius, 0.5 * radius, 0.6 * radius, (20.0, 20.0, 20.0), (), rng)
    elif kind == 1:
        blue = (25.0, 75.0, 165.0)
        cv2.circle(image, centre, round(radius * 16), blue, -1, cv2.LINE_AA, 4)
        _draw_arrow(image, x, y, 1.2 * radius, rng.choice((0.0, 180.0, 270.0, 315.0)), white)
    else:
        cv2.circle(image, centre, round(radius * 16), red, -1, cv2.LINE_AA, 4)
        cv2.circle(image, centre, round(0.78 * radius * 16), white, -1, cv2.LINE_AA, 4)
        if kind == 2:
            limit = str(rng.choice((5, 10, 20, 30, 50, 60, 70, 80, 100, 120)))
            write(image, rng.choice(fonts), limit, (x, y), 0.65 * radius, 1.1 * radius, (20.0, 20.0, 20.0))
        else:
            corner, end = ((round(x + a * radius), round(y + b * radius)) for a, b in ((-0.5, -0.12), (0.5, 0.12)))
            cv2.rectangle(image, corner, end, red, -1)


def document(height: int, width: int, fonts: Fonts, rng: SeededRandom) -> Image:
    """Draw lines of a page, a receipt, a form or a screen, of which a crop shows one to many, cut at its edges."""
    ground, ink = (
        paint.random_colour(rng.between(200, 255), 15, rng),
        paint.random_colour(rng.between(5, 90), 30, rng),
    )
    if rng.random() < 0.15:
        ground, ink = ink, ground
    image = paint.plain(height, width, ground)
    if rng.random() < 0.4:
        image = paint.colourise(
            np.ascontiguousarray(paint.texture(height, width, rng)), paint.brighten(ground, -30), ground
        )
    capital = height * math.exp(rng.between(math.log(0.07), math.log(0.45)))
    pitch = capital * rng.between(1.8, 2.8)
    face = rng.choice(fonts)
    # The receipt has its prices at the right.
    receipt = rng.random() < 0.4
    y = rng.between(-0.5, 0.7) * pitch if pitch < 0.6 * height else rng.between(0.4, 0.6) * height
    while y < height + capital:
        text = words.small_print(rng) if rng.random() < 0.5 else words.phrase(rng, 2 + rng.randbelow(3))
        if receipt:
            text = words.phrase(rng, 1 + rng.randbelow(2))
        wide = draw_small_print(face, text, 20).shape[1] * capital / 20
        # Lines begin before the left edge as often as in it.
        x = rng.between(-0.3, 0.05) * min(wide, width) if pitch > 0.3 * height else 0.05 * width
        while x < width:
            write(image, face, text, (x + wide / 2, y), capital, 4 * wide, ink)
            x += wide + 0.6 * capital
            if receipt:
                number = words.price(rng)
                wide = draw_small_print(face, number, 20).shape[1] * capital / 20
                write(image, face, number, (max(x + wide / 2, 0.97 * width - wide / 2), y), capital, 2 * wide, ink)
                break
            text = words.phrase(rng, 2)
            wide = draw_small_print(face, text, 20).shape[1] * capital / 20
        y += pitch
    if rng.random() < 0.3:
        for _ in range(1 + rng.randbelow(3)):
            line = rng.randbelow(height)
            cv2.line(
                image, (0, line), (width, line), paint.vary(ink, 60, rng), max(1, round(0.06 * capital)), cv2.LINE_AA
            )
    return image


def overlay(image: Image, fonts: Fonts, rng: SeededRandom) -> None:
    """Write date, time and the name of a camera over a picture, in place."""
    height, width = image.shape[:2]
    ink = rng.choice(((250.0, 250.0, 250.0), (250.0, 240.0, 90.0), (120.0, 250.0, 120.0)))
    text = words.time(rng)
    if rng.random() < 0.5:
        text = f"{text}  Cam {1 + rng.randbelow(16)}" if rng.random() < 0.5 else f"{words.invented(rng)}  {text}"
    capital = rng.between(0.12, 0.3) * height
    at = width / 2 + rng.between(-0.1, 0.1) * width, rng.between(0.3, 0.7) * height
    face = rng.choice(fonts)
    shade = at[0] + 0.06 * capital, at[1] + 0.06 * capital
    write(image, face, text, shade, capital, 1.3 * width, (5.0, 5.0, 5.0))
    write(image, face, text, at, capital, 1.3 * width, ink)


def contrasting(rng: SeededRandom) -> tuple[Rgb, Rgb]:
    """Return the colours of a ground and of the ink on it."""
    dark = paint.random_colour(rng.between(5, 80), 120 if rng.random() < 0.5 else 15, rng)
    light = paint.random_colour(rng.between(180, 250), 110 if rng.random() < 0.4 else 15, rng)
    return (dark, light) if rng.random() < 0.5 else (light, dark)


def _wall(height: int, width: int, rng: SeededRandom) -> Image:
    """Draw what is behind a sign: sky, a wall, a shop front."""
    tones = [paint.random_colour(rng.between(30, 240), 40, rng) for _ in range(2)]
    if rng.random() < 0.5:
        return background(height, width, tones)
    return paint.colourise(np.ascontiguousarray(paint.texture(height, width, rng)), *tones)


def _paste(image: Image, board: Image, left: int, top: int) -> None:
    """Copy `board` onto `image`, its corner at (left, top), in place. Parts outside are cut off."""
    x, y = max(0, left), max(0, top)
    part = board[y - top : image.shape[0] - top, x - left : image.shape[1] - left]
    image[y : y + part.shape[0], x : x + part.shape[1]] = part
