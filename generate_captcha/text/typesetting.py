"""Lines of text as masks: one font, one size, kerned as Pillow does it.

Lengths are in em (the font's nominal size), so that a line is measured once, fitted into its picture, and then drawn at
the size that it needs. In simple scripts, letters are drawn once, cached, and placed side by side with the font's
kerning. Scripts whose letters change with their neighbours are shaped as whole lines by Pillow and Raqm.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont, features

from crnn_reader.errors import UserError
from generate_captcha.arrays import Mask
from generate_captcha.text.fonts import FULL_WIDTH, Font
from generate_captcha.text.glyphs import open_font

#: Pixels per em at which fonts are measured.
MEASURE = 128
#: Empty pixels around the ink of a line.
PAD = 2

#: How the Unicode names of letters begin in scripts whose letters do not change with their neighbours.
SIMPLE = (
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL SYLLABLE",
    "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC",
)  # fmt: skip


class Setting(NamedTuple):
    """The measures of a line in em; x from the beginning of the line, y downwards from its baseline."""

    pens: tuple[float, ...] | None  #: where each letter begins; None if Raqm shapes the line
    left: float  #: bounding box of the ink
    top: float
    right: float
    bottom: float


class _Measures(NamedTuple):
    advance: float
    left: float
    top: float
    right: float
    bottom: float


class Ink(NamedTuple):
    mask: Mask
    left: int
    top: int


def measure(font: Font, text: str, spacing: float) -> Setting:
    """Measure `text` with `spacing` em added between its letters (not in scripts that join letters).

    Raises UserError if the text's script needs shaping and this Pillow lacks Raqm.
    """
    if not is_simple(text):
        if not features.check("raqm"):
            raise UserError(
                f"the text {text!r} needs letters that join or change shape, which this Pillow cannot draw: "
                "install Pillow with Raqm, or leave such texts out"
            )
        return Setting(None, *(side / MEASURE for side in open_font(font, MEASURE).getbbox(text, anchor="ls")))
    pens, pen, before = [], 0.0, ""
    left = top = right = bottom = 0.0
    for character in text:
        letter = _measures(font, character)
        if before:
            pen += _kerning(font, before, character)
            # Letters may touch, words may not.
            pen += max(0.0, spacing) if " " in (before, character) else spacing
        pens.append(pen)
        if letter.right > letter.left:
            left, right = min(left, pen + letter.left), max(right, pen + letter.right)
            top, bottom = min(top, letter.top), max(bottom, letter.bottom)
        pen += letter.advance
        before = character
    return Setting(tuple(pens), left, top, right, bottom)


def draw_line(font: Font, text: str, setting: Setting, size: int) -> tuple[Mask, int, int]:
    """Draw a line at `size` pixels per em.

    Returns:
        The mask, uint8 (height, width), with at least :data:`PAD` empty pixels around the ink, and the pixel (x, y) in
        it where the baseline begins.
    """
    if setting.pens is None:
        mask, left, top = _draw(font, size, text, ImageFont.Layout.RAQM)
        return np.pad(mask, PAD), PAD - left, PAD - top
    letters = []
    left, top, right, bottom = size, 0, 0, 0
    for pen, character in zip(setting.pens, text, strict=True):
        letter = draw_letter(font, size, character)
        ink, x, y = letter
        height, width = ink.shape
        if width:
            x += round(pen * size)
            letters.append((ink, x, y, x + width, y + height))
            left, top = min(left, x), min(top, y)
            right, bottom = max(right, x + width), max(bottom, y + height)
    left, top, right, bottom = min(left, right) - PAD, top - PAD, right + PAD, bottom + PAD
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for ink, x, y, end, low in letters:
        part = mask[y - top : low - top, x - left : end - left]
        np.maximum(part, ink, out=part)
    return mask, -left, -top


def is_simple(text: str) -> bool:
    """Whether the letters of `text` stand side by side and do not change with their neighbours."""
    return all(map(_is_simple, text))


@functools.cache
def _is_simple(character: str) -> bool:
    if unicodedata.category(character)[0] == "M" or unicodedata.bidirectional(character) in ("R", "AL"):
        return False
    return (
        character.isascii()
        or unicodedata.category(character)[0] != "L"
        or unicodedata.name(character, "").startswith(SIMPLE)
    )


@functools.lru_cache(maxsize=65_536)
def _measures(font: Font, character: str) -> _Measures:
    if _is_ideograph(character):
        return _ideograph_measures(font)
    face = open_font(font, MEASURE)
    return _Measures(*(side / MEASURE for side in (face.getlength(character), *face.getbbox(character, anchor="ls"))))


@functools.cache
def _ideograph_measures(font: Font) -> _Measures:
    """The measures of all ideographs: they stand on a grid, and measuring thousands takes long."""
    face = open_font(font, MEASURE)
    boxes = np.array([face.getbbox(character, anchor="ls") for character in "国一中的鹰"])
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0) / MEASURE, boxes[:, 2:].max(axis=0) / MEASURE
    return _Measures(face.getlength("国") / MEASURE, left, top, right, bottom)


@functools.cache
def _is_ideograph(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


@functools.lru_cache(maxsize=65_536)
def _kerning(font: Font, one: str, other: str) -> float:
    # Characters on a grid are not kerned, and the pairs of thousands of characters would fill memory.
    if ord(one) >= FULL_WIDTH or ord(other) >= FULL_WIDTH:
        return 0.0
    face = open_font(font, MEASURE)
    features_ = ["-liga"] if features.check("raqm") else None
    together = face.getlength(one + other, features=features_) / MEASURE
    return together - _measures(font, one).advance - _measures(font, other).advance


# 16,384 letters of 32 x 32 pixels take 16 MB.
@functools.lru_cache(maxsize=16_384)
def draw_letter(font: Font, size: int, character: str) -> Ink:
    return _draw(font, size, character, ImageFont.Layout.BASIC)


def _draw(font: Font, size: int, text: str, layout: ImageFont.Layout) -> Ink:
    face = open_font(font, size, layout)
    if _is_ideograph(text):
        # A margin for the few that are larger than the measured ones.
        measures = _ideograph_measures(font)
        left, top, right, bottom = (
            round(side * size) + more for side, more in zip(measures[1:], (-2, -2, 2, 2), strict=True)
        )
    else:
        left, top, right, bottom = map(int, face.getbbox(text, anchor="ls"))
    image = pillow.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, font=face, fill=255, anchor="ls")
    return Ink(np.asarray(image), left, top)
