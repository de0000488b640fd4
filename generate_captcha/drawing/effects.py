"""What lies between a print and its picture: the angle, the lens, the sensor, the file format."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.style import Image, Source

Plane = NDArray[np.float64]
Mask = NDArray[np.uint8]

#: Points of the upper and lower edge by which the extent of a bent line is found.
EDGE = np.linspace(-0.5, 0.5, 9)


class Pose(NamedTuple):
    """How a line lies in the picture. Lengths are in em, the line's box is centred at the origin, y points down."""

    rotation: float = 0.0  #: degrees, clockwise
    shear: float = 0.0  #: the top goes right by this part of the height
    stretch: float = 1.0  #: width as a multiple
    tilt: tuple[float, float] = (0.0, 0.0)  #: perspective: how much the far right and the bottom shrink
    arc: float = 0.0  #: how far the ends hang below the middle, in em
    wave: tuple[float, float, float] = (0.0, 1.0, 0.0)  #: amplitude and wave length in em, phase

    def bent(self) -> bool:
        """Whether straight lines become curves."""
        return bool(self.arc or self.wave[0])

    def matrix(self, width: float, height: float) -> Plane:
        """The straight part of the pose of a box of `width` × `height` em: a homography, (3, 3)."""
        turn = math.radians(self.rotation)
        sine, cosine = math.sin(turn), math.cos(turn)
        a, b = self.stretch, -self.shear
        return np.array(
            [
                [cosine * a, cosine * b - sine, 0.0],
                [sine * a, sine * b + cosine, 0.0],
                [self.tilt[0] / width, self.tilt[1] / height, 1.0],
            ]
        )

    def sag(self, x: Plane, width: float) -> Plane:
        """How far below its place a point at `x` comes to lie, in em."""
        amplitude, length, phase = self.wave
        low = x * x
        low *= 4 * self.arc / width**2
        if amplitude:
            low += amplitude * np.sin(x * (2 * math.pi / length) + phase)
        return low


def extent(pose: Pose, width: float, height: float) -> tuple[Plane, tuple[float, float, float, float]]:
    """The matrix of `pose` for a box of `width` × `height` em, and the left, top, right and bottom that it takes."""
    matrix = pose.matrix(width, height)
    edge = EDGE * width
    sag = pose.sag(edge, width) if pose.bent() else 0.0
    points = np.ones((3, 2 * len(EDGE)))
    points[0, : len(EDGE)] = points[0, len(EDGE) :] = edge
    points[1, : len(EDGE)] = sag - height / 2
    points[1, len(EDGE) :] = sag + height / 2
    points = matrix @ points
    points = points[:2] / points[2]
    (left, top), (right, bottom) = points.min(axis=1), points.max(axis=1)
    return matrix, (float(left), float(top), float(right), float(bottom))


def project(mask: Mask, pose: Pose, width: float, to_picture: Plane, to_mask: Plane, size: tuple[int, int]) -> Mask:
    """`mask` as it lies in a picture of `size` (width, height).

    `to_picture` (3, 3) brings em, after the pose's curves, to the picture's pixels, `to_mask` em to the mask's.
    """
    if not pose.bent():
        return cv2.warpPerspective(mask, to_picture @ np.linalg.inv(to_mask), size, flags=cv2.INTER_LINEAR)
    back = np.linalg.inv(to_picture)
    columns, rows = np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32)[:, None]
    (ax, bx, cx), (ay, by, cy), (az, bz, cz) = back.astype(np.float32).tolist()
    x, y = (ax * columns + cx) + bx * rows, (ay * columns + cy) + by * rows
    if az or bz:
        depth = 1 / ((az * columns + cz) + bz * rows)
        x *= depth
        y *= depth
    else:
        x /= np.float32(cz)
        y /= np.float32(cz)
    y -= pose.sag(x, width)
    x *= np.float32(to_mask[0, 0])
    x += np.float32(to_mask[0, 2])
    y *= np.float32(to_mask[1, 1])
    y += np.float32(to_mask[1, 2])
    return cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)


def motion(image: Image, length: float, degrees: float) -> Image:
    """Blurred as by a hand that moved `length` pixels in a direction."""
    radius = max(1, math.ceil(length / 2))
    kernel = np.zeros((2 * radius + 1, 2 * radius + 1), np.float32)
    x, y = length / 2 * math.cos(math.radians(degrees)), length / 2 * math.sin(math.radians(degrees))
    # cv2.line takes fractions of a pixel as integers: four bits of them.
    start, end = (
        (round((radius - x) * 16), round((radius - y) * 16)),
        (round((radius + x) * 16), round((radius + y) * 16)),
    )
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, 4)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)


def coarse(image: Image, factor: float) -> Image:
    """Taken with `factor` (at most 1) times the pixels a side, and enlarged again."""
    height, width = image.shape[:2]
    small = cv2.resize(
        image, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=cv2.INTER_AREA
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def jpeg(image: Image, quality: int) -> Image:
    """Stored as JPEG and read again."""
    # OpenCV takes the channels for BGR and gives them back as it got them; red and blue are treated alike enough.
    stored = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return cv2.imdecode(stored, cv2.IMREAD_COLOR)  # type: ignore[return-value]  # it was a picture a moment ago


def exposed(image: Image, gains: tuple[float, float, float], offset: float, gamma: float) -> Image:
    """As a sensor takes it: each channel times its gain, brightened by `offset` levels, bent by `gamma`."""
    level = np.arange(256)[:, None] / 255
    table = 255 * (level * np.array(gains) + offset / 255).clip(0, 1) ** gamma
    return cv2.LUT(image, table.round().astype(np.uint8)[None])


def coloured(image: Image, much: float) -> Image:
    """With `much` times the colour: 0 is grey, more than 1 is gaudy."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    return cv2.addWeighted(image, much, grey, 1 - much, 0)


def shadowed(image: Image, darkness: float, source: Source) -> Image:
    """With a shadow's straight and more or less soft edge across it: `darkness` (0 … 1) of the light is missing."""
    height, width = image.shape[:2]
    angle, edge = source.random() * 2 * math.pi, source.between(0.02, 0.4) * height
    x, y = source.between(0.2, 0.8) * width, source.between(0.2, 0.8) * height
    across = (np.arange(width, dtype=np.float32) - x) * np.float32(math.cos(angle) / edge)
    down = (np.arange(height, dtype=np.float32) - y) * np.float32(math.sin(angle) / edge)
    share = (across + down[:, None]).clip(-0.5, 0.5)
    share += 0.5
    return cv2.blendLinear(cv2.convertScaleAbs(image, alpha=1 - darkness), image, share, 1 - share)


def glared(image: Image, light: float, reach: float, source: Source) -> Image:
    """With a lamp's reflection on it: up to `light` levels, falling off within `reach` times the height."""
    height, width = image.shape[:2]
    x, y = source.random() * width, source.random() * height
    long = reach * height * source.between(0.6, 2.0)
    across = np.exp(-(((np.arange(width, dtype=np.float32) - x) / long) ** 2))
    down = np.exp(-(((np.arange(height, dtype=np.float32) - y) / (reach * height)) ** 2)) * np.float32(light)
    spot = np.outer(down, across).astype(np.uint8)
    return cv2.add(image, cv2.merge([spot] * 3))


def glowing(image: Image, radius: float, share: float) -> Image:
    """With `share` of the light of what is brightest spread over its neighbours."""
    bright = cv2.subtract(image, np.full(4, 120.0))
    return cv2.addWeighted(image, 1.0, cv2.GaussianBlur(bright, (0, 0), radius), share, 0)


def grain(image: Image, amount: float, coloured: bool, source: Source) -> Image:
    """With the sensor's noise: normal, of standard deviation `amount` grey levels."""
    height, width = image.shape[:2]
    noise = _grain(coloured).piece(height, width, source)
    strength = amount / GRAIN
    return cv2.addWeighted(image, 1.0, noise, strength, -128 * strength)


def scanned(image: Image, factor: float, contrast: float, source: Source) -> Image:
    """Grey, as scanners and fax machines store print: `factor` (at most 1) times the pixels a side, enlarged again.

    Levels lie `contrast` times as far from the threshold between ink and paper, which is Otsu's (1979): it leaves the
    least variance on either side. Of 255 and more, only black and white are left.
    """
    height, width = image.shape[:2]
    size = max(1, round(width * factor)), max(1, round(height * factor))
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), size, interpolation=cv2.INTER_AREA)
    threshold = cv2.threshold(small, 0, 255, cv2.THRESH_OTSU)[0]
    levels = 127.5 + contrast * (np.arange(256) - threshold)
    stored = cv2.LUT(small, levels.clip(0, 255).astype(np.uint8))
    way = cv2.INTER_CUBIC if source.random() < 0.5 else cv2.INTER_LINEAR
    return cv2.cvtColor(cv2.resize(stored, (width, height), interpolation=way), cv2.COLOR_GRAY2RGB)


#: Standard deviation of the stored grain.
GRAIN = 32


class Bank:
    """A pattern made once, from which pictures take pieces at random places; it goes on where it ends."""

    def __init__(self, pattern: NDArray[np.uint8]) -> None:
        self.height, self.width = pattern.shape[:2]
        # Doubled, so that a piece of up to its own size is a plain cut.
        self._doubled = np.concatenate([np.concatenate([pattern, pattern])] * 2, axis=1)

    def piece(self, height: int, width: int, source: Source) -> NDArray[np.uint8]:
        """uint8 (height, width, …)."""
        top, left = source.randbelow(self.height), source.randbelow(self.width)
        if height <= self.height and width <= self.width:
            return self._doubled[top : top + height, left : left + width]
        rows, columns = np.arange(top, top + height) % self.height, np.arange(left, left + width) % self.width
        return self._doubled[rows[:, None], columns]


@functools.cache
def _grain(coloured: bool) -> Bank:
    channels = 3 if coloured else 1
    noise = np.random.default_rng(1).standard_normal((256, 640, channels), np.float32) * GRAIN + 128.5
    return Bank(np.broadcast_to(noise.clip(0, 255), (256, 640, 3)).astype(np.uint8))
