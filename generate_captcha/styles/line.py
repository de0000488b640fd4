"""Style `line`: single lines of text as documents, receipts, signs and screens show them.

One number, `difficulty`, raises everything together: at 0 a line is clean print in the middle of plain paper, at 1 it
is as hard as a person can still just read. What an effect may reach grows with it; what a picture gets is chance,
so that hard corpora hold easy lines as well. `noise` multiplies marks and grain, `distortion` the bending of the line.
As lines are cut out of documents, some are cut closely, and some show a part of the line above or below them. A
rendering that loses more than a trace of its letters, or does not stand out from its ground, is drawn again.
"""

from __future__ import annotations

import itertools
import math
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

import parameter
from crnn_reader.alphabet import parse_alphabet
from crnn_reader.errors import UserError
from crnn_reader.fit import MAX_WIDTH
from generate_captcha.drawing import effects as camera
from generate_captcha.drawing import paint as grounds
from generate_captcha.drawing.effects import Pose
from generate_captcha.drawing.paint import Colour, Pictures
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.style import Image, Source, TextStyle, digest
from generate_captcha.text import typesetting
from generate_captcha.text.fonts import FAR_EAST, Font
from generate_captcha.text.text_file import Texts
from generate_captcha.text.typesetting import Mask, Setting
from parameter import GenerateParameters

PROPERTIES = {
    "size": "280x32",
    "any_width": True,
    "length": "5-25",
    "own": ("difficulty", "text", "backgrounds"),
    "trained_as_drawn": True,
}

#: Renderings at the difficulty asked for, and then at an ever lower one, before a text is given up.
AS_ASKED, EASIER = 6, 10
#: Pixels around the picture in which ink shows that the line is cut off, and the ink that counts.
MARGIN, CUT = 2, 64
#: Steps of the size, in pixels per em, at which letters are drawn that are then projected, and that stand straight.
#: Of few sizes, drawn letters and opened fonts can be kept; fonts of ideographs take megabytes for each size.
STEPS, STEPS_IDEOGRAPHS = (4, 1), (8, 4)
#: A line that is projected is at most so wide before: OpenCV takes 32,767 pixels, and small letters are drawn larger.
PROJECTED = 24_000
#: The height at which lines are commonly read. Lower ones grow to it, and must not become too wide to be read.
READ = 32
#: Pixels per em that letters need, and those that ideographs need, to be read after all that is done to them.
LEGIBLE, LEGIBLE_IDEOGRAPHS = 13, 22
#: Those below which neither is read, not even in clean print.
LEAST, LEAST_IDEOGRAPHS = 7, 10
#: So many times as large letters must be to be read in black and white.
BINARY = 1.4
#: The part of a side's pixels that a coarse picture may lack.
COARSE = 0.7
#: Rows of a printer's dots that letters need, per em.
DOTS = 10
#: The part of a line's ink that may lie elsewhere when it is printed so.
LOST = 0.55
#: The least from one letter to the next, as a part of these, if the picture has room.
PITCH = 0.4
#: Em of its ink that a line which is cut closely may lose at each side: less than half of a full stop.
TRACE = 0.04
#: The part of its own height that the line above or below may show, and the em that are left between the two.
NEIGHBOUR, GAP = 0.35, 0.05


class Written(NamedTuple):
    """A line where it will be in the picture, each mask with :data:`MARGIN` pixels around it."""

    ink: Mask
    neighbour: Mask | None  #: the ink of the line above or below
    em: float  #: pixels
    closely: bool  #: cut out without room around it


class Line(TextStyle):
    """Lines of text, from clean print to what can just be read."""

    FONTS = (
        "DroidSansMono.ttf",
        "DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSans-Oblique.ttf", "DejaVuSans-BoldOblique.ttf",
        "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSansMono-Oblique.ttf",
        "DejaVuSerif.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSerif-Italic.ttf", "DejaVuSerif-BoldItalic.ttf",
        "STIXGeneral.ttf", "STIXGeneralBol.ttf", "STIXGeneralItalic.ttf", "STIXGeneralBolIta.ttf",
        "cmr10.ttf", "cmb10.ttf", "cmss10.ttf", "cmti10.ttf", "cmtt10.ttf",
        "HankenGrotesk-Regular.otf", "HankenGrotesk-Italic.otf", "HankenGrotesk-Bold.otf",
        "SourceSansPro-Light.ttf", "SourceSansPro-Regular.ttf", "SourceSansPro-It.ttf", "SourceSansPro-Bold.ttf",
        "SourceSansPro-Black.ttf",
    )  # fmt: skip
    ANY_FONT = True
    OWN = ("difficulty",)

    def __init__(self, parameters: GenerateParameters) -> None:
        self._texts: Texts | None = None
        super().__init__(parameters)
        self._pictures = Pictures(parameters.backgrounds) if parameters.backgrounds is not None else None
        self._boxes = {font: self._box(font) for font in self.fonts}
        self._files = [list(faces) for _, faces in itertools.groupby(self.fonts, key=lambda font: font.path)]
        wide = _wide(self.alphabet)
        self._legible = LEGIBLE_IDEOGRAPHS if wide else LEGIBLE
        self._steps = STEPS_IDEOGRAPHS if wide else STEPS
        self._widest = MAX_WIDTH * min(self.height, READ) // READ

    def draw(self, label: str, source: Source) -> Image:
        least = LEAST_IDEOGRAPHS if _wide(label) else LEAST
        for attempt in range(AS_ASKED + EASIER + 1):
            hard = self.difficulty * min(1.0, 1 - (attempt - AS_ASKED) / EASIER)
            written = self._written(label, hard, source)
            if written.em < least:
                continue
            mask = _inner(written.ink)
            if not written.closely and (written.ink > CUT).sum() > (mask > CUT).sum():
                continue
            ink = mask if written.neighbour is None else np.maximum(mask, _inner(written.neighbour))
            # What blurs a letter is measured by its details, of which ideographs have more.
            image = self._pictured(np.ascontiguousarray(ink), written.em * LEGIBLE / self._legible, hard, source)
            if stands_out(image, mask, written.em):
                return image
        shown = label if len(label) <= 60 else f"{label[:60]}… ({len(label):,} characters)"
        raise UserError(
            f"--size {self.width or 'auto'}x{self.height}: {shown!r} cannot be drawn readably in it: give a larger "
            "size or shorter texts, or leave such texts out"
        )

    def about(self) -> dict[str, Any]:
        about = super().about()
        if self._parameters.text is not None:
            about["text"] = digest(Path(self._parameters.text))
        if self._pictures:
            about["backgrounds"] = self._pictures.digest()
        return about

    def _alphabet(self, parameters: GenerateParameters) -> str:
        given = None if parameters.alphabet is None else parse_alphabet(parameters.alphabet)
        if parameters.text is not None:
            self._texts = Texts(parameters.text, self.shortest, self.longest, given)
            return self._texts.characters
        characters = given or parse_alphabet(parameter.DEFAULT_ALPHABET)
        for character in characters:
            if unicodedata.combining(character) or not (character == " " or character.isprintable()):
                raise UserError(
                    f"--alphabet: {character!r} must follow another character, so random texts cannot have it: leave "
                    "it out, or give the texts in a file with --text"
                )
        if not characters.strip():
            raise UserError("--alphabet: it has no visible character; add letters")
        return characters

    def _label(self, source: Source) -> str:
        if self._texts:
            return self._texts.piece(source)
        length = self.shortest + source.randbelow(self.longest - self.shortest + 1)
        label = ""
        for place in range(length):
            character = self._character(source)
            # A space is seen between two others alone.
            while character.isspace() and (place in (0, length - 1) or label[-1].isspace()):
                character = self._character(source)
            label += character
        return label

    def _box(self, font: Font) -> tuple[float, float]:
        """The top and bottom, in em, of what the alphabet's letters take."""
        setting = typesetting.measure(font, "".join(self.alphabet[:256]), 0.0)
        return setting.top, setting.bottom

    # The line

    def _written(self, label: str, hard: float, source: Source) -> Written:
        font = source.choice(source.choice(self._files))
        setting = typesetting.measure(font, label, _spacing(hard, source))
        # Between the line's own ink and what any line of this alphabet might take.
        closely = source.random() < 0.5 * hard
        own, low, high = 1.0 if closely else source.random() * hard, *self._boxes[font]
        top, bottom = setting.top * own + low * (1 - own), setting.bottom * own + high * (1 - own)
        top, bottom = min(top, setting.top), max(bottom, setting.bottom)
        width, height = max(0.1, setting.right - setting.left), max(0.1, bottom - top)

        most = source.between(0.7 - 0.25 * hard, 0.7 + 0.3 * hard)
        beside = source.between(0.12 * (1 - hard), 0.25) * self.height
        around = source.between(-TRACE, 0.15)
        if closely:
            most, beside = 1.0, 0.0
        # A line whose pose would leave its letters too little room lies straight.
        for pose in (_pose(width, height, hard, self.distortion, source), Pose()):
            matrix, (left, upper, right, lower) = camera.extent(pose, width, height)
            if closely:
                left, upper, right, lower = left - around, upper - around, right + around, lower + around
            part = min(1.0, max(most, self._legible * (lower - upper) / self.height))
            em = part * self.height / (lower - upper)
            picture_width = self.width or min(self._widest, math.ceil(em * (right - left) + 2 * beside))
            em = min(em, max(picture_width - 2 * beside, 0.9 * picture_width) / (right - left))
            roomy = em > self._legible and em * (right - left) > PITCH * self._legible * len(label)
            if roomy and em * width < PROJECTED:
                break
        # Small letters are drawn larger and projected: a whole number of pixels would be far from their size.
        straight = pose == Pose() and em > self._legible
        step = self._steps[straight]
        size = math.floor(em / step) * step if straight else math.ceil(em / step) * step
        em = float(size) if straight else em
        # From the middle outwards.
        off_x, off_y = (source.between(0.5 - 0.5 * hard, 0.5 + 0.5 * hard) for _ in range(2))
        free_x, free_y = picture_width - em * (right - left), self.height - em * (lower - upper)
        to_picture = (
            np.array(
                [
                    [em, 0, MARGIN + free_x * off_x - em * left],
                    [0, em, MARGIN + free_y * off_y - em * upper],
                    [0, 0, 1],
                ]
            )
            @ matrix
        )
        middle = (setting.left + setting.right) / 2, (top + bottom) / 2
        whole = picture_width + 2 * MARGIN, self.height + 2 * MARGIN

        def laid(text: str, its: Setting, down: float) -> Mask:
            """A line's ink in the picture, `down` em below its place."""
            ink, x, y = typesetting.draw(font, text, its, size)
            # A neighbour is no longer than the line: poses are made for the line's own length.
            ink = ink[:, : max(1, round(x + setting.right * size))]
            to_mask = np.array([[size, 0, x + middle[0] * size], [0, size, y + (middle[1] - down) * size], [0, 0, 1.0]])
            if not straight:
                return camera.project(ink, pose, width, to_picture, to_mask, whole)
            return _placed(ink, round(to_picture[0, 2] - to_mask[0, 2]), round(to_picture[1, 2] - to_mask[1, 2]), whole)

        neighbour, above = None, source.random() < 0.5
        room = free_y * (off_y if above else 1 - off_y) / em
        if source.random() < 0.3 * hard and room > GAP:
            text = self._label(source)
            its = typesetting.measure(font, text, 0.0)
            # So far away that it does not touch the line, and shows no more than a part of itself.
            away = max(source.between(GAP, room), room - NEIGHBOUR * (its.bottom - its.top))
            neighbour = laid(text, its, top - its.bottom - away if above else bottom - its.top + away)
            if _tallest(_inner(neighbour)) > 1.2 * NEIGHBOUR * (its.bottom - its.top) * em:
                neighbour = None
        fine = em * LEGIBLE / self._legible
        mask = _rastered(_stroke(laid(label, setting, 0.0), fine, hard, source), fine, hard, source)
        return Written(mask, neighbour, em, closely)

    # The picture

    def _pictured(self, mask: Mask, em: float, hard: float, source: Source) -> Image:
        """The picture of the ink `mask`, `em` pixels tall: ground, marks, ink, and what a camera adds."""
        contrast = source.between(180 - 125 * hard, 250 - 20 * hard)
        inverted = source.random() < 0.35 * hard
        # The lighter of the two is somewhere between as dark as it can be, and white.
        light = source.between(max(contrast, 255 - 150 * hard), 255)
        ground_luma, ink_luma = (light - contrast, light) if inverted else (light, light - contrast)
        tint = 90 * hard * source.random()
        image = self._ground(mask.shape, ground_luma, tint, contrast, hard, source)
        tone = grounds.colour(ink_luma, 140 * hard * source.random(), source)
        self._marks(image, mask, tone, em, hard, source)
        _relief(image, mask, ground_luma, ink_luma, em, hard, source)
        image = _inked(image, mask, tone, em, hard, source)
        self._marks(image, mask, tone, em, hard, source)
        return self._photographed(image, em, hard, source)

    def _ground(
        self, shape: tuple[int, ...], luma: float, tint: float, contrast: float, hard: float, source: Source
    ) -> Image:
        """The ground: uint8 (height, width, 3), in the mean about as light as `luma`."""
        height, width = shape
        tone = grounds.colour(luma, tint, source)
        if self._pictures and source.random() < 0.3 + 0.4 * hard:
            # Pulled towards the tone, so that it stays about as light and the text finds room.
            strength = source.between(0.1, 0.25 + 0.5 * hard)
            part = self._pictures.piece(height, width, source)
            shift = [level - strength * mean for level, mean in zip(tone, cv2.mean(part), strict=False)]
            return cv2.add(cv2.convertScaleAbs(part, alpha=strength), np.rint([*shift, 0]))
        if source.random() > 0.75 * hard:
            return grounds.plain(height, width, tone)
        # It may take a part of what the ink stands out by.
        swing = source.between(0.05, 0.4) * contrast
        if source.random() < 0.4:
            field, swing = grounds.gradient(height, width, source), 0.6 * swing
        else:
            field = grounds.texture(height, width, source)
        other = grounds.colour(luma, tint, source)
        return grounds.painted(field, _lighter(tone, -swing), _lighter(other, swing))

    def _marks(self, image: Image, mask: Mask, tone: Colour, em: float, hard: float, source: Source) -> None:
        """Lines and dots, in place."""
        height, width = mask.shape
        amount = self.noise * hard
        thick = max(1, round(em / 20))
        if source.random() < 0.12 * amount:
            # A rule under the text, or a line through it.
            row = height * (source.between(0.8, 1.0) if source.random() < 0.7 else source.between(0.4, 0.6))
            slope = source.between(-1, 1) * hard * 0.08 * height
            ends = (0, round(row + slope)), (width, round(row - slope))
            cv2.line(image, *ends, _near(tone, 60, source), thick, cv2.LINE_AA)
        if source.random() < 0.35 * hard:
            for _ in range(source.about(2 * amount * source.random())):
                self._stray_line(image, _near(tone, 120, source), source.between(0.5, 1.6) * thick, source)
        if source.random() < 0.3 * hard:
            number = source.about(amount * source.random() * width * height / 150)
            for _ in range(number):
                x, y = source.randbelow(width), source.randbelow(height)
                side = 1 + source.randbelow(max(1, round(em / 14)))
                image[y : y + side, x : x + side] = _near(tone, 160, source)

    def _stray_line(self, image: Image, tone: Colour, thickness: float, source: Source) -> None:
        height, width = image.shape[:2]
        long = source.between(0.2, 1.1) * width
        x, y = source.between(-0.1, 1) * width, source.between(0, 1) * height
        rise, bulge = source.between(-1, 1) * height * 0.8, source.between(-0.5, 0.5) * height
        t = np.linspace(0, 1, 2 if source.random() < 0.5 else 12)
        points = np.stack([x + long * t, y + rise * t + 4 * bulge * t * (1 - t)], axis=1)
        cv2.polylines(
            image, [np.rint(points * 16).astype(np.int32)], False, tone, max(1, round(thickness)), cv2.LINE_AA, 4
        )

    def _photographed(self, image: Image, em: float, hard: float, source: Source) -> Image:
        if source.random() < 0.45 * hard:
            image = cv2.GaussianBlur(image, (0, 0), source.between(0.01, 0.01 + 0.04 * hard) * em + 0.2)
        if source.random() < 0.2 * hard:
            image = camera.motion(image, 1 + source.random() * 0.13 * hard * em, source.between(0, 180))
        if source.random() < 0.35 * hard:
            least = max(1 - COARSE * hard, LEGIBLE / em)
            if least < 1:
                image = camera.coarse(image, source.between(least, 1))
        if source.random() < 0.7 * hard:
            image = camera.grain(image, source.random() * 17 * hard * self.noise, source.random() < 0.5, source)
        if source.random() < 0.3 * hard and em > BINARY * LEGIBLE:
            least = max(1 - COARSE * hard, BINARY * LEGIBLE / em)
            image = camera.grain(image, source.random() * 30 * hard * self.noise, source.random() < 0.2, source)
            contrast = 255.0 if source.random() < 0.3 else source.between(1.5, 6)
            image = camera.scanned(image, source.between(least, 1), contrast, source)
        if source.random() < 0.6 * hard:
            image = camera.jpeg(image, int(source.between(95 - 65 * hard, 95)))
        return image


def _wide(characters: Iterable[str]) -> bool:
    return any(ord(character) >= FAR_EAST for character in characters)


def _spacing(hard: float, source: Source) -> float:
    """What is added to the space between letters, in em: from letters that touch to wide ones."""
    if source.random() > 0.7 * hard:
        return 0.0
    return source.between(-0.1, 0.02) if source.random() < 0.5 else source.between(0.0, 0.4)


def _pose(width: float, height: float, hard: float, distortion: float, source: Source) -> Pose:
    much = hard * distortion
    if source.random() > min(1.0, 1.4 * hard):
        return Pose()
    stretch = source.between(1 - 0.6 * hard, 1 + 0.3 * hard)
    # A long line that turns takes height, and its letters shrink: it turns less.
    most = min(14.0, math.degrees(math.atan(0.7 * height / width)))
    rotation = source.between(-most, most) * much if source.random() < 0.6 else 0.0
    shear = source.between(-0.35, 0.35) * much if source.random() < 0.5 else 0.0
    tilt = source.between(-0.35, 0.35) * much, source.between(-0.15, 0.15) * much
    if source.random() < 0.6:
        tilt = 0.0, 0.0
    arc = source.between(-0.45, 0.45) * much * height if source.random() < 0.3 else 0.0
    wave = (0.0, 1.0, 0.0)
    if source.random() < 0.25:
        wave = source.between(0.02, 0.14) * much * height, source.between(2, 6) * height, source.between(0, 2 * math.pi)
    if not much:
        return Pose(stretch=stretch)
    return Pose(rotation, shear, stretch, tilt, arc, wave)


def _inner(mask: Mask) -> Mask:
    return mask[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _tallest(mask: Mask) -> int:
    """The most rows from the first to the last that has ink in any column."""
    ink = mask > CUT
    between = len(ink) - ink.argmax(axis=0) - ink[::-1].argmax(axis=0)
    return int((between * ink.any(axis=0)).max())


def _placed(ink: Mask, left: int, top: int, size: tuple[int, int]) -> Mask:
    """`ink` with its corner at (left, top) of a mask of `size` (width, height)."""
    mask = np.zeros(size[::-1], np.uint8)
    x, y = max(0, left), max(0, top)
    part = ink[y - top : max(0, size[1] - top), x - left : max(0, size[0] - left)]
    mask[y : y + part.shape[0], x : x + part.shape[1]] = part
    return mask


def _stroke(mask: Mask, em: float, hard: float, source: Source) -> Mask:
    """Fatter or, where letters are large enough, leaner."""
    if source.random() > 0.3 * hard:
        return mask
    fatter = source.random() < 0.6
    if not fatter and em < 24:
        return mask
    changed = (cv2.dilate if fatter else cv2.erode)(mask, np.ones((2, 2) if em < 30 else (3, 3), np.uint8))
    share = source.between(0.2, 0.8 if fatter else 0.5)
    return cv2.addWeighted(mask, 1 - share, changed, share, 0)


def _rastered(mask: Mask, em: float, hard: float, source: Source) -> Mask:
    """Now and then as receipts are printed: in few dots, which touch or do not."""
    size = min(3, int(em / DOTS))
    if size < 2 or source.random() > 0.5 * hard:
        return mask
    size = 2 + source.randbelow(size - 1)
    height, width = mask.shape
    cells = cv2.resize(mask, (-(-width // size), -(-height // size)), interpolation=cv2.INTER_AREA)
    dots = cv2.threshold(cells, source.between(70, 130), 255, cv2.THRESH_BINARY)[1]
    if source.random() < 0.5:
        printed = cv2.resize(dots, (dots.shape[1] * size, dots.shape[0] * size), interpolation=cv2.INTER_LINEAR)
    else:
        # Each cell is full in its middle, and less so where it meets its neighbours.
        tile = np.full((size, size), 1 - source.between(0.1, 0.6))
        tile[: size - 1, : size - 1] = 1
        printed = (np.kron(dots, np.ones((size, size), np.uint8)) * np.tile(tile, dots.shape)).astype(np.uint8)
    printed = printed[:height, :width]
    # Thin or tangled strokes are lost in so few dots.
    return printed if cv2.norm(printed, mask, cv2.NORM_L1) < LOST * cv2.norm(mask, cv2.NORM_L1) else mask


def _relief(
    image: Image, mask: Mask, ground_luma: float, ink_luma: float, em: float, hard: float, source: Source
) -> None:
    """Rarely, a shadow or an outline under the ink, in place."""
    if source.random() > 0.2 * hard:
        return
    reach = max(1, round(em * source.between(0.03, 0.09)))
    if source.random() < 0.5:
        down, along = reach, source.choice((-reach, 0, reach))
        under = _placed(mask, along, down, mask.shape[::-1])
        luma = ground_luma + 0.45 * (ink_luma - ground_luma)
    else:
        under = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
        luma = 255.0 if ink_luma < ground_luma else 0.0
    image[:] = grounds.blended(image, np.full_like(image, round(luma)), under, source.between(0.5, 1.0))


def _inked(image: Image, mask: Mask, tone: Colour, em: float, hard: float, source: Source) -> Image:
    """`image` with the ink of `mask` on it: opaque, or the ground showing through, evenly or in spots."""
    height, width = mask.shape
    opacity = 1 - 0.3 * hard * source.random()
    if source.random() < 0.15 * hard:
        worn = grounds.texture(height, width, source)
        # From full ink to what is left where it is worn most.
        mask = cv2.multiply(mask, cv2.convertScaleAbs(worn, alpha=-0.6, beta=255 + 0.3 * 128), scale=1 / 255)
    if source.random() < 0.2 * hard:
        mask = _missed(mask, em, source)
    return grounds.blended(image, grounds.plain(height, width, tone), mask, opacity)


def _missed(mask: Mask, em: float, source: Source) -> Mask:
    """With some rows, or columns, faint, as of a printer whose head does not heat or strike evenly."""
    rows = source.random() < 0.5
    count = len(mask) if rows else mask.shape[1]
    share = np.ones(count)
    for _ in range(1 + source.randbelow(max(1, round(2 * count / em)))):
        first = source.randbelow(count)
        share[first : first + max(1, round(em * source.between(0.02, 0.08)))] = source.between(0.2, 0.7)
    return (mask * (share[:, None] if rows else share)).astype(np.uint8)


def _lighter(tone: Colour, by: float) -> Colour:
    return tuple(min(255.0, max(0.0, part + by)) for part in tone)  # type: ignore[return-value]


def _near(tone: Colour, spread: float, source: Source) -> Colour:
    return tuple(min(255.0, max(0.0, part + source.between(-spread, spread))) for part in tone)  # type: ignore[return-value]
