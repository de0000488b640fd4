"""Random small changes to a picture that keep its text readable.

The changes and their strength were chosen by looking at contact sheets of real captchas and plates. Geometry keeps the
text inside the frame, and noise is relative to the picture's contrast.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from crnn_reader.pixels import Image

#: Fraction of the sides that geometry may move out of the frame. It is small, because text may be close to the border.
#: In pixels, at most twice as much of the width as of the height.
_MARGIN = 0.04

#: Maximum rotation at strength 1 in degrees. The ends of a wide picture rise by at most this fraction of its height.
_TURN, _RISE = 6.0, 0.35

#: Standard deviation in grey levels below which contrast is not reduced.
_FAINTEST = 15.0

#: Standard deviation of precomputed noise in grey levels.
_NOISE = 32.0

_TONES = np.arange(256) / 255

#: Number of displacement fields per size of picture.
_BENDS = 64


def augment(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Return a changed copy of a picture, which depends only on the arguments.

    Arguments:
        image: uint8 (height, width, channels).
        rng: source of random numbers.
        strength: 0 changes nothing, 1 is usual. Up to 1 it raises the probability of each change, and always its size.
    """
    if strength <= 0:
        return image
    # Always 31 numbers in one call, which takes as long as drawing one.
    u = rng.random(31).tolist()
    often = min(1.0, strength)
    shape = image.shape

    if u[0] < 0.9 * often:
        image = cv2.warpPerspective(
            image, _warp(u[1:9], strength, *shape[1::-1]), shape[1::-1], borderMode=cv2.BORDER_REPLICATE
        )
    if u[9] < 0.5 * often:
        bend, interpolation = _bend(shape[0], shape[1], strength, int(u[10] * _BENDS))
        image = cv2.remap(image, bend, interpolation, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if u[11] < 0.25 * often:
        image = _coarse(image, u[12], u[13], strength)
    image = image.reshape(shape)
    if u[14] < 0.2 * often:
        image = _stroke(image, u[15:21])
    if u[21] < 0.9 * often:
        image = _light(image, u[22:28], strength)
    if u[28] < 0.5 * often:
        image = _noise(image, u[29], u[30], strength)
    return image


def augmented(images: Any, row: int, epoch: int, seed: int, strength: float) -> Image:
    """The picture in `row` as augmented in `epoch`. Depends only on the arguments, in any process."""
    image: Image = images[row]
    if strength <= 0:
        return image
    # Counter-based random numbers (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011) need no seeding.
    rng = np.random.Generator(np.random.Philox(key=seed, counter=[0, row, epoch, 0]))
    return augment(image, rng, strength)


def _warp(u: list[float], strength: float, width: int, height: int) -> npt.NDArray[np.float64]:
    """A matrix of rotation, shear, scale, shift and perspective around the centre."""
    rotation, shear, grow, aspect, right, down, tilt, swing = (strength * (2 * x - 1) for x in u[:8])
    angle, slant = rotation * min(math.radians(_TURN), math.atan(_RISE * height / width)), 0.2 * shear
    scale_x = math.exp(0.12 * grow + 0.1 * aspect)
    scale_y = math.exp(0.12 * grow - 0.1 * aspect)
    cos, sin = math.cos(angle), math.sin(angle)
    # Coordinates are in halves of the height, so that wide pictures are not distorted more than others.
    unit = height / 2
    a, b = scale_x * cos, scale_x * (slant * cos - sin)
    c, d = scale_y * sin, scale_y * (slant * sin + cos)
    g, h = 0.12 * tilt * height / width, 0.12 * swing
    edge_x, edge_y = width / height - 2 * _MARGIN * min(width / height, 2), 1 - 2 * _MARGIN
    xs, ys = [], []
    for x, y in ((-edge_x, -edge_y), (edge_x, -edge_y), (edge_x, edge_y), (-edge_x, edge_y)):
        w = 1 + g * x + h * y
        xs.append((a * x + b * y) / w)
        ys.append((c * x + d * y) / w)
    # Shrink the text to fit into the frame, and limit the shift to the space that is left.
    shrink_x = min(1.0, 2 * width / height / (max(xs) - min(xs)))
    shrink_y = min(1.0, 2 / (max(ys) - min(ys)))
    low_x, high_x = -width / height - shrink_x * min(xs), width / height - shrink_x * max(xs)
    low_y, high_y = -1 - shrink_y * min(ys), 1 - shrink_y * max(ys)
    x0 = min(max(0.08 * right * width / height, low_x), high_x)
    y0 = min(max(0.12 * down, low_y), high_y)
    centre_x, centre_y = (width - 1) / 2, (height - 1) / 2
    matrix = np.array(
        [
            [shrink_x * a + x0 * g, shrink_x * b + x0 * h, x0],
            [shrink_y * c + y0 * g, shrink_y * d + y0 * h, y0],
            [g, h, 1],
        ]
    )
    to_pixels = np.array([[unit, 0, centre_x], [0, unit, centre_y], [0, 0, 1]])
    from_pixels = np.array([[1 / unit, 0, -centre_x / unit], [0, 1 / unit, -centre_y / unit], [0, 0, 1]])
    return to_pixels @ matrix @ from_pixels


# All fields of one size, or some fields of many sizes. A field of 128x64 takes 50 kB.
@lru_cache(maxsize=2 * _BENDS)
def _bend(
    height: int, width: int, strength: float, number: int
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.uint16]]:
    """Maps for cv2.remap of smooth displacements that bend and squeeze single letters."""
    rng = np.random.default_rng(number)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    # A knot every half height along the text and two across it, about two per letter, and zero at the borders.
    knots = rng.normal(0, 1, (2, 2, max(3, round(2 * width / height)))).astype(np.float32)
    knots = np.pad(knots, ((0, 0), (1, 1), (1, 1)))
    field = [cv2.resize(knot, (width, height), interpolation=cv2.INTER_CUBIC) for knot in knots]
    amount = rng.uniform(0.3, 1) * 0.04 * height * min(strength, 1.5)
    return cv2.convertMaps(x + amount * field[0], y + amount * field[1], cv2.CV_16SC2)


def _coarse(image: Image, kind: float, amount: float, strength: float) -> Image:
    """Blur the picture, or reduce its resolution. Letters keep a height of at least about 20 pixels."""
    height, width = image.shape[:2]
    if kind < 0.5:
        return cv2.GaussianBlur(image, (0, 0), 0.3 + 0.9 * amount * strength * min(1.0, height / 64))
    factor = max(1 - 0.5 * amount * strength, min(1.0, 24 / height))
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(cv2.resize(image, small, interpolation=cv2.INTER_AREA), (width, height))


def _stroke(image: Image, u: list[float]) -> Image:
    """Draw a thin line over a part of the picture, in a colour that occurs in it."""
    height, width = image.shape[:2]
    colour = image[int(u[0] * height), int(u[1] * width)].tolist()
    x, y = int(u[2] * width), int(u[3] * height)
    reach = (0.2 + 0.8 * u[4]) * width / 2
    rise = (u[5] - 0.5) * height
    thickness = max(1, round(height / 64))
    ends = (int(x - reach), int(y - rise)), (int(x + reach), int(y + rise))
    return cv2.line(image.copy(), *ends, colour, thickness, cv2.LINE_AA)


def _light(image: Image, u: list[float], strength: float) -> Image:
    """Change gamma, contrast and brightness by a table per channel. Sometimes reduces the contrast strongly."""
    mean, deviation = _level(image)
    gamma = math.exp(0.4 * strength * (2 * u[0] - 1))
    contrast = 0.35 + 0.35 * u[1] if u[2] < 0.15 else math.exp(0.3 * strength * (2 * u[1] - 1))
    # Do not make faint pictures fainter.
    contrast = max(contrast, min(1.0, _FAINTEST / max(deviation, 1e-3)))
    spread = contrast * deviation
    centre = mean + 40 * strength * (2 * u[3] - 1)
    centre = min(max(centre, spread), 255 - spread)
    tones = 255 * _TONES**gamma
    tones = (tones - 255 * (mean / 255) ** gamma) * contrast + centre
    if image.shape[2] == 3:
        cast = 15 * strength
        tones = tones[:, None] + np.array([cast * (2 * u[4] - 1), 0, cast * (2 * u[5] - 1)])
    table = tones.clip(0, 255).astype(np.uint8).reshape(1, 256, -1)
    return cv2.LUT(image, table).reshape(image.shape)


def _noise(image: Image, amount: float, place: float, strength: float) -> Image:
    """Add normal noise, up to 40 % of the picture's contrast."""
    sigma = min(amount * strength, 1.0) * min(20.0, 0.4 * _level(image)[1])
    bank = _noises(max(1 << 18, 1 << (4 * image.size - 1).bit_length()))
    start = int(place * (bank.size - image.size))
    noise = bank[start : start + image.size].reshape(image.shape)
    scale = sigma / _NOISE
    return cv2.addWeighted(image, 1, noise, scale, -128 * scale).reshape(image.shape)


def _level(image: Image) -> tuple[float, float]:
    """Mean and standard deviation of all pixels, averaged over the channels."""
    means, deviations = cv2.meanStdDev(image)
    return float(means.mean()), float(deviations.mean())


@lru_cache(maxsize=4)
def _noises(length: int) -> npt.NDArray[np.uint8]:
    """Precomputed noise around 128, from which parts are used. Drawing new noise would take most of the time."""
    noise = np.random.default_rng(0).normal(128, _NOISE, length)
    return noise.clip(0, 255).astype(np.uint8)
