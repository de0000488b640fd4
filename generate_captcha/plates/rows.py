"""Rows of letters on a plate: where each letter stands, and its ink on the image."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import cv2
import numpy as np

from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import paint
from generate_captcha.drawing.paint import Rgb
from generate_captcha.plates import letters
from generate_captcha.plates.layout import Layout, Row
from generate_captcha.plates.letters import PART_SIZES, PROPORTIONS, Face
from generate_captcha.plates.patterns import TextPart
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.text.strokes import StrokeFont

Box = tuple[float, float, float, float]  # left, top, right, bottom

#: The width of the widest of these letters determines how narrow a face must become.
USUAL_LETTERS = "HN08B"
#: Minimum height of letters of other scripts, as a fraction of the height of digits. Natural ones have their own.
MIN_FULL_WIDTH_HEIGHT = {"hangul": 0.6, "han": 0.82, "japanese": 0.82}
#: Heights of single Hiragana on plates of Japan, as a fraction of the height of digits. Those of names are as tall.
KANA_HEIGHTS = (0.42, 0.65)
#: Maximum width / height of letters of other scripts. A wider one, such as the bar of the Han letter for 1, is lower.
MAX_ASPECT = 1.4

#: Least share of plates with Han letters from dies, drawn from strokes. The other faces are those of fonts.
DIES = 0.7
#: Share of plates whose letters have other widths and distances than the layout says. Series, plate makers and
#: motorcycles differ more than a layout file tells.
UNEVEN = 0.3


class PlacedLetter(NamedTuple):
    """The ink of a letter and the position of its corner in pixels."""

    mask: Mask
    left: int
    top: int


class PlacedRow(NamedTuple):
    """The letters of a row, and what is around them, in pixels."""

    letters: list[PlacedLetter]
    pitch: float  #: minimum distance from letter to letter
    gaps: list[tuple[float, float]]  #: centre and width of each separator
    left: float  #: of the first letter
    right: float  #: of the last letter
    top: float
    bottom: float

    @property
    def height(self) -> float:
        """Height of the letters."""
        return self.bottom - self.top


class Lettering(NamedTuple):
    """The properties that all letters of a plate share."""

    face: Face
    full_width_face: Face | None  #: of letters of other scripts
    weight: int  #: see :func:`letters.draw_letter`
    proportion: int  #: of letters of other scripts, see :func:`letters.draw_letter`
    script: str  #: `far_east` of the layout
    uneven: bool  #: other distances and widths than the layout's, and letters that do not stand on one line

    def draw(self, letter: str, size: tuple[int, int]) -> Mask:
        """Draw a letter of `size` (width, height) in pixels."""
        if self.full_width_face and letters.is_other_script(letter):
            return letters.draw_letter(self.full_width_face, letter, size, self.weight, self.proportion)
        return letters.draw_letter(self.face, letter, size, self.weight)

    def aspect(self, letter: str) -> float:
        """Return width / height of a letter."""
        other = self.full_width_face and letters.is_other_script(letter)
        return letters.aspect(self.full_width_face if other else self.face, letter, self.weight)  # type: ignore[arg-type]

    def heights(self, letter: str, single: bool, rng: SeededRandom) -> tuple[float, float]:
        """Return the top of a letter of another script and its height, as fractions of the row's height.

        Arguments:
            single: whether it is no part of a name.
        """
        if self.script in letters.NATURAL:
            assert self.full_width_face
            top, bottom = letters.extent(self.full_width_face, letter, self.script)
            return top, bottom - top
        if single and letters.KANA[0] <= letter <= letters.KANA[1]:
            height = rng.between(*KANA_HEIGHTS)
            return (1 - height) * rng.between(0.35, 0.75), height
        height = rng.between(MIN_FULL_WIDTH_HEIGHT[self.script], 1.0)
        if (aspect := self.aspect(letter)) > MAX_ASPECT:
            height = min(height, MAX_ASPECT / aspect)
            return (1 - height) / 2, height
        return (1 - height) * rng.random(), height


def random_lettering(layout: Layout, rng: SeededRandom) -> Lettering:
    """Choose faces, weight and proportions for a plate."""
    face = rng.choice(layout.latin_faces)
    dies = [each for each in layout.full_width_faces if isinstance(each, StrokeFont)]
    full_width_faces = dies if dies and rng.random() < DIES else layout.full_width_faces
    full_width_face = rng.choice(full_width_faces) if full_width_faces else None
    weight = 0 if rng.random() < 0.4 else rng.randbelow(3) * 2 - 2
    script = layout.fields.far_east
    proportions = PROPORTIONS if script == "han" else PART_SIZES
    # Letters drawn from strokes already have the proportions of plates.
    unchanged = (isinstance(full_width_face, StrokeFont) and rng.random() < 0.75) or script in letters.NATURAL
    proportion = 0 if unchanged or not full_width_face else rng.randbelow(len(proportions))
    return Lettering(face, full_width_face, weight, proportion, script, rng.random() < UNEVEN)


def place_letters(parts: list[TextPart], row: Row, lettering: Lettering, scale: float, rng: SeededRandom) -> PlacedRow:
    """Place the letters of a row. `scale` is in pixels per millimetre."""
    left, top, right, bottom = (side * scale for side in row.box)
    height = max(4, round(bottom - top))
    usual = row.letter * scale
    narrowing = other_narrowing = usual / (max(map(lettering.aspect, USUAL_LETTERS)) * height)
    if lettering.script in letters.NATURAL:
        other_narrowing = usual / (lettering.aspect(letters.MEASURES[lettering.script]) * height)
    narrowing *= rng.between(0.93, 1.03)
    full_width = scale * (row.far_east or 1.2 * row.letter)
    gap, space = row.gap * scale * rng.between(0.85, 1.15), row.space * scale * rng.between(0.9, 1.1)
    if lettering.uneven:
        narrowing *= rng.between(0.8, 1.05)
        gap, space = gap * rng.between(0.4, 2.2), space * rng.between(0.7, 1.5)

    # Letter or separator, its room, the width of its ink, and whether it is no part of a name.
    places: list[tuple[TextPart, float, float, bool]] = []
    for part in parts:
        if part.separator:
            places.append((part, space, 0.0, True))
        elif part.stacked:
            places.append((part, 0.8 * full_width, 0.8 * full_width, True))
        else:
            for letter in part.text:
                if letters.is_other_script(letter):
                    width = full_width
                    if lettering.script in letters.NATURAL:
                        tall = lettering.heights(letter, True, rng)[1] * height
                        width = min(full_width, other_narrowing * lettering.aspect(letter) * tall)
                    places.append((TextPart(letter), width, width, len(part.text) == 1))
                else:
                    width = min(usual, narrowing * lettering.aspect(letter) * height)
                    places.append((TextPart(letter), usual if row.fixed else width, width, True))
    gaps = [0.0 if one[0].separator or other[0].separator else gap for one, other in itertools.pairwise(places)]
    total = sum(room for _, room, _, _ in places) + sum(gaps)
    stretch, free = 1.0, right - left - total
    if free < 0:
        stretch, free = (right - left) / total, 0.0
    elif row.spread:
        # Letters become wider too, up to a width that is usual on plates.
        stretch = min(1.3, 1 + rng.random() * row.spread * free / total)
        free = right - left - stretch * total
    pen = left + free * {"left": 0.0, "centre": 0.5, "right": 1.0}[row.align]
    placed: list[PlacedLetter] = []
    gaps_between: list[tuple[float, float]] = []
    centres = []
    y = round(top)
    for (part, room, width, single), after in zip(places, [*gaps, 0.0], strict=True):
        room, width = room * stretch, width * stretch
        centre = pen + room / 2
        if part.separator:
            gaps_between.append((centre, room))
            placed += _draw_separator(part.text, centre, y, height, room, lettering.weight)
        elif part.stacked:
            each = height / len(part.text)
            for place, letter in enumerate(part.text):
                size = max(3, round(width)), max(3, round(0.94 * each))
                mask = lettering.draw(letter, size)
                placed.append(PlacedLetter(mask, round(centre - width / 2), round(top + place * each)))
            centres.append(centre)
        else:
            letter_height, above = height, 0
            if letters.is_other_script(part.text):
                width *= rng.between(0.92, 1.08)
                top_part, part_height = lettering.heights(part.text, single, rng)
                letter_height, above = round(height * part_height), round(height * top_part)
                if part_height < 0.7 and lettering.aspect(part.text) <= MAX_ASPECT:
                    width = min(width, 1.1 * letter_height)
            elif lettering.uneven:
                above = round(rng.between(-0.03, 0.03) * height)
            mask = lettering.draw(part.text, (max(2, round(width)), max(2, letter_height)))
            placed.append(PlacedLetter(mask, round(centre - width / 2), y + above))
            centres.append(centre)
        pen += room + after * stretch
    pitch = min((other - one for one, other in itertools.pairwise(centres)), default=usual)
    first, last = placed[0].left, placed[-1].left + placed[-1].mask.shape[1]
    return PlacedRow(placed, pitch, gaps_between, first, last, top, bottom)


def repeat_letters(parts: list[TextPart], row: Row, lettering: Lettering, scale: float, rng: SeededRandom) -> PlacedRow:
    """Place the letters of a row once more, in another script and in its `repeat_box`."""
    assert row.repeat_box
    repeated = [
        part if part.separator else part._replace(text="".join(map(row.repeat.__getitem__, part.text)))
        for part in parts
    ]
    return place_letters(repeated, row.model_copy(update={"box": row.repeat_box}), lettering, scale, rng)


def _draw_separator(text: str, centre: float, top: int, height: int, room: float, weight: int) -> list[PlacedLetter]:
    thickness = max(2, round(0.13 * height + weight / letters.MASTER * height))
    if text == "-":
        width = max(3, round(0.62 * room))
        dash = np.full((thickness, width), 255, np.uint8)
        return [PlacedLetter(dash, round(centre - width / 2), top + (height - thickness) // 2)]
    if text in "·.":
        dot, radius = np.zeros((thickness + 2, thickness + 2), np.uint8), thickness // 2
        cv2.circle(dot, (radius, radius), radius, 255, -1, cv2.LINE_AA)
        above = (height - thickness) // 2 if text == "·" else height - thickness
        return [PlacedLetter(dot, round(centre - thickness / 2), top + above)]
    return []


def paint_letters(
    image: Image, ink: Mask, placed: list[PlacedLetter], rgb: Rgb, embossed: bool, difficulty: float, rng: SeededRandom
) -> Box:
    """Paint letters on `image` and add them to `ink`, in place. Returns their bounding box in pixels."""
    left = min(letter.left for letter in placed)
    top = min(letter.top for letter in placed)
    right = max(letter.left + letter.mask.shape[1] for letter in placed)
    bottom = max(letter.top + letter.mask.shape[0] for letter in placed)
    height, width = ink.shape
    # With a margin for the shade of embossed letters.
    x0, y0, x1, y1 = max(0, left - 3), max(0, top - 3), min(width, right + 3), min(height, bottom + 3)
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for letter in placed:
        x, y = letter.left - x0, letter.top - y0
        part = mask[max(0, y) : y + letter.mask.shape[0], max(0, x) : x + letter.mask.shape[1]]
        np.maximum(part, letter.mask[max(0, -y) :, max(0, -x) :][: part.shape[0], : part.shape[1]], out=part)
    np.maximum(ink[y0:y1, x0:x1], mask, out=ink[y0:y1, x0:x1])
    part = image[y0:y1, x0:x1]
    opacity = 1 - 0.25 * difficulty * rng.random()
    if rng.random() < 0.2 * difficulty:
        worn = paint.texture(mask.shape[0], mask.shape[1], rng)
        mask = cv2.multiply(mask, cv2.convertScaleAbs(worn, alpha=-0.7, beta=255 + 0.25 * 128), scale=1 / 255)
    paint.fill(part, rgb, mask, opacity)
    if embossed:
        _emboss(part, mask, rng.between(0.1, 0.5) * (0.4 + 0.6 * difficulty), rng)
    return left, top, right, bottom


def _emboss(image: Image, mask: Mask, strength: float, rng: SeededRandom) -> None:
    """Lighten one side of the letters' edges and darken the other, in place."""
    side = rng.choice((-1, 1))
    kernel = np.array([[-1, -1, 0], [-1, 0, side], [0, 1, 1]], np.float32) * (strength / 3)
    kernel[1, 2] = abs(kernel[1, 2])
    if side < 0:
        kernel = np.ascontiguousarray(kernel[:, ::-1])
    shade = cv2.filter2D(cv2.blur(mask, (3, 3)), cv2.CV_16S, kernel)
    image[:] = cv2.add(image, cv2.merge([shade] * 3), dtype=cv2.CV_8U)
