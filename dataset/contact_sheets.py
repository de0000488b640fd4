"""Contact sheets: many small pictures in one, each with a caption."""

from __future__ import annotations

import contextlib
import logging
import math
import struct
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import cv2
import numpy as np

from cli.files import atomic
from crnn_reader.alphabet import UNREADABLE
from crnn_reader.errors import UnreadablePicture, UserError
from crnn_reader.fit import fit_image
from crnn_reader.image import DEFAULT_OPTIONS, ImageOptions, read_image
from crnn_reader.pixels import Image

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

    #: Characters of a caption, and their font.
    Run = tuple[str, FreeTypeFont]

logger = logging.getLogger(__name__)

#: Sizes of pictures, captions and gaps in pixels.
_CELL, _CAPTION, _GAP = (160, 80), 20, 8
#: Minimum width / height of lines of text. Each takes the space of two pictures.
_LINE = 4
#: Maximum width and height of a picture that waits in memory for the sheet, in pixels.
KEPT = 320


def contact_sheet(
    images: Sequence[Image], captions: Sequence[str], columns: int = 6, wrong: Collection[int] = ()
) -> Image:
    """Arrange pictures in rows, each with a caption below.

    Arguments:
        images: uint8 (height, width, 1 or 3) of any sizes.
        captions: one for each picture.
        columns: maximum number of pictures in a row. Half as many if most pictures are lines of text.
        wrong: indices of the pictures whose captions are red.

    Returns uint8 RGB (height, width, 3).
    """
    from PIL import Image as pillow
    from PIL import ImageDraw

    width, height = _CELL
    aspect = median(image.shape[1] / image.shape[0] for image in images) if images else 1.0
    if aspect > _LINE:
        columns, width = max(1, columns // 2), 2 * width + _GAP
        height = max(_CAPTION, min(height, round(width / aspect)))
    rows = max(1, math.ceil(len(images) / columns))
    # Rows of equal length: ten pictures are two rows of five.
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
        # Pillow cannot anchor text with line breaks.
        runs = _fit(UNREADABLE.sub("\ufffd", caption), width)
        left, middle = x + (width - _length(runs)) / 2, y + height + _CAPTION / 2
        for text, font in runs:
            draw.text((left, middle), text, fill=colour, font=font, anchor="lm")
            left += font.getlength(text)
    return np.asarray(sheet)


def gallery(
    paths: Sequence[str],
    captions: Sequence[str],
    wrong: Collection[int] = (),
    options: ImageOptions = DEFAULT_OPTIONS,
) -> Image:
    """A :func:`contact_sheet` of picture files of any number and size. Unreadable pictures are grey."""
    return contact_sheet([_small(path, options) for path in paths], captions, wrong=wrong)


@contextlib.contextmanager
def gallery_file(
    path: str,
) -> Iterator[Callable[[Sequence[str], Sequence[str], Collection[int], ImageOptions], None]]:
    """Yield the function that draws a :func:`gallery` into the picture file `path`.

    Raises UserError if the suffix is not that of a picture that can be written, and OSError if the file cannot be.
    """
    suffix, pixel = Path(path).suffix, np.zeros((1, 1, 3), np.uint8)
    # Some formats cannot store colours.
    if not suffix or not cv2.haveImageWriter(f"x{suffix}") or not cv2.imencode(suffix, pixel)[0]:
        raise UserError(f"{path} does not end like a picture: give a name such as sheet.png or sheet.jpg")
    with atomic(path) as file:
        file.touch()

        def draw(paths: Sequence[str], captions: Sequence[str], wrong: Collection[int], options: ImageOptions) -> None:
            _, data = cv2.imencode(suffix, gallery(paths, captions, wrong, options)[..., ::-1])
            file.write_bytes(data.tobytes())

        yield draw


def _small(path: str, options: ImageOptions) -> Image:
    try:
        image = read_image(path, 3, options)
    except UnreadablePicture:
        return np.full((KEPT // 2, KEPT, 3), 200, np.uint8)
    scale = min(1.0, KEPT / max(image.shape))
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    return fit_image(image, width, height, "stretch")


def _fit(caption: str, width: int) -> list[Run]:
    """The caption in the largest font size that fits. Cut if the smallest one does not."""
    for size in (14, 12, 10, 8):
        runs = caption_runs(caption, size)
        if _length(runs) <= width:
            return runs
    while caption and _length(runs := caption_runs(caption + "…", size)) > width:
        caption = caption[:-1]
    return runs


def _length(runs: Sequence[Run]) -> float:
    return sum(font.getlength(text) for text, font in runs)


def caption_runs(caption: str, size: int) -> list[Run]:
    """Divide a caption into runs of characters with the same font: the first that has them."""
    paths = fonts_for(frozenset(caption))
    runs: list[tuple[str, str]] = []
    for character in caption:
        has = [path for path in paths if ord(character) in coverage(path)] or [paths[0]]
        # Marks and spaces have the font of the letter before them, if it has them.
        stays = unicodedata.category(character)[0] in "MCZ" and runs and runs[-1][1] in has
        path = runs[-1][1] if stays else has[0]
        if runs and runs[-1][1] == path:
            runs[-1] = (runs[-1][0] + character, path)
        else:
            runs.append((character, path))
    return [(text, _font(path, size)) for text, path in runs]


@lru_cache(maxsize=1024)
def fonts_for(characters: frozenset[str]) -> tuple[str, ...]:
    """Matplotlib's DejaVu Sans, and as few fonts of the system as possible that have the other characters.

    Warns, once for each script, of characters that no font has.
    """
    import matplotlib

    fonts = [str(Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))]
    missing = {ord(character) for character in characters} - coverage(fonts[0])
    if missing:
        from matplotlib.font_manager import findSystemFonts

        candidates = sorted(findSystemFonts())
        while candidates and (most := max(candidates, key=lambda font: len(missing & coverage(font)))):
            if not missing & coverage(most):
                break
            fonts.append(most)
            missing -= coverage(most)
    if scripts := sorted({_script(chr(point)) for point in missing} - reported):
        reported.update(scripts)
        logger.warning(
            f"no installed font has the characters of {', '.join(scripts)}, so contact sheets show boxes: install a "
            "font that has them, such as Noto Sans"
        )
    return tuple(fonts)


#: Scripts without a font for which a warning was logged.
reported: set[str] = set()


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
def coverage(path: str) -> frozenset[int]:
    """The code points that a font has outlines for."""
    from fontTools.ttLib import TTFont, TTLibError

    try:
        font = TTFont(path, fontNumber=0, lazy=True)
        # Fonts with bitmaps, mostly emoji, have only one size.
        return frozenset(font.getBestCmap() or ()) if {"glyf", "CFF ", "CFF2"} & set(font.keys()) else frozenset()
    except (OSError, TTLibError, KeyError, AssertionError, ValueError, EOFError, struct.error):
        return frozenset()
