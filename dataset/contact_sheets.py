"""Many small pictures on one, with what was read of them beneath."""

from __future__ import annotations

import math
import struct
import unicodedata
from collections.abc import Collection, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np

from cli.messages import warn
from crnn_reader.alphabet import UNREADABLE
from crnn_reader.fit import fit_image
from crnn_reader.pixels import Image

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

    #: Characters of a caption in one font.
    Run = tuple[str, FreeTypeFont]

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
        small = fit_image(image, max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
        shown = pillow.fromarray(np.repeat(small, 3, axis=2) if small.shape[2] == 1 else small)
        sheet.paste(shown, (x + (width - shown.width) // 2, y + (height - shown.height) // 2))
        draw.rectangle((x - 1, y - 1, x + width, y + height), outline="#d0d0d0")
        colour = "#c01818" if index in wrong else "black"
        # One line: of several the layout engine makes none.
        runs = _fitting(UNREADABLE.sub("\ufffd", caption), width)
        left, middle = x + (width - _length(runs)) / 2, y + height + _CAPTION / 2
        for text, font in runs:
            draw.text((left, middle), text, fill=colour, font=font, anchor="lm")
            left += font.getlength(text)
    return np.asarray(sheet)


def _fitting(caption: str, width: int) -> list[Run]:
    """The caption in fonts of the size at which it fits, cut where no legible size does."""
    for size in (14, 12, 10, 8):
        runs = _runs(caption, size)
        if _length(runs) <= width:
            return runs
    while caption and _length(runs := _runs(caption + "…", size)) > width:
        caption = caption[:-1]
    return runs


def _length(runs: Sequence[Run]) -> float:
    return sum(font.getlength(text) for text, font in runs)


def _runs(caption: str, size: int) -> list[Run]:
    """The caption in pieces, each with the first font that has its characters."""
    paths = _fonts(frozenset(caption))
    pieces: list[tuple[str, str]] = []
    for character in caption:
        has = [path for path in paths if ord(character) in _cover(path)] or [paths[0]]
        # Marks and spaces stay with the letters before them, as far as their font has them.
        stays = unicodedata.category(character)[0] in "MCZ" and pieces and pieces[-1][1] in has
        path = pieces[-1][1] if stays else has[0]
        if pieces and pieces[-1][1] == path:
            pieces[-1] = (pieces[-1][0] + character, path)
        else:
            pieces.append((character, path))
    return [(text, _font(path, size)) for text, path in pieces]


@lru_cache(maxsize=1024)
def _fonts(characters: frozenset[str]) -> tuple[str, ...]:
    """DejaVu Sans, which matplotlib brings, and as few fonts of the system as have the other characters.

    Warns, once for each script, of characters that no font has.
    """
    import matplotlib

    fonts = [str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))]
    missing = {ord(character) for character in characters} - _cover(fonts[0])
    if missing:
        from matplotlib.font_manager import findSystemFonts

        candidates = sorted(findSystemFonts())
        while candidates and (most := max(candidates, key=lambda font: len(missing & _cover(font)))):
            if not missing & _cover(most):
                break
            fonts.append(most)
            missing -= _cover(most)
    if scripts := sorted({_script(chr(point)) for point in missing} - _named):
        _named.update(scripts)
        warn(
            f"no installed font has the characters of {', '.join(scripts)}, so contact sheets show boxes: install a "
            "font that has them, such as Noto Sans"
        )
    return tuple(fonts)


#: Scripts without a font for which a warning was printed.
_named: set[str] = set()


def _script(character: str) -> str:
    if unicodedata.category(character)[0] not in "LM":
        return "symbols"
    # The first word of a letter's name is its script: HANGUL SYLLABLE HA, CJK UNIFIED IDEOGRAPH-4E00.
    script = unicodedata.name(character, "another").partition(" ")[0]
    return script if script == "CJK" else script.title()


@lru_cache(maxsize=1024)
def _font(path: str, size: int) -> FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, size)


@lru_cache(maxsize=1024)
def _cover(path: str) -> frozenset[int]:
    """The characters that a font has outlines for."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        font = TTFont(path, fontNumber=0, lazy=True)
        # Those that have pictures for glyphs, emoji mostly, come in one size.
        return frozenset(font.getBestCmap() or ()) if {"glyf", "CFF ", "CFF2"} & set(font.keys()) else frozenset()
    except (OSError, TTLibError, KeyError, AssertionError, ValueError, EOFError, struct.error):
        return frozenset()
