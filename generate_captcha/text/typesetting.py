"""Lines of text as masks of ink: one font, one size, kerned as Pillow does it.

Measures are in em (the font's nominal size), so that a line is measured once, fitted into its picture, and only
then drawn, at the size that it needs. Letters of simple scripts are kept once drawn and set side by side with the
font's kerning; scripts whose letters change with their neighbours are shaped as a whole line by Pillow and Raqm.
"""

from __future__ import annotations

import functools
import unicodedata
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image as pillow
from PIL import ImageDraw, ImageFont, features

from crnn_reader.errors import UserError
from generate_captcha.text.fonts import FAR_EAST, Font

#: Ink of a line: 0 is none, 255 is full.
Mask = NDArray[np.uint8]

#: Pixels per em at which fonts are measured.
MEASURE = 128
#: Empty pixels around the ink of a line.
PAD = 2

#: Scripts whose letters stand side by side whatever their neighbours are, as their characters' names begin.
SIMPLE = (
    "LATIN", "GREEK", "CYRILLIC", "ARMENIAN", "GEORGIAN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL SYLLABLE",
    "BOPOMOFO", "FULLWIDTH", "IDEOGRAPHIC",
)  # fmt: skip


class Setting(NamedTuple):
    """A line as it will be set, in em; x from where the line begins, y downwards from its baseline."""

    pens: tuple[float, ...] | None  #: where each letter begins; None where Raqm shapes the line
    left: float  #: of the ink, like the next three
    top: float
    right: float
    bottom: float


class _Measures(NamedTuple):
    advance: float
    left: float
    top: float
    right: float
    bottom: float


class _Ink(NamedTuple):
    ink: Mask
    left: int
    top: int


def measure(font: Font, text: str, spacing: float) -> Setting:
    """Set `text`, its letters `spacing` em further apart than the font has them (scripts that join: never).

    Raises UserError when the text's script needs shaping that this Pillow cannot do.
    """
    if not simple(text):
        if not features.check("raqm"):
            raise UserError(
                f"the text {text!r} needs letters that join or change shape, which this Pillow cannot draw: "
                "install Pillow with Raqm, or leave such texts out"
            )
        return Setting(None, *(side / MEASURE for side in _face(font, MEASURE).getbbox(text, anchor="ls")))
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


def draw(font: Font, text: str, setting: Setting, size: int) -> tuple[Mask, int, int]:
    """The ink of a line at `size` pixels per em, :data:`PAD` or more empty pixels around it.

    Returns the mask, uint8 (height, width), and the pixel (x, y) in it where the baseline begins.
    """
    if setting.pens is None:
        ink, left, top = _ink(font, size, text, ImageFont.Layout.RAQM)
        return np.pad(ink, PAD), PAD - left, PAD - top
    letters = []
    left, top, right, bottom = size, 0, 0, 0
    for pen, character in zip(setting.pens, text, strict=True):
        letter = _letter(font, size, character)
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


def simple(text: str) -> bool:
    """Whether the letters of `text` stand side by side, each as it stands alone."""
    return all(map(_simple, text))


@functools.cache
def _simple(character: str) -> bool:
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
        return _ideograph(font)
    face = _face(font, MEASURE)
    return _Measures(*(side / MEASURE for side in (face.getlength(character), *face.getbbox(character, anchor="ls"))))


@functools.cache
def _ideograph(font: Font) -> _Measures:
    """What an ideograph takes, whichever it is: they stand on a grid, and measuring thousands takes long."""
    face = _face(font, MEASURE)
    boxes = np.array([face.getbbox(character, anchor="ls") for character in "国一中的鹰"])
    (left, top), (right, bottom) = boxes[:, :2].min(axis=0) / MEASURE, boxes[:, 2:].max(axis=0) / MEASURE
    return _Measures(face.getlength("国") / MEASURE, left, top, right, bottom)


@functools.cache
def _is_ideograph(character: str) -> bool:
    return "\u4e00" <= character <= "\u9fff"


@functools.lru_cache(maxsize=65_536)
def _kerning(font: Font, one: str, other: str) -> float:
    # No more between what stands on a grid; the pairs of thousands would fill memory and find nothing.
    if ord(one) >= FAR_EAST or ord(other) >= FAR_EAST:
        return 0.0
    face = _face(font, MEASURE)
    features_ = ["-liga"] if features.check("raqm") else None
    together = face.getlength(one + other, features=features_) / MEASURE
    return together - _measures(font, one).advance - _measures(font, other).advance


# 16,384 letters of 32 × 32 pixels are 16 MB.
@functools.lru_cache(maxsize=16_384)
def _letter(font: Font, size: int, character: str) -> _Ink:
    return _ink(font, size, character, ImageFont.Layout.BASIC)


def _ink(font: Font, size: int, text: str, layout: ImageFont.Layout) -> _Ink:
    face = _face(font, size, layout)
    if _is_ideograph(text):
        # Some more than it takes, for the odd one that is larger than others.
        measures = _ideograph(font)
        left, top, right, bottom = (
            round(side * size) + more for side, more in zip(measures[1:], (-2, -2, 2, 2), strict=True)
        )
    else:
        left, top, right, bottom = map(int, face.getbbox(text, anchor="ls"))
    image = pillow.new("L", (right - left, bottom - top))
    ImageDraw.Draw(image).text((-left, -top), text, font=face, fill=255, anchor="ls")
    return _Ink(np.asarray(image), left, top)


# A face of a CJK collection comes to hold 6 MB, and takes half a millisecond to open.
@functools.lru_cache(maxsize=64)
def _face(font: Font, size: int, layout: ImageFont.Layout | None = None) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font.path), size, index=font.face, layout_engine=layout)
