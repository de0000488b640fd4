"""A plate as its maker delivers it, on a car: ground, border, band, small print, seals, letters, frame.

Drawn straight on, from a layout, some pixels larger than the picture of it will be; the style then takes the picture.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import cv2
import numpy as np

from generate_captcha.drawing import paint as grounds
from generate_captcha.drawing.paint import Colour
from generate_captcha.plates import letters as lettering
from generate_captcha.plates.layout_files import SMALL_FACE, Band, Border, Layout, Mark, Paint, Print, Row
from generate_captcha.plates.letters import Face, Mask
from generate_captcha.plates.patterns import Part, Rows
from generate_captcha.style import Image, Source
from generate_captcha.text import fonts
from generate_captcha.text.fonts import FAR_EAST, Font
from generate_captcha.text.strokes import Drawn

Box = tuple[float, float, float, float]  # left, top, right, bottom

#: What is seen of the car around the plate, as a part of the plate's height.
AROUND = 0.35
#: Letters whose width says how narrow a face must become.
USUAL = "HN08B"
#: Of frames and stickers.
SYLLABLES = (
    "AU", "TO", "MO", "TORS", "CAR", "LINE", "CITY", "RO", "SA", "VAL", "LEY", "NORD", "SUD", "WEST", "KAR", "HAUS",
    "BER", "MAR", "CO", "DEL", "SOL", "VIL", "LA", "PARK", "STAR", "FOR", "DA", "MIL", "LER", "KO", "VA", "NEW",
    "BEST", "GO",
)  # fmt: skip
#: Where plates are screwed on, as parts of width and height, unless their layout says where.
SCREWS = (
    ((0.2, 0.09), (0.8, 0.09), (0.2, 0.91), (0.8, 0.91)),
    ((0.25, 0.1), (0.75, 0.1)),
    ((0.035, 0.5), (0.965, 0.5)),
    ((0.3, 0.9), (0.7, 0.9), (0.3, 0.1), (0.7, 0.1)),
)
#: Beside digits, Hangul and Han letters are this low at the least, as a part of their height.
SHORTEST = {"hangul": 0.6, "han": 0.82}


class Sheet(NamedTuple):
    """A plate seen straight on; boxes are in pixels of `image`."""

    image: Image  #: uint8 (height, width, 3), RGB
    ink: Mask  #: of the letters
    plate: Box
    text: Box
    tall: float  #: height of the smallest row's letters, in pixels
    pitch: float  #: from one letter to the next, where they are closest


class _Letter(NamedTuple):
    ink: Mask
    left: int
    top: int


class _Maker(NamedTuple):
    """What the letters of one plate have in common."""

    face: Face
    eastern: Face | None  #: of Hangul and Han
    weight: int  #: see :func:`lettering.letter`
    proportion: int  #: of Hangul and Han
    lowest: float  #: Hangul and Han letters, as a part of the row's height

    def ink(self, letter: str, size: tuple[int, int]) -> Mask:
        if self.eastern and ord(letter) >= FAR_EAST:
            return lettering.letter(self.eastern, letter, size, self.weight, self.proportion)
        return lettering.letter(self.face, letter, size, self.weight)

    def width(self, letter: str) -> float:
        return lettering.width(self.face, letter, self.weight)


def draw(layout: Layout, rows: Rows, scale: float, hard: float, wear: float, source: Source) -> Sheet:
    """The plate that reads `rows`, at `scale` pixels per millimetre.

    `hard` (0 … 1) says how much may lie around and on it, `wear` multiplies dirt.
    """
    paint = _weighed(layout.paints, source)
    width, height = (round(side * scale) for side in layout.size)
    tones = {colour: _shade(colour, 4 + 12 * hard, source) for colour in (*paint.ground, paint.ink)}
    ground, ink_tone = [tones[colour] for colour in paint.ground], tones[paint.ink]
    image = _ground(height, width, ground)
    _graphics(image, paint, source)
    for band in layout.bands:
        if source.random() < band.chance:
            _band(image, band, scale, source)
    rim = ink_tone if paint.rim is None else _rgb(paint.rim)
    if layout.border:
        _border(image, layout.border, rim, scale)
    for small, faces in zip(layout.prints, layout.printing, strict=True):
        if source.random() < small.chance:
            _print(image, small, faces, ink_tone, scale, source)

    mask = np.zeros((height, width), np.uint8)
    face = source.choice(layout.lettering)
    eastern = source.choice(layout.eastern) if layout.eastern else None
    weight = 0 if source.random() < 0.4 else source.randbelow(3) * 2 - 2
    proportions = lettering.PROPORTIONS if layout.far_east == "han" else lettering.SHARES
    # What is drawn has a plate maker's proportions already.
    usual = isinstance(eastern, Drawn) and source.random() < 0.6
    proportion = 0 if usual or not eastern else source.randbelow(len(proportions))
    maker = _Maker(face, eastern, weight, proportion, SHORTEST[layout.far_east])
    embossed = source.random() < layout.relief
    boxes, pitches, gap = [], [], None
    for parts, row in zip(rows, layout.rows, strict=True):
        letters, pitch, first_gap = _set(parts, row, maker, scale, source)
        gap = gap or first_gap
        box = _inked(image, mask, letters, ink_tone if row.ink is None else _rgb(row.ink), embossed, hard, source)
        boxes.append(box)
        pitches.append(pitch)
    for mark in layout.marks:
        if source.random() < mark.chance and (mark.at != "gap" or gap):
            _mark(image, mark, gap, scale, source)
    text = _around(boxes)
    tall = min(row.box[3] - row.box[1] for row in layout.rows) * scale
    return _mounted(
        Sheet(image, mask, (0, 0, width, height), text, tall, min(pitches)), layout, scale, hard, wear, source
    )


# Letters


def _set(
    parts: list[Part], row: Row, maker: _Maker, scale: float, source: Source
) -> tuple[list[_Letter], float, tuple[float, float] | None]:
    """The letters of a row where they stand, the narrowest pitch, and the middle of the first separator, in pixels."""
    left, top, right, bottom = (side * scale for side in row.box)
    tall = max(4, round(bottom - top))
    usual = row.letter * scale
    narrow = usual / (max(map(maker.width, USUAL)) * tall)
    narrow *= source.between(0.93, 1.03)
    far_east = scale * (row.far_east or 1.2 * row.letter)
    gap, space = row.gap * scale * source.between(0.85, 1.15), row.space * scale * source.between(0.9, 1.1)

    # What stands where: (text or separator, stacked?, room, width of its ink).
    places: list[tuple[Part, float, float]] = []
    for part in parts:
        if part.separator:
            places.append((part, space, 0.0))
        elif part.stacked:
            places.append((part, 0.8 * far_east, 0.8 * far_east))
        else:
            for letter in part.text:
                if ord(letter) >= FAR_EAST:
                    places.append((Part(letter), far_east, far_east))
                else:
                    wide = min(usual, narrow * maker.width(letter) * tall)
                    places.append((Part(letter), usual if row.fixed else wide, wide))
    gaps = [0.0 if one[0].separator or other[0].separator else gap for one, other in itertools.pairwise(places)]
    total = sum(room for _, room, _ in places) + sum(gaps)
    squeeze, free = 1.0, right - left - total
    if free < 0:
        squeeze, free = (right - left) / total, 0.0
    elif row.spread:
        # Letters grow wider, too, but not beyond what letters look like.
        squeeze = min(1.3, 1 + source.random() * row.spread * free / total)
        free = right - left - squeeze * total
    pen = left + free * {"left": 0.0, "centre": 0.5, "right": 1.0}[row.align]
    letters: list[_Letter] = []
    middle: tuple[float, float] | None = None
    middles = []
    y = round(top)
    for (part, room, wide), after in zip(places, [*gaps, 0.0], strict=True):
        room, wide = room * squeeze, wide * squeeze
        centre = pen + room / 2
        if part.separator:
            middle = middle or (centre, (top + bottom) / 2)
            letters += _separator(part.text, centre, y, tall, room, maker.weight)
        elif part.stacked:
            each = tall / len(part.text)
            for place, letter in enumerate(part.text):
                size = max(3, round(wide)), max(3, round(0.94 * each))
                ink = maker.ink(letter, size)
                letters.append(_Letter(ink, round(centre - wide / 2), round(top + place * each)))
            middles.append(centre)
        else:
            high, above = tall, 0
            if ord(part.text) >= FAR_EAST:
                wide *= source.between(0.92, 1.08)
                high = round(tall * source.between(maker.lowest, 1.0))
                above = round((tall - high) * source.random())
            ink = maker.ink(part.text, (max(2, round(wide)), max(2, high)))
            letters.append(_Letter(ink, round(centre - wide / 2), y + above))
            middles.append(centre)
        pen += room + after * squeeze
    pitch = min((other - one for one, other in itertools.pairwise(middles)), default=usual)
    return letters, pitch, middle


def _separator(text: str, centre: float, top: int, tall: int, room: float, weight: int) -> list[_Letter]:
    thick = max(2, round(0.13 * tall + weight / lettering.MASTER * tall))
    if text == "-":
        wide = max(3, round(0.62 * room))
        return [_Letter(np.full((thick, wide), 255, np.uint8), round(centre - wide / 2), top + (tall - thick) // 2)]
    if text in "·.":
        dot = cv2.circle(
            np.zeros((thick + 2, thick + 2), np.uint8), (thick // 2, thick // 2), thick // 2, 255, -1, cv2.LINE_AA
        )
        return [_Letter(dot, round(centre - thick / 2), top + ((tall - thick) // 2 if text == "·" else tall - thick))]
    return []


def _inked(
    image: Image, mask: Mask, letters: list[_Letter], tone: Colour, embossed: bool, hard: float, source: Source
) -> Box:
    """Lay a row's letters on `image` and `mask`, in place; the box they take."""
    left = min(letter.left for letter in letters)
    top = min(letter.top for letter in letters)
    right = max(letter.left + letter.ink.shape[1] for letter in letters)
    bottom = max(letter.top + letter.ink.shape[0] for letter in letters)
    height, width = mask.shape
    # Some pixels around, for the shade of what is embossed.
    x0, y0, x1, y1 = max(0, left - 3), max(0, top - 3), min(width, right + 3), min(height, bottom + 3)
    ink = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for letter in letters:
        x, y = letter.left - x0, letter.top - y0
        part = ink[max(0, y) : y + letter.ink.shape[0], max(0, x) : x + letter.ink.shape[1]]
        np.maximum(part, letter.ink[max(0, -y) :, max(0, -x) :][: part.shape[0], : part.shape[1]], out=part)
    np.maximum(mask[y0:y1, x0:x1], ink, out=mask[y0:y1, x0:x1])
    part = image[y0:y1, x0:x1]
    opacity = 1 - 0.25 * hard * source.random()
    if source.random() < 0.2 * hard:
        worn = grounds.texture(ink.shape[0], ink.shape[1], source)
        ink = cv2.multiply(ink, cv2.convertScaleAbs(worn, alpha=-0.7, beta=255 + 0.25 * 128), scale=1 / 255)
    grounds.lay(part, tone, ink, opacity)
    if embossed:
        _emboss(part, ink, source.between(0.1, 0.5) * (0.4 + 0.6 * hard), source)
    return left, top, right, bottom


def _emboss(part: Image, ink: Mask, strength: float, source: Source) -> None:
    """Light on one side of the letters' edges and shade on the other, in place."""
    side = source.choice((-1, 1))
    kernel = np.array([[-1, -1, 0], [-1, 0, side], [0, 1, 1]], np.float32) * (strength / 3)
    kernel[1, 2] = abs(kernel[1, 2])
    if side < 0:
        kernel = np.ascontiguousarray(kernel[:, ::-1])
    shade = cv2.filter2D(cv2.blur(ink, (3, 3)), cv2.CV_16S, kernel)
    part[:] = cv2.add(part, cv2.merge([shade] * 3), dtype=cv2.CV_8U)


# Ground and what is on it


def _ground(height: int, width: int, tones: list[Colour]) -> Image:
    if len(tones) == 1:
        return grounds.plain(height, width, tones[0])
    places = np.linspace(0, 1, len(tones))
    rows = np.stack([np.interp(np.linspace(0, 1, height), places, part) for part in np.transpose(tones)], axis=1)
    return np.repeat(np.rint(rows).astype(np.uint8)[:, None], width, axis=1)


def _graphics(image: Image, paint: Paint, source: Source) -> None:
    """The pictures on a ground, in place: each there by chance, and pale."""
    if not paint.graphics:
        return
    over = image.copy()
    height, width = image.shape[:2]
    drawn = False
    for kind in paint.graphics:
        if source.random() < 0.55:
            drawn = True
            _graphic(
                over, kind, _shade(source.choice(paint.colours or paint.ground), 20, source), height, width, source
            )
    if drawn:
        share = source.between(0.25, 0.9)
        cv2.addWeighted(over, share, image, 1 - share, 0, dst=image)


def _graphic(image: Image, kind: str, tone: Colour, height: int, width: int, source: Source) -> None:
    match kind:
        case "hills" | "waves":
            x = np.linspace(0, 1, 33)
            base = source.between(0.45, 0.85)
            level = np.full(33, base)
            for octave in (1, 2, 4, 8):
                swing = source.between(0.02, 0.14) / (1 if octave < 3 else 2)
                level += swing * np.sin(math.tau * (octave * x * source.between(0.6, 1.4) + source.random()))
            edge = np.stack([x * width, level * height], axis=1)
            if kind == "hills":
                corners = np.concatenate([edge, [[width, height], [0, height]]])
                cv2.fillPoly(image, [np.rint(corners * 16).astype(np.int32)], tone, cv2.LINE_AA, 4)
            else:
                for step in range(1 + source.randbelow(4)):
                    points = np.rint((edge + np.array([0, step * 0.09 * height])) * 16).astype(np.int32)
                    cv2.polylines(image, [points], False, tone, max(1, height // 30), cv2.LINE_AA, 4)
        case "sun":
            centre = round(source.random() * width), round(source.between(0.2, 0.7) * height)
            cv2.circle(image, centre, round(source.between(0.12, 0.4) * height), tone, -1, cv2.LINE_AA)
        case "rays":
            middle = np.array([source.random() * width, source.between(0.3, 1.0) * height])
            for number in range(0, 24, 2):
                angles = np.array([number, number + 1]) * (math.tau / 24)
                ends = middle + 1.2 * width * np.stack([np.cos(angles), np.sin(angles)], axis=1)
                cv2.fillPoly(image, [np.rint(np.stack([middle, *ends])).astype(np.int32)], tone, cv2.LINE_AA)
        case "clouds":
            field = grounds.texture(height, width, source)
            grounds.lay(image, tone, field, 0.6)
        case "stars":
            for _ in range(3 + source.randbelow(9)):
                _star(
                    image, source.random() * width, source.random() * height, source.between(0.03, 0.1) * height, tone
                )
        case "stripe":
            top = source.choice((0.0, 0.72, 0.78, 0.84))
            end = 0.28 * source.between(0.5, 1) if top == 0 else 1.0
            cv2.rectangle(image, (0, round(top * height)), (width, round(end * height)), tone, -1)
        case "figure":
            _figure(
                image, source.between(0.1, 0.9) * width, 0.5 * height, source.between(0.3, 0.7) * height, tone, source
            )
        case "mesh":
            step = max(3, height // 14)
            for place in range(-height, width, step):
                cv2.line(image, (place, 0), (place + height, height), tone, 1, cv2.LINE_AA)


def _figure(image: Image, x: float, y: float, size: float, tone: Colour, source: Source) -> None:
    """A shape such as a tree, an animal or a country's outline: any."""
    number = 7 + source.randbelow(8)
    angles = np.arange(number) * (math.tau / number)
    reach = size / 2 * np.array([source.between(0.35, 1.0) for _ in range(number)])
    points = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)
    cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], tone, cv2.LINE_AA, 4)


def _star(image: Image, x: float, y: float, radius: float, tone: Colour) -> None:
    angles = np.arange(10) * (math.pi / 5) - math.pi / 2
    reach = np.where(np.arange(10) % 2, 0.4, 1.0) * max(1.5, radius)
    points = np.stack([x + reach * np.cos(angles), y + reach * np.sin(angles)], axis=1)
    cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], tone, cv2.LINE_AA, 4)


def _border(image: Image, border: Border, tone: Colour, scale: float) -> None:
    height, width = image.shape[:2]
    outer = _rounded(height, width, round(border.inset * scale), round(border.radius * scale))
    thick = max(1, round(border.width * scale))
    inner = _rounded(height, width, round(border.inset * scale) + thick, max(0, round(border.radius * scale) - thick))
    grounds.lay(image, tone, cv2.subtract(outer, inner), 1.0)


@functools.lru_cache(maxsize=512)
def _rounded(height: int, width: int, inset: int, radius: int) -> Mask:
    """A rectangle with round corners, `inset` pixels from the edges."""
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = inset, inset, width - 1 - inset, height - 1 - inset
    radius = max(0, min(radius, (right - left) // 2, (bottom - top) // 2))
    cv2.rectangle(mask, (left + radius, top), (right - radius, bottom), 255, -1)
    cv2.rectangle(mask, (left, top + radius), (right, bottom - radius), 255, -1)
    for x in (left + radius, right - radius):
        for y in (top + radius, bottom - radius):
            cv2.circle(mask, (x, y), radius, 255, -1, cv2.LINE_AA)
    mask.setflags(write=False)
    return mask


def _band(image: Image, band: Band, scale: float, source: Source) -> None:
    height, width = image.shape[:2]
    across = min(round(band.width * scale), height, width)
    along = band.side in ("top", "bottom")
    part = {
        "left": image[:, :across], "right": image[:, width - across :],
        "top": image[:across], "bottom": image[height - across :],
    }[band.side]  # fmt: skip
    part[:] = np.rint(_shade(band.colour, 10, source))
    ink = _rgb(band.ink)
    high, wide = part.shape[:2]
    room = min(high, wide)
    x, y = (0.6 * room, high / 2) if along else (wide / 2, 0.3 * high)
    if band.symbol == "stars":
        radius = 0.3 * room
        for number in range(12):
            angle = number * math.tau / 12
            at = round((x + radius * math.cos(angle)) * 16), round((y + radius * math.sin(angle)) * 16)
            cv2.circle(part, at, max(8, round(0.045 * room * 16)), (255, 204, 0), -1, cv2.LINE_AA, 4)
    elif band.symbol == "disc":
        cv2.circle(part, (round(x), round(y)), max(2, round(0.3 * room)), ink, -1, cv2.LINE_AA)
    elif band.symbol == "flag" and band.flag:
        if along:
            x = wide - 0.8 * room
        deep, broad = (0.62 * room, 0.9 * room) if along else (0.42 * room, 0.64 * room)
        for number, colour in enumerate(band.flag):
            top = y - deep / 2 + deep * number / len(band.flag)
            corner = round(x - broad / 2), round(top)
            end = round(x + broad / 2), round(top + deep / len(band.flag))
            cv2.rectangle(part, corner, end, _rgb(colour), -1)
    if band.texts:
        text = source.choice(band.texts)
        face = _small_face()
        size = 0.55 * high if along else min(0.62 * wide, 0.26 * high)
        at = (wide / 2, high / 2) if along else (wide / 2, (0.78 if band.symbol != "none" else 0.72) * high)
        _write(part, face, text, at, size, 0.88 * wide, ink)


@functools.cache
def _small_face() -> Font:
    return Font(fonts.brought(SMALL_FACE))


def _print(image: Image, small: Print, faces: tuple[Font, ...], ink: Colour, scale: float, source: Source) -> None:
    tone = _rgb(source.choice(small.inks)) if small.inks else ink
    face, text = source.choice(faces), source.choice(small.texts)
    (x, y), tall, most = (side * scale for side in small.at), small.height * scale, small.width * scale
    if not small.stacked:
        _write(image, face, text, (x, y), tall, most, tone)
        return
    for place, letter in enumerate(text):
        _write(image, face, letter, (x, y + 1.2 * tall * (place - (len(text) - 1) / 2)), tall, most, tone)


def _write(
    image: Image, face: Font, text: str, at: tuple[float, float], tall: float, most: float, tone: Colour
) -> None:
    """Small print with capitals `tall` pixels high, `at` its middle, no wider than `most` pixels; in place."""
    if tall < 2:
        return
    # Few sizes, so that lines once drawn can be kept.
    ink = lettering.line(face, text, max(6, 2 * math.ceil(tall / 2)))
    shrink = tall / max(6, 2 * math.ceil(tall / 2))
    wide, high = min(most, ink.shape[1] * shrink), ink.shape[0] * shrink
    size = max(1, round(wide)), max(1, round(high))
    _stamp(
        image,
        cv2.resize(ink, size, interpolation=cv2.INTER_AREA),
        round(at[0] - wide / 2),
        round(at[1] - high / 2),
        tone,
    )


def _stamp(image: Image, ink: Mask, left: int, top: int, tone: Colour) -> None:
    """Lay `ink` in `tone`, its corner at (left, top), in place; what falls outside is cut off."""
    x, y = max(0, left), max(0, top)
    ink = ink[y - top :, x - left :]
    part = image[y : y + ink.shape[0], x : x + ink.shape[1]]
    if part.size:
        grounds.lay(part, tone, np.ascontiguousarray(ink[: part.shape[0], : part.shape[1]]), 1.0)


def _mark(image: Image, mark: Mark, gap: tuple[float, float] | None, scale: float, source: Source) -> None:
    if mark.at == "gap":
        assert gap
        x, y = gap[0], gap[1] + mark.offset * scale
    else:
        x, y = mark.at[0] * scale, mark.at[1] * scale
    wide, high = mark.size[0] * scale, mark.size[1] * scale
    tone = _shade(source.choice(mark.colours), 15, source)
    corner, end = (round(x - wide / 2), round(y - high / 2)), (round(x + wide / 2), round(y + high / 2))
    centre, radius = (round(x * 16), round(y * 16)), round(min(wide, high) * 8)
    match mark.kind:
        case "seal":
            cv2.circle(image, centre, radius, _darker(tone, 0.55), -1, cv2.LINE_AA, 4)
            cv2.circle(image, centre, round(0.9 * radius), tone, -1, cv2.LINE_AA, 4)
            cv2.circle(image, centre, round(0.45 * radius), _darker(tone, source.between(0.5, 0.9)), -1, cv2.LINE_AA, 4)
        case "disc" | "dot":
            cv2.circle(image, centre, radius, tone, -1, cv2.LINE_AA, 4)
        case "star":
            _star(image, x, y, min(wide, high) / 2, tone)
        case "dash":
            cv2.rectangle(image, corner, end, tone, -1)
        case "sticker":
            cv2.rectangle(image, corner, end, tone, -1)
            ink: Colour = (20, 20, 20) if sum(tone) > 380 else (245, 245, 245)
            if mark.texts:
                _write(image, _small_face(), source.choice(mark.texts), (x, y), 0.6 * high, 0.85 * wide, ink)
        case "shield":
            points = [(-0.5, -0.5), (0.5, -0.5), (0.5, 0.05), (0.25, 0.38), (0, 0.5), (-0.25, 0.38), (-0.5, 0.05)]
            outline = np.array([(x + a * wide, y + b * high) for a, b in points])
            cv2.fillPoly(image, [np.rint(outline * 16).astype(np.int32)], tone, cv2.LINE_AA, 4)
            inner = np.array([x, y]) + 0.6 * (outline - [x, y])
            cv2.fillPoly(image, [np.rint(inner * 16).astype(np.int32)], _darker(tone, 0.7), cv2.LINE_AA, 4)
        case "figure":
            _figure(image, x, y, min(wide, high), tone, source)
        case "stripes":
            for number, colour in enumerate(mark.colours):
                left = corner[0] + (end[0] - corner[0]) * number // len(mark.colours)
                right = corner[0] + (end[0] - corner[0]) * (number + 1) // len(mark.colours)
                cv2.rectangle(image, (left, corner[1]), (right - 1, end[1]), _rgb(colour), -1)


# On the car


def _mounted(sheet: Sheet, layout: Layout, scale: float, hard: float, wear: float, source: Source) -> Sheet:
    """`sheet` with its screws, dirt and frame, on a car."""
    height, width = sheet.ink.shape
    _screws(sheet, layout, scale, hard, source)
    if source.random() < 0.45 * hard:
        _dirty(sheet.image, source.random() * min(1.0, 0.8 * hard * wear), source)
    margin = round(AROUND * height)
    image = _car(height + 2 * margin, width + 2 * margin, source)
    part = image[margin : margin + height, margin : margin + width]
    _corners(part, sheet.image, round(layout.radius * scale))
    left, top, right, bottom = (side + margin for side in sheet.text)
    plate = (margin, margin, margin + width, margin + height)
    if source.random() < 0.5 * hard:
        _frame(image, plate, (left, top, right, bottom), source)
    return sheet._replace(
        image=image,
        ink=cv2.copyMakeBorder(sheet.ink, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0),
        plate=plate,
        text=(left, top, right, bottom),
    )


def _corners(under: Image, plate: Image, radius: int) -> None:
    """Lay `plate` on `under`, its corners round, in place."""
    height, width = plate.shape[:2]
    kept = under.copy()
    under[:] = plate
    if not radius:
        return
    weight = _rounded(height, width, 0, radius)
    for rows in (slice(0, radius), slice(height - radius, height)):
        for columns in (slice(0, radius), slice(width - radius, width)):
            corner = np.ascontiguousarray(weight[rows, columns])
            under[rows, columns] = grounds.blended(kept[rows, columns], plate[rows, columns], corner)


def _screws(sheet: Sheet, layout: Layout, scale: float, hard: float, source: Source) -> None:
    """Screws, or the caps on them: where the layout has them, else where they cover no letter; in place."""
    height, width = sheet.ink.shape
    if layout.screws:
        if source.random() > 0.5 + 0.4 * hard:
            return
        # In holes somewhat larger than they are, not all of them used.
        play = source.between(-0.06, 0.06) * height, source.between(-0.04, 0.04) * height
        places = [(x * scale + play[0], y * scale + play[1]) for x, y in layout.screws if source.random() < 0.8]
        radius = source.between(0.04, 0.08) * height
    else:
        if source.random() > 0.25 + 0.5 * hard:
            return
        shares = source.choice(SCREWS)
        radius = max(1.5, source.between(0.025, 0.05) * height)
        places = [(x * width, y * height) for x, y in shares if _free(sheet, x * width, y * height, 1.6 * radius)]
    tone, shaded = grounds.colour(source.between(40, 250), 15, source), source.random() < 0.6
    for x, y in places:
        centre = round(x * 16), round(y * 16)
        if shaded:
            cv2.circle(sheet.image, centre, round(1.25 * radius * 16), _darker(tone, 0.5), -1, cv2.LINE_AA, 4)
        cv2.circle(sheet.image, centre, round(radius * 16), tone, -1, cv2.LINE_AA, 4)


def _free(sheet: Sheet, x: float, y: float, reach: float) -> bool:
    """Whether there is no letter so near."""
    column, row, around = round(x), round(y), math.ceil(reach)
    return not sheet.ink[max(0, row - around) : row + around, max(0, column - around) : column + around].any()


def _dirty(image: Image, strength: float, source: Source) -> None:
    """Dust and splashes, in place."""
    height, width = image.shape[:2]
    field = grounds.texture(height, width, source)
    tone = grounds.colour(source.between(60, 150), 25, source)
    if source.random() < 0.5:
        # Splashes: only the peaks.
        field = cv2.convertScaleAbs(cv2.subtract(field, source.between(120, 170)), alpha=3)
    grounds.lay(image, tone, np.ascontiguousarray(field), 0.65 * strength)


def _car(height: int, width: int, source: Source) -> Image:
    """What is behind a plate: paint, plastic, edges and slits."""
    luma = source.choice((25.0, 35.0, 60.0, 110.0, 160.0, 200.0, 230.0))
    tone = grounds.colour(luma, 70 if source.random() < 0.4 else 8, source)
    dark = _darker(tone, source.between(0.3, 0.9))
    image = grounds.painted(grounds.gradient(height, width, source), dark, tone)
    for _ in range(source.randbelow(6)):
        level = round(source.random() * height)
        shade = _darker(tone, source.between(0.2, 1.4))
        if source.random() < 0.75:
            slope = round(source.between(-0.05, 0.05) * width)
            thick = 1 + source.randbelow(max(2, height // 7))
            cv2.line(image, (0, level), (width, level + slope), shade, thick, cv2.LINE_AA)
        else:
            x = round(source.random() * width)
            cv2.circle(image, (x, level), 1 + source.randbelow(max(2, height // 5)), shade, -1, cv2.LINE_AA)
    return image


def _frame(image: Image, plate: Box, text: Box, source: Source) -> None:
    """A frame around the plate, over its edges but over no letter, mostly with a dealer's name; in place."""
    height = plate[3] - plate[1]
    tone = grounds.colour(source.choice((15.0, 25.0, 40.0, 60.0, 170.0, 215.0)), 8, source)
    out = source.between(0.02, 0.09) * height
    inwards = [
        min(source.random() * 0.16 * height, 0.6 * abs(edge - of_text))
        for edge, of_text in zip(plate, text, strict=True)
    ]
    outer = plate[0] - out, plate[1] - out, plate[2] + out, plate[3] + out
    inner = plate[0] + inwards[0], plate[1] + inwards[1], plate[2] - inwards[2], plate[3] - inwards[3]
    below = source.between(0.04, 0.15) * height if source.random() < 0.6 else 0.0
    above = source.between(0.04, 0.12) * height if source.random() < 0.25 else 0.0
    left, top, right, bottom = (round(side) for side in (outer[0], outer[1] - above, outer[2], outer[3] + below))
    for corner, end in (
        ((left, top), (right, round(inner[1]))),
        ((left, round(inner[3])), (right, bottom)),
        ((left, top), (round(inner[0]), bottom)),
        ((round(inner[2]), top), (right, bottom)),
    ):
        cv2.rectangle(image, corner, end, tone, -1)
    ink: Colour = (235.0, 235.0, 235.0) if sum(tone) < 380 else (30.0, 30.0, 30.0)
    for low, high in ((inner[3], bottom), (top, inner[1])):
        if high - low > 5 and source.random() < 0.75:
            name = "".join(source.choice(SYLLABLES) for _ in range(2 + source.randbelow(2)))
            words = f"{name} {source.choice(SYLLABLES)}{source.choice(SYLLABLES)}"
            at = (left + right) / 2, (low + high) / 2
            _write(image, _small_face(), words, at, 0.55 * (high - low), 0.8 * (right - left), ink)


# Colours


def _weighed(paints: tuple[Paint, ...], source: Source) -> Paint:
    place = source.random() * sum(paint.weight for paint in paints)
    for paint in paints:
        place -= paint.weight
        if place < 0:
            break
    return paint


@functools.cache
def _rgb(colour: str) -> Colour:
    return tuple(float(int(colour[start : start + 2], 16)) for start in (1, 3, 5))  # type: ignore[return-value]


def _shade(colour: str, spread: float, source: Source) -> Colour:
    return tuple(min(255.0, max(0.0, part + source.between(-spread, spread))) for part in _rgb(colour))  # type: ignore[return-value]


def _darker(tone: Colour, factor: float) -> Colour:
    return tuple(min(255.0, part * factor) for part in tone)  # type: ignore[return-value]


def _around(boxes: list[Box]) -> Box:
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)
