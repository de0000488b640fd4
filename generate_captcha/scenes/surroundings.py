"""What is around vehicles and roads: walls, fences, windows, plants, roads, lamps at night."""

from __future__ import annotations

import math

import cv2
import numpy as np

from generate_captcha.arrays import Image
from generate_captcha.drawing import paint
from generate_captcha.plates.graphics import background, fill_polygon
from generate_captcha.seeded_random import SeededRandom


def surroundings(height: int, width: int, rng: SeededRandom) -> Image:
    """Draw a random one of the scenes below."""
    return rng.choice((_plain, _bricks, _fence, _facade, _foliage, _foliage, _road, _crossing, _stripes, _night))(
        height, width, rng
    )


def _plain(height: int, width: int, rng: SeededRandom) -> Image:
    """A wall, the sky, plaster: a gradient or a texture in two colours."""
    tones = [paint.random_colour(rng.between(10, 245), 60, rng) for _ in range(2)]
    if rng.random() < 0.4:
        tones[1] = paint.vary(tones[0], 40, rng)
    levels = paint.texture(height, width, rng) if rng.random() < 0.6 else paint.gradient(height, width, rng)
    return paint.colourise(np.ascontiguousarray(levels), *tones)


def _bricks(height: int, width: int, rng: SeededRandom) -> Image:
    """Bricks, tiles, paving stones: rows of stones, usually shifted by half a stone."""
    rgb = paint.random_colour(rng.between(60, 180), 70, rng)
    joint = paint.random_colour(rng.between(40, 220), 10, rng)
    image = paint.plain(height, width, joint)
    tall = max(4.0, rng.between(0.08, 0.35) * height)
    wide, gap = tall * rng.between(1.0, 3.5), max(1.0, tall * rng.between(0.05, 0.15))
    shifted = 0.5 if rng.random() < 0.8 else 0.0
    begin = -rng.random() * wide
    for number, y in enumerate(np.arange(-rng.random() * tall, height, tall)):
        for x in np.arange(begin - (number % 2) * shifted * wide, width, wide):
            corner, end = (round(x), round(y)), (round(x + wide - gap), round(y + tall - gap))
            cv2.rectangle(image, corner, end, paint.vary(rgb, 18, rng), -1)
    return _textured(image, 0.3, rng)


def _fence(height: int, width: int, rng: SeededRandom) -> Image:
    """Bars, wires or a mesh in front of something, a railing, a grating, a gully."""
    image = _foliage(height, width, rng) if rng.random() < 0.4 else _plain(height, width, rng)
    rgb = paint.random_colour(rng.between(10, 230), 30, rng)
    pitch = rng.between(0.08, 0.5) * height
    thick = max(1, round(pitch * rng.between(0.06, 0.5)))
    kind = rng.randbelow(4)
    if kind == 3:
        for start in np.arange(-height, width + height, pitch):
            for slope in (-1, 1):
                end = round(start + slope * height)
                cv2.line(image, (round(start), 0), (end, height), rgb, max(1, thick // 2), cv2.LINE_AA)
        return image
    if kind != 1:
        for x in np.arange(rng.random() * pitch, width, pitch):
            cv2.line(image, (round(x), 0), (round(x), height), paint.vary(rgb, 10, rng), thick, cv2.LINE_AA)
    if kind != 0:
        for y in np.arange(rng.random() * pitch, height, pitch * rng.between(0.8, 3)):
            cv2.line(image, (0, round(y)), (width, round(y)), paint.vary(rgb, 10, rng), thick, cv2.LINE_AA)
    return image


def _facade(height: int, width: int, rng: SeededRandom) -> Image:
    """Windows of a building, with frames, blinds and reflections."""
    image = _textured(paint.plain(height, width, paint.random_colour(rng.between(50, 220), 40, rng)), 0.3, rng)
    frame = paint.random_colour(rng.choice((30.0, 120.0, 235.0)), 15, rng)
    tall = rng.between(0.25, 1.1) * height
    wide, room = tall * rng.between(0.5, 1.8), rng.between(1.2, 1.8)
    for y in np.arange(-rng.random() * tall, height, tall * room):
        for x in np.arange(-rng.random() * wide, width, wide * room):
            glass = paint.random_colour(rng.between(15, 200), 25, rng)
            corner, end = (round(x), round(y)), (round(x + wide), round(y + tall))
            cv2.rectangle(image, corner, end, glass, -1)
            if rng.random() < 0.3:
                for line in np.arange(y, y + tall, max(2.0, tall / 12)):
                    cv2.line(image, (corner[0], round(line)), (end[0], round(line)), paint.brighten(glass, 50), 1)
            thick = max(1, round(0.05 * tall))
            cv2.rectangle(image, corner, end, frame, thick)
            middle = round(x + wide / 2)
            cv2.line(image, (middle, corner[1]), (middle, end[1]), frame, thick)
    return image


def _foliage(height: int, width: int, rng: SeededRandom) -> Image:
    """Leaves, grass, gravel or a crowd: many small shapes of similar colours."""
    rgb = paint.random_colour(rng.between(30, 130), 60, rng)
    if rng.random() < 0.7:
        rgb = (0.7 * rgb[1], min(255.0, 1.1 * rgb[1] + 15), 0.5 * rgb[1])
    image = paint.colourise(
        np.ascontiguousarray(paint.texture(height, width, rng)), paint.scale(rgb, 0.3), paint.scale(rgb, 1.2)
    )
    size = rng.between(0.02, 0.15) * height
    for _ in range(min(400, round(0.6 * height * width / (size * size + 4)))):
        at = rng.randbelow(width), rng.randbelow(height)
        axes = max(1, round(size * rng.between(0.3, 1.0))), max(1, round(size * rng.between(0.1, 0.6)))
        shade = paint.vary(paint.scale(rgb, rng.between(0.4, 1.7)), 15, rng)
        cv2.ellipse(image, at, axes, rng.between(0, 180), 0, 360, shade, -1, cv2.LINE_AA)
    return image


def _asphalt(height: int, width: int, rng: SeededRandom) -> Image:
    rgb = paint.random_colour(rng.between(45, 150), 10, rng)
    return _textured(paint.plain(height, width, rgb), 0.4, rng)


def _road(height: int, width: int, rng: SeededRandom) -> Image:
    """A road with its markings, in perspective, up to a horizon or a kerb."""
    image = _asphalt(height, width, rng)
    horizon = rng.between(-0.5, 0.4) * height
    white = paint.random_colour(rng.between(170, 240), 25, rng)
    vanishing = rng.between(0.2, 0.8) * width, horizon
    for _ in range(1 + rng.randbelow(3)):
        foot, wide = rng.between(-0.3, 1.3) * width, rng.between(0.03, 0.15) * height
        dashes = 1 if rng.random() < 0.4 else 5
        for dash in range(dashes):
            # Shares of the way from the vanishing point to the lower edge.
            near, far = 1 - dash / dashes, 1 - (dash + (0.55 if dashes > 1 else 0.95)) / dashes
            points = []
            for share, side in ((near, -1), (near, 1), (far, 1), (far, -1)):
                x = vanishing[0] + share * (foot - vanishing[0]) + side * share * wide
                points.append((x, horizon + share * (height - horizon)))
            fill_polygon(image, np.array(points), white)
    if horizon > 0:
        image[: round(horizon)] = _foliage(round(horizon) or 1, width, rng)[: round(horizon)]
    return _textured(image, 0.15, rng)


def _crossing(height: int, width: int, rng: SeededRandom) -> Image:
    """Stripes on a road: a crossing, an arrow, a parking space."""
    image = _asphalt(height, width, rng)
    white = paint.random_colour(rng.between(170, 240), 20, rng)
    pitch, slant = rng.between(0.15, 0.8) * height, rng.between(-0.6, 0.6) * height
    for x in np.arange(-height, width + height, pitch):
        points = [(x, 0), (x + 0.5 * pitch, 0), (x + 0.5 * pitch + slant, height), (x + slant, height)]
        fill_polygon(image, np.array(points, float), white)
    return _textured(image, 0.35, rng)


def _stripes(height: int, width: int, rng: SeededRandom) -> Image:
    """Blinds, corrugated sheet, stairs, boards, pipes: parallel bands with light and shade."""
    dark = paint.random_colour(rng.between(5, 110), 50, rng)
    light = paint.vary(paint.brighten(dark, rng.between(25, 150)), 20, rng)
    angle = rng.choice((0.0, math.pi / 2, rng.between(0, math.pi)))
    period = rng.between(0.05, 0.5) * height
    rows, columns = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    wave = np.cos(2 * np.pi * (columns * math.cos(angle) + rows * math.sin(angle)) / period)
    steep = rng.between(1, 10)
    levels = 255 / (1 + np.exp(-steep * (wave - rng.between(-0.7, 0.7))))
    return _textured(paint.colourise(levels.astype(np.uint8), dark, light), 0.2 * rng.random(), rng)


def _night(height: int, width: int, rng: SeededRandom) -> Image:
    """A dark street with lamps, headlights and their reflections."""
    image = background(height, width, [paint.random_colour(rng.between(2, 40), 12, rng) for _ in range(2)])
    for _ in range(rng.randbelow(5)):
        corner = rng.randbelow(width), rng.randbelow(height)
        end = corner[0] + round(rng.between(0.1, 1) * height), corner[1] + round(rng.between(0.1, 0.8) * height)
        cv2.rectangle(image, corner, end, paint.random_colour(rng.between(5, 60), 20, rng), -1)
    glow = np.zeros_like(image)
    for _ in range(1 + rng.randbelow(6)):
        at, radius = (rng.randbelow(width), rng.randbelow(height)), max(1, round(rng.between(0.02, 0.2) * height))
        cv2.circle(glow, at, radius, paint.random_colour(rng.between(150, 250), 90, rng), -1, cv2.LINE_AA)
    image = cv2.add(image, cv2.GaussianBlur(glow, (0, 0), 0.15 * height))
    return cv2.add(image, cv2.convertScaleAbs(glow, alpha=rng.between(0.3, 1)))


def _textured(image: Image, strength: float, rng: SeededRandom) -> Image:
    """Vary the brightness by a texture: up to a fraction `strength` of it."""
    height, width = image.shape[:2]
    texture = cv2.convertScaleAbs(paint.texture(height, width, rng), alpha=strength, beta=255 * (1 - strength))
    return cv2.multiply(image, cv2.merge([texture] * 3), scale=1 / 255)
