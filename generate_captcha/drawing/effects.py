"""Effects of light, lens, sensor and file format on a picture. Images are uint8 (height, width, 3) in RGB order."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np

from generate_captcha.arrays import Image
from generate_captcha.drawing.tile import Tile
from generate_captcha.seeded_random import SeededRandom

#: Standard deviation of the stored noise, in grey levels.
STORED_NOISE = 32


def motion_blur(image: Image, length: float, degrees: float) -> Image:
    """Blur as a movement by `length` pixels in the direction `degrees` does."""
    radius = max(1, math.ceil(length / 2))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    x, y = length / 2 * math.cos(math.radians(degrees)), length / 2 * math.sin(math.radians(degrees))
    # cv2.line takes coordinates with four fractional bits as integers.
    start, end = (
        (round((radius - x) * 16), round((radius - y) * 16)),
        (round((radius + x) * 16), round((radius + y) * 16)),
    )
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def low_resolution(image: Image, factor: float) -> Image:
    """Reduce each side by `factor` (at most 1) and enlarge the image again."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def jpeg(image: Image, quality: int) -> Image:
    """Compress as JPEG of `quality` (0 to 100) and decompress."""
    # OpenCV expects BGR and returns the channels in the same order; JPEG treats red and blue similarly enough.
    stored = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(stored, cv2.IMREAD_COLOR)  # type: ignore[return-value]  # never None for a valid file


def expose(image: Image, gains: tuple[float, float, float], offset: float, gamma: float) -> Image:
    """Multiply each channel by its gain, add `offset` grey levels, and apply `gamma`."""
    level = np.arange(256)[:, None] / 255
    table = 255 * (level * np.array(gains) + offset / 255).clip(0, 1) ** gamma
    return cv2.LUT(image, table.round().astype(np.uint8)[None])


def saturate(image: Image, factor: float) -> Image:
    """Multiply the saturation by `factor`: 0 gives grey."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, factor, grey, 1 - factor, 0)


def shadow(image: Image, darkness: float, rng: SeededRandom) -> Image:
    """Darken one side of a straight soft edge by the fraction `darkness`."""
    height, width = image.shape[:2]
    angle, edge = rng.random() * 2 * math.pi, rng.between(0.02, 0.4) * height
    x, y = rng.between(0.2, 0.8) * width, rng.between(0.2, 0.8) * height
    across = (np.arange(width, dtype=np.float32) - x) * np.float32(math.cos(angle) / edge)
    down = (np.arange(height, dtype=np.float32) - y) * np.float32(math.sin(angle) / edge)
    share = (across + down[:, None]).clip(-0.5, 0.5)
    share += 0.5
    return cv2.blendLinear(cv2.convertScaleAbs(image, alpha=1 - darkness), image, share, 1 - share)


def glare(image: Image, light: float, radius: float, rng: SeededRandom) -> Image:
    """Add the reflection of a lamp: up to `light` grey levels, with a `radius` in heights of the image."""
    height, width = image.shape[:2]
    x, y = rng.random() * width, rng.random() * height
    long = radius * height * rng.between(0.6, 2.0)
    across = np.exp(-(((np.arange(width, dtype=np.float32) - x) / long) ** 2))
    down = np.exp(-(((np.arange(height, dtype=np.float32) - y) / (radius * height)) ** 2)) * np.float32(light)
    spot = np.outer(down, across).astype(np.uint8)
    return cv2.add(image, cv2.merge([spot] * 3))


def bloom(image: Image, radius: float, share: float) -> Image:
    """Add the fraction `share` of the light above a threshold, blurred by `radius` pixels."""
    bright = cv2.subtract(image, np.full(4, 120.0))
    return cv2.addWeighted(image, 1.0, cv2.GaussianBlur(bright, (0, 0), radius), share, 0)


def noise(image: Image, deviation: float, coloured: bool, rng: SeededRandom) -> Image:
    """Add normal noise with a standard deviation of `deviation` grey levels."""
    height, width = image.shape[:2]
    strength = deviation / STORED_NOISE
    return cv2.addWeighted(image, 1.0, _noise(coloured).cut(height, width, rng), strength, -128 * strength)


@functools.cache
def _noise(coloured: bool) -> Tile:
    channels = 3 if coloured else 1
    values = np.random.default_rng(1).standard_normal((256, 640, channels), np.float32) * STORED_NOISE + 128.5
    return Tile(np.broadcast_to(values.clip(0, 255), (256, 640, 3)).astype(np.uint8))


def scan(image: Image, factor: float, contrast: float, rng: SeededRandom) -> Image:
    """Convert to grey as scanners and fax machines do: reduce each side by `factor` (at most 1) and enlarge again.

    Multiplies the distance of grey levels from the threshold between ink and paper by `contrast`; from 255 on, only
    black and white are left. The threshold is Otsu's (1979), which minimises the variance on either side.
    """
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    threshold = cv2.threshold(small, 0, 255, cv2.THRESH_OTSU)[0]
    levels = 127.5 + contrast * (np.arange(256) - threshold)
    stored = cv2.LUT(small, levels.clip(0, 255).astype(np.uint8))
    interpolation = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(stored, (width, height), interpolation=interpolation), cv2.COLOR_GRAY2RGB)
