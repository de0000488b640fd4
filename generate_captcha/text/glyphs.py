"""Single letters as masks of ink, for the styles that set letters one by one."""

from __future__ import annotations

import functools

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

from generate_captcha.style import Image
from generate_captcha.text.fonts import Font

#: Ink of one letter: 0 is none, 255 is full.
Mask = NDArray[np.uint8]

FAMILY = (
    "DejaVuSans.ttf",
    "DejaVuSans-Bold.ttf",
    "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf",
    "DejaVuSerif-Bold.ttf",
    "DejaVuSansMono.ttf",
)


# 4,096 letters of 50 × 60 pixels are 12 MB; an alphabet of thousands stays within that.
@functools.lru_cache(maxsize=4096)
def glyph(font: Font, size: int, character: str) -> Mask:
    """The ink of `character`: uint8 (line height, width of the ink), at `size` pixels per em."""
    face = _face(font, size)
    left, _, right, _ = face.getbbox(character)
    ascent, descent = face.getmetrics()
    mask = pillow.new("L", (max(1, int(right - left)), max(1, ascent + descent)))
    ImageDraw.Draw(mask).text((-left, 0), character, font=face, fill=255)
    ink = np.array(mask)
    # The cache hands the same array to every picture.
    ink.setflags(write=False)
    return ink


@functools.lru_cache(maxsize=64)
def _face(font: Font, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font.path), size, index=font.face)


def turned(mask: Mask, degrees: float, shear: float) -> Mask:
    """`mask` sheared (the top goes right by `shear` of the height), turned counter-clockwise, in a box to hold it."""
    height, width = mask.shape
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    # The rows say where x and y go: shear first, then rotation, y pointing down.
    matrix = np.array([[cosine, sine], [-sine, cosine]]) @ np.array([[1, -shear], [0, 1]])
    corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height]])
    low = np.floor(corners.min(axis=1))
    size = np.ceil(corners.max(axis=1) - low).astype(int)
    return cv2.warpAffine(mask, np.column_stack([matrix, -low]), (int(size[0]), int(size[1])))


def ink(image: Image, mask: Mask, left: int, top: int, colour: tuple[int, int, int]) -> None:
    """Lay `mask` in `colour` (RGB) on `image`, in place, its corner at (left, top); what falls outside is cut off."""
    height, width = image.shape[:2]
    x, y = max(0, left), max(0, top)
    mask = mask[y - top : height - top, x - left : width - left] if top < height and left < width else mask[:0]
    if not mask.size:
        return
    part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    opacity = mask[:, :, None].astype(np.uint16)
    part[:] = (part * (255 - opacity) + np.array(colour, np.uint16) * opacity + 127) // 255
