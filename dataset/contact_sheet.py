"""Many small pictures on one, with what was read of them beneath."""

from __future__ import annotations

import math
import struct
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from notation import UNREADABLE
from picture import Image, fit

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

#: Picture, caption and gap, in pixels.
_CELL, _CAPTION, _GAP = (160, 80), 20, 8
#: Lines of text are this wide for their height; they and their captions take the room of two pictures.
_LINE = 4


def contact_sheet(
    images: Sequence[Image], captions: Sequence[str], columns: int = 6, wrong: Collection[int] = ()
) -> Image:
    """Lay pictures out in rows, each with its caption beneath; those whose index is in `wrong` have it in red.

    There are up to `columns` in a row, half as many where most pictures are lines of text. Takes any mix of
    `uint8 (height, width, 1 or 3)`; returns `uint8 (h, w, 3)`, RGB.
    """
    from PIL import Image as pillow
    from PIL import ImageDraw

    width, height = _CELL
    aspect = median(image.shape[1] / image.shape[0] for image in images) if images else 1.0
    if aspect > _LINE:
        columns, width = max(1, columns // 2), 2 * width + _GAP
        height = max(_CAPTION, min(height, round(width / aspect)))
    rows = max(1, math.ceil(len(images) / columns))
    # As long as the others: ten are two rows of five.
    columns = max(1, math.ceil(len(images) / rows))
    step_x, step_y = width + _GAP, height + _CAPTION + _GAP
    sheet = pillow.new("RGB", (columns * step_x + _GAP, rows * step_y + _GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        x, y = _GAP + index % columns * step_x, _GAP + index // columns * step_y
        scale = min(width / image.shape[1], height / image.shape[0])
        small = fit(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        shown = pillow.fromarray(np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small)
        sheet.paste(shown, (x + (width - shown.width) // 2, y + (height - shown.height) // 2))
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline="#d0d0d0")
        colour = "#c01818" if index in wrong else "black"
        # One line: of several the layout engine makes none.
        text, font = _fitting(UNREADABLE.sub("\ufffd", caption), width)
        draw.text((x + width / 2, y + height + _CAPTION / 2), text, fill=colour, font=font, anchor="mm")
    return np.asarray(sheet)


def _fitting(caption: str, width: int) -> tuple[str, FreeTypeFont]:
    """The caption and a font of the size at which it fits, cut where no legible size does."""
    for size in (14, 12, 10, 8):
        font = _font(frozenset(caption), size)
        if font.getlength(caption) <= width:
            return caption, font
    while caption and font.getlength(caption + "…") > width:
        caption = caption[:-1]
    return caption + "…", font


@lru_cache(maxsize=1024)
def _font(characters: frozenset[str], size: int) -> FreeTypeFont:
    """DejaVu Sans, which matplotlib brings, or the first font of the system that has more of the characters."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    if not all(ord(character) in _cover(str(path)) for character in characters):
        from matplotlib.font_manager import findSystemFonts

        candidates = [str(path), *sorted(findSystemFonts())]
        path = Path(max(candidates, key=lambda font: sum(ord(character) in _cover(font) for character in characters)))
    return ImageFont.truetype(str(path), size)


@lru_cache(maxsize=1024)
def _cover(font: str) -> frozenset[int]:
    from fontTools.ttLib import TTFont, TTLibError

    try:
        return frozenset(TTFont(font, fontNumber=0, lazy=True).getBestCmap() or ())
    except (OSError, TTLibError, KeyError, AssertionError, struct.error):
        return frozenset()
