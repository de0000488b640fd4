"""Single letters as masks, for styles that draw letters one by one."""

from __future__ import annotations

import functools
import math

import cv2
import numpy as np
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont

from generate_captcha.arrays import Image, Mask
from generate_captcha.text.fonts import Font

FAMILY = (
    "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf",
    "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf",
)  # fmt: skip


# 4,096 letters of 50 x 60 pixels take 12 MB, which also bounds the memory for alphabets of thousands.
@functools.lru_cache(maxsize=4096)
def draw_glyph(font: Font, size: int, character: str) -> Mask:
    """Draw `character` at `size` pixels per em: uint8 (line height, width of the ink), read-only."""
    face = open_font(font, size)
    left, _, right, _ = face.getbbox(character)
    ascent, descent = face.getmetrics()
    image = pillow.new("L", (max(1, int(right - left)), max(1, ascent + descent)))
    ImageDraw.Draw(image).text((-left, 0), character, font=face, fill=255)
    mask = np.array(image)
    # All callers share the cached array.
    mask.setflags(write=False)
    return mask


# A face of a CJK collection takes up to 6 MB, and 0.5 ms to open.
@functools.lru_cache(maxsize=64)
def open_font(font: Font, size: int, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
    """Open a font at `size` pixels per em, with Pillow's default layout engine if `layout` is None."""
    return ImageFont.truetype(str(font.path), size, index=font.face, layout_engine=layout)


def rotate(mask: Mask, degrees: float, shear: float) -> Mask:
    """Shear `mask` (its top moves right by `shear` times the height), then rotate it counter-clockwise.

    The result is large enough to contain the whole mask.
    """
    height, width = mask.shape
    sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    # The y axis points down.
    matrix = np.array([[cosine, sine], [-sine, cosine]]) @ np.array([[1, -shear], [0, 1]])
    corners = matrix @ np.array([[0, width, 0, width], [0, 0, height, height]])
    low = np.floor(corners.min(axis=1))
    size = np.ceil(corners.max(axis=1) - low).astype(int)
    return cv2.warpAffine(mask, np.column_stack([matrix, -low]), (int(size[0]), int(size[1])))


def transform(mask: Mask, degrees: float, shear: float, scale: float) -> Mask:
    """Scale `mask`, and shear and rotate it as :func:`rotate` does.

    The result contains the whole mask, with its middle in the middle.
    """
    height, width = mask.shape
    sine, cosine = scale * math.sin(math.radians(degrees)), scale * math.cos(math.radians(degrees))
    a, b, c, d = cosine, sine - shear * cosine, -sine, cosine + shear * sine
    new_width, new_height = (math.ceil(abs(x) * width + abs(y) * height) + 1 for x, y in ((a, b), (c, d)))
    x = (new_width - 1) / 2 - (a * (width - 1) + b * (height - 1)) / 2
    y = (new_height - 1) / 2 - (c * (width - 1) + d * (height - 1)) / 2
    return cv2.warpAffine(mask, np.array([[a, b, x], [c, d, y]]), (new_width, new_height))


def paste(image: Image, mask: Mask, left: int, top: int, colour: tuple[int, ...]) -> None:
    """Paint `image` with `colour` through `mask`, whose corner is at (left, top), in place. Parts outside are cut off.

    `colour` has one number for each channel of the image.
    """
    height, width = image.shape[:2]
    x, y = max(0, left), max(0, top)
    mask = mask[y - top : height - top, x - left : width - left] if top < height and left < width else mask[:0]
    if not mask.size:
        return
    part = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    opacity = mask[:, :, None].astype(np.uint16)
    part[:] = (part * (255 - opacity) + np.array(colour, np.uint16) * opacity + 127) // 255
