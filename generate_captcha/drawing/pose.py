"""The pose of a line or plate in the picture: rotation, shear, perspective, curves."""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from generate_captcha.arrays import Mask

#: A homography, float64 (3, 3), or coordinates.
Floats = NDArray[np.float64]

#: Positions along the upper and lower edge, in widths, at which the bounding box of a curved line is computed.
EDGE = np.linspace(-0.5, 0.5, 9)


class Pose(NamedTuple):
    """How a box lies in the picture. Lengths are in em, the box is centred at the origin, y points down."""

    rotation: float = 0.0  #: degrees, clockwise
    shear: float = 0.0  #: how far the top moves right, as a fraction of the height
    stretch: float = 1.0  #: factor of the width
    tilt: tuple[float, float] = (0.0, 0.0)  #: perspective: how much smaller the right end and the bottom are
    arc: float = 0.0  #: how far the ends are below the middle, in em
    wave: tuple[float, float, float] = (0.0, 1.0, 0.0)  #: amplitude and wavelength in em, phase in radians

    def is_curved(self) -> bool:
        """Whether straight lines become curves."""
        return bool(self.arc or self.wave[0])

    def matrix(self, width: float, height: float) -> Floats:
        """Return the homography, (3, 3), of the pose without curves, for a box of `width` x `height` em."""
        angle = math.radians(self.rotation)
        sine, cosine = math.sin(angle), math.cos(angle)
        a, b = self.stretch, -self.shear
        return np.array(
            [
                [cosine * a, cosine * b - sine, 0.0],
                [sine * a, sine * b + cosine, 0.0],
                [self.tilt[0] / width, self.tilt[1] / height, 1.0],
            ]
        )

    def shift(self, x: Floats, width: float) -> Floats:
        """Return how far the curves move points at `x` down, in em."""
        amplitude, length, phase = self.wave
        shift = x * x
        shift *= 4 * self.arc / width**2
        if amplitude:
            shift += amplitude * np.sin(x * (2 * math.pi / length) + phase)
        return shift


def extent(pose: Pose, width: float, height: float) -> tuple[Floats, tuple[float, float, float, float]]:
    """Return the matrix of `pose` for a box of `width` x `height` em, and left, top, right and bottom of the result."""
    matrix = pose.matrix(width, height)
    edge = EDGE * width
    shift = pose.shift(edge, width) if pose.is_curved() else 0.0
    points = np.ones((3, 2 * len(EDGE)))
    points[0, : len(EDGE)] = points[0, len(EDGE) :] = edge
    points[1, : len(EDGE)] = shift - height / 2
    points[1, len(EDGE) :] = shift + height / 2
    points = matrix @ points
    points = points[:2] / points[2]
    (left, top), (right, bottom) = points.min(axis=1), points.max(axis=1)
    return matrix, (float(left), float(top), float(right), float(bottom))


def project(mask: Mask, pose: Pose, width: float, to_picture: Floats, to_mask: Floats, size: tuple[int, int]) -> Mask:
    """Draw `mask` in `pose` into an empty mask of `size` (width, height).

    Arguments:
        width: of the box in em.
        to_picture: homography, (3, 3), from em, after the curves, to the pixels of the result.
        to_mask: homography, (3, 3), from em to the pixels of `mask`.
    """
    if not pose.is_curved():
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
    y -= pose.shift(x, width)
    x *= np.float32(to_mask[0, 0])
    x += np.float32(to_mask[0, 2])
    y *= np.float32(to_mask[1, 1])
    y += np.float32(to_mask[1, 2])
    return cv2.remap(mask, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
