"""Style `line`: single lines of text as in documents, on receipts, signs and screens.

`difficulty` controls all effects together: at 0 a line is clean print in the middle of plain paper, at 1 it is as hard
as a person can just read. It bounds the effects; each picture gets a random selection, so that hard corpora also
contain easy lines. `noise` multiplies marks and noise, `distortion` the pose. As lines are cut out of pages, some are
cut closely, and some show part of the line above or below. A line that loses more than a trace of its letters, or does
not stand out from its background, is drawn again.
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
from generate_captcha.arrays import Image, Mask
from generate_captcha.drawing import effects, ink, paint
from generate_captcha.drawing.backgrounds import Backgrounds
from generate_captcha.drawing.paint import Rgb
from generate_captcha.drawing.pose import Pose, extent, project
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle, digest
from generate_captcha.text import fonts, typesetting
from generate_captcha.text.fonts import FULL_WIDTH
from generate_captcha.text.text_file import TextFile
from generate_captcha.text.typesetting import Setting
from parameter import GenerateParameters

PROPERTIES = {
    "size": "280x32",
    "any_width": True,
    "length": "5-25",
    "own": ("difficulty", "text", "backgrounds"),
    "trained_as_drawn": True,
}

#: Number of attempts at the full difficulty, and then at decreasing difficulty down to 0.
FULL_ATTEMPTS, EASIER_ATTEMPTS = 6, 10
#: Pixels around the picture in which ink shows that the line is cut off, and the mask level that counts as ink.
MARGIN, CUT = 2, 64
#: Steps of the size in pixels per em, for letters that are projected and for upright ones. With few sizes, letters and
#: opened fonts can be cached; a font of ideographs takes megabytes for each size.
STEPS, STEPS_IDEOGRAPHS = (4, 1), (8, 4)
#: Maximum width in pixels of a line to be projected: OpenCV takes 32,767, and small letters are drawn larger.
MAX_PROJECTED_WIDTH = 24_000
#: Height at which lines are usually read. Lower pictures are enlarged to it and must not become too wide.
READ_HEIGHT = 32
#: Pixels per em that letters, and ideographs, need to be legible after all effects.
LEGIBLE, LEGIBLE_IDEOGRAPHS = 13, 22
#: Minimum of pixels per em of letters, and of ideographs, in clean print.
MIN_EM, MIN_EM_IDEOGRAPHS = 7, 10
#: How much larger letters must be to be legible in black and white.
BINARY = 1.4
#: Maximum reduction of a side's pixels in a picture of low resolution.
LOW_RESOLUTION = 0.7
#: Minimum distance from letter to letter as a fraction of the legible size, if the picture has room.
PITCH = 0.4
#: How much a line that is cut closely may lose at each side, in em: less than half a full stop.
TRACE = 0.04
#: How much of the line above or below may be visible, as a fraction of its height, and the minimum gap to it in em.
NEIGHBOUR, GAP = 0.35, 0.05


class PlacedLine(NamedTuple):
    """The ink of a line in its picture. Masks have :data:`MARGIN` pixels around the picture."""

    ink: Mask
    neighbour: Mask | None  #: the ink of the line above or below
    em: float  #: size of the letters in pixels
    closely: bool  #: whether it is cut out without room around it


class Line(TextStyle):
    """Lines of text, from clean print to barely legible."""

    FONTS = fonts.TEXT_FONTS
    SKIP_INCOMPLETE_FONTS = True

    def __init__(self, parameters: GenerateParameters) -> None:
        self._texts: TextFile | None = None
        super().__init__(parameters)
        self._backgrounds = Backgrounds(parameters.backgrounds) if parameters.backgrounds is not None else None
        #: Measures of all letters of the alphabet, or of the first ones of a large one.
        self._boxes = {font: typesetting.measure(font, self.alphabet[:256], 0.0) for font in self.fonts}
        self._files = [list(faces) for _, faces in itertools.groupby(self.fonts, key=lambda font: font.path)]
        full_width = _has_full_width(self.alphabet)
        self._legible = LEGIBLE_IDEOGRAPHS if full_width else LEGIBLE
        self._steps = STEPS_IDEOGRAPHS if full_width else STEPS
        self._max_width = MAX_WIDTH * min(self.height, READ_HEIGHT) // READ_HEIGHT

    def draw(self, label: str, rng: SeededRandom) -> Image:
        min_em = MIN_EM_IDEOGRAPHS if _has_full_width(label) else MIN_EM
        for attempt in range(FULL_ATTEMPTS + EASIER_ATTEMPTS + 1):
            difficulty = self.difficulty * min(1.0, 1 - (attempt - FULL_ATTEMPTS) / EASIER_ATTEMPTS)
            line = self.place(label, difficulty, rng)
            if line.em < min_em:
                continue
            mask = _crop_margin(line.ink)
            if not line.closely and (line.ink > CUT).sum() > (mask > CUT).sum():
                continue
            all_ink = mask if line.neighbour is None else np.maximum(mask, _crop_margin(line.neighbour))
            # Blur is limited by the details of letters; those of ideographs are finer.
            image = self.paint(np.ascontiguousarray(all_ink), line.em * LEGIBLE / self._legible, difficulty, rng)
            if stands_out(image, mask, line.em):
                return image
        shown = label if len(label) <= 60 else f"{label[:60]}… ({len(label):,} characters)"
        raise UserError(
            f"{shown!r} cannot be drawn legibly in a picture of {self.width or 'auto'}x{self.height}: give a larger "
            "size or shorter texts, or leave such texts out",
            parameter="size",
        )

    def record(self) -> dict[str, Any]:
        record = super().record()
        if self._parameters.text is not None:
            record["text"] = digest(Path(self._parameters.text))
        if self._backgrounds:
            record["backgrounds"] = self._backgrounds.digest()
        return record

    def _alphabet(self, parameters: GenerateParameters) -> str:
        given = None if parameters.alphabet is None else parse_alphabet(parameters.alphabet)
        if parameters.text is not None:
            self._texts = TextFile(parameters.text, self.shortest, self.longest, given)
            return self._texts.characters
        characters = given or parse_alphabet(parameter.DEFAULT_ALPHABET)
        for character in characters:
            if unicodedata.combining(character) or not (character == " " or character.isprintable()):
                raise UserError(
                    f"the alphabet contains {character!r}, which must follow another character, so random texts cannot "
                    "have it: leave it out, or give a text file",
                    parameter="alphabet",
                )
        if not characters.strip():
            raise UserError("the alphabet has no visible character: add letters", parameter="alphabet")
        return characters

    def _label(self, rng: SeededRandom) -> str:
        if self._texts:
            return self._texts.piece(rng)
        length = self.shortest + rng.randbelow(self.longest - self.shortest + 1)
        label = ""
        for place in range(length):
            character = self._character(rng)
            # A space is visible only between two other characters.
            while character.isspace() and (place in (0, length - 1) or label[-1].isspace()):
                character = self._character(rng)
            label += character
        return label

    def place(self, label: str, difficulty: float, rng: SeededRandom) -> PlacedLine:
        """Typeset `label` with a random font, pose, size and position, sometimes with a neighbouring line."""
        font = rng.choice(rng.choice(self._files))
        setting = typesetting.measure(font, label, _random_spacing(difficulty, rng))
        # Between the height of this text and that of all letters of the alphabet.
        closely = rng.random() < 0.5 * difficulty
        own, box = 1.0 if closely else rng.random() * difficulty, self._boxes[font]
        top, bottom = setting.top * own + box.top * (1 - own), setting.bottom * own + box.bottom * (1 - own)
        top, bottom = min(top, setting.top), max(bottom, setting.bottom)
        width, height = max(0.1, setting.right - setting.left), max(0.1, bottom - top)

        max_share = rng.between(0.7 - 0.25 * difficulty, 0.7 + 0.3 * difficulty)
        side_margin = rng.between(0.12 * (1 - difficulty), 0.25) * self.height
        margin = rng.between(-TRACE, 0.15)
        if closely:
            max_share, side_margin = 1.0, 0.0
        # A line is upright if its letters would be too small in the random pose.
        for pose in (_random_pose(width, height, difficulty, self.distortion, rng), Pose()):
            matrix, (left, upper, right, lower) = extent(pose, width, height)
            if closely:
                left, upper, right, lower = left - margin, upper - margin, right + margin, lower + margin
            share = min(1.0, max(max_share, self._legible * (lower - upper) / self.height))
            em = share * self.height / (lower - upper)
            picture_width = self.width or min(self._max_width, math.ceil(em * (right - left) + 2 * side_margin))
            em = min(em, max(picture_width - 2 * side_margin, 0.9 * picture_width) / (right - left))
            roomy = em > self._legible and em * (right - left) > PITCH * self._legible * len(label)
            if roomy and em * width < MAX_PROJECTED_WIDTH:
                break
        # Small letters are drawn larger and projected: whole pixels would be far from their size.
        upright = pose == Pose() and em > self._legible
        step = self._steps[upright]
        size = math.floor(em / step) * step if upright else math.ceil(em / step) * step
        em = float(size) if upright else em
        # Position in the free room, 0.5 is the middle.
        at_x, at_y = (rng.between(0.5 - 0.5 * difficulty, 0.5 + 0.5 * difficulty) for _ in range(2))
        free_x, free_y = picture_width - em * (right - left), self.height - em * (lower - upper)
        to_picture = (
            np.array(
                [[em, 0, MARGIN + free_x * at_x - em * left], [0, em, MARGIN + free_y * at_y - em * upper], [0, 0, 1]]
            )
            @ matrix
        )
        middle = (setting.left + setting.right) / 2, (top + bottom) / 2
        whole = picture_width + 2 * MARGIN, self.height + 2 * MARGIN

        def typeset(text: str, its_setting: Setting, down: float) -> Mask:
            """The ink of `text` in the picture, `down` em below the place of the line."""
            mask, x, y = typesetting.draw_line(font, text, its_setting, size)
            # A neighbour is cut to the length of the line, for which the pose is made.
            mask = mask[:, : max(1, round(x + setting.right * size))]
            to_mask = np.array([[size, 0, x + middle[0] * size], [0, size, y + (middle[1] - down) * size], [0, 0, 1.0]])
            if not upright:
                return project(mask, pose, width, to_picture, to_mask, whole)
            shift_x, shift_y = to_picture[0, 2] - to_mask[0, 2], to_picture[1, 2] - to_mask[1, 2]
            return ink.move(mask, round(shift_x), round(shift_y), whole)

        neighbour, above = None, rng.random() < 0.5
        room = free_y * (at_y if above else 1 - at_y) / em
        if rng.random() < 0.3 * difficulty and room > GAP:
            text = self._label(rng)
            its_setting = typesetting.measure(font, text, 0.0)
            its_height = its_setting.bottom - its_setting.top
            # Far enough that it does not touch the line, and shows at most a part of itself.
            gap = max(rng.between(GAP, room), room - NEIGHBOUR * its_height)
            down = top - its_setting.bottom - gap if above else bottom - its_setting.top + gap
            neighbour = typeset(text, its_setting, down)
            if _tallest(_crop_margin(neighbour)) > 1.2 * NEIGHBOUR * its_height * em:
                neighbour = None
        detail = em * LEGIBLE / self._legible
        mask = ink.change_weight(typeset(label, setting, 0.0), detail, difficulty, rng)
        return PlacedLine(ink.dot_matrix(mask, detail, difficulty, rng), neighbour, em, closely)

    def paint(self, mask: Mask, em: float, difficulty: float, rng: SeededRandom) -> Image:
        """Paint the ink of `mask`, with letters of `em` pixels, on a background, with marks and camera effects."""
        contrast = rng.between(180 - 125 * difficulty, 250 - 20 * difficulty)
        inverted = rng.random() < 0.35 * difficulty
        # The lighter of the two lumas, between the darkest possible and white.
        light = rng.between(max(contrast, 255 - 150 * difficulty), 255)
        background_luma, ink_luma = (light - contrast, light) if inverted else (light, light - contrast)
        saturation = 90 * difficulty * rng.random()
        image = self._paint_background(mask.shape, background_luma, saturation, contrast, difficulty, rng)
        rgb = paint.random_colour(ink_luma, 140 * difficulty * rng.random(), rng)
        self._draw_marks(image, mask, rgb, em, difficulty, rng)
        _draw_shadow(image, mask, background_luma, ink_luma, em, difficulty, rng)
        image = _paint_ink(image, mask, rgb, em, difficulty, rng)
        self._draw_marks(image, mask, rgb, em, difficulty, rng)
        return self._photograph(image, em, difficulty, rng)

    def _paint_background(
        self,
        shape: tuple[int, ...],
        luma: float,
        saturation: float,
        contrast: float,
        difficulty: float,
        rng: SeededRandom,
    ) -> Image:
        """Paint a background of about this mean luma: uint8 (height, width, 3) in RGB order."""
        height, width = shape
        rgb = paint.random_colour(luma, saturation, rng)
        if self._backgrounds and rng.random() < 0.3 + 0.4 * difficulty:
            # Reduced in contrast and shifted to the colour, so that the text can stand out.
            strength = rng.between(0.1, 0.25 + 0.5 * difficulty)
            part = self._backgrounds.cut(height, width, rng)
            shift = [level - strength * mean for level, mean in zip(rgb, cv2.mean(part), strict=False)]
            return cv2.add(cv2.convertScaleAbs(part, alpha=strength), np.rint([*shift, 0]))
        if rng.random() > 0.75 * difficulty:
            return paint.plain(height, width, rgb)
        # Takes part of the contrast of the ink.
        swing = rng.between(0.05, 0.4) * contrast
        if rng.random() < 0.4:
            levels, swing = paint.gradient(height, width, rng), 0.6 * swing
        else:
            levels = paint.texture(height, width, rng)
        other = paint.random_colour(luma, saturation, rng)
        return paint.colourise(levels, paint.brighten(rgb, -swing), paint.brighten(other, swing))

    def _draw_marks(self, image: Image, mask: Mask, rgb: Rgb, em: float, difficulty: float, rng: SeededRandom) -> None:
        """Sometimes draw lines and dots in colours similar to `rgb`, in place."""
        height, width = mask.shape
        amount = self.noise * difficulty
        thickness = max(1, round(em / 20))
        if rng.random() < 0.12 * amount:
            # A line below the text, or through it.
            row = height * (rng.between(0.8, 1.0) if rng.random() < 0.7 else rng.between(0.4, 0.6))
            slope = rng.between(-1, 1) * difficulty * 0.08 * height
            ends = (0, round(row + slope)), (width, round(row - slope))
            cv2.line(image, *ends, paint.vary(rgb, 60, rng), thickness, cv2.LINE_AA)
        if rng.random() < 0.35 * difficulty:
            for _ in range(rng.round_randomly(2 * amount * rng.random())):
                _draw_stray_line(image, paint.vary(rgb, 120, rng), rng.between(0.5, 1.6) * thickness, rng)
        if rng.random() < 0.3 * difficulty:
            for _ in range(rng.round_randomly(amount * rng.random() * width * height / 150)):
                x, y = rng.randbelow(width), rng.randbelow(height)
                side = 1 + rng.randbelow(max(1, round(em / 14)))
                image[y : y + side, x : x + side] = paint.vary(rgb, 160, rng)

    def _photograph(self, image: Image, em: float, difficulty: float, rng: SeededRandom) -> Image:
        """Apply a random selection of camera effects."""
        if rng.random() < 0.45 * difficulty:
            image = cv2.GaussianBlur(image, (0, 0), rng.between(0.01, 0.01 + 0.04 * difficulty) * em + 0.2)
        if rng.random() < 0.2 * difficulty:
            image = effects.motion_blur(image, 1 + rng.random() * 0.13 * difficulty * em, rng.between(0, 180))
        if rng.random() < 0.35 * difficulty:
            factor = max(1 - LOW_RESOLUTION * difficulty, LEGIBLE / em)
            if factor < 1:
                image = effects.low_resolution(image, rng.between(factor, 1))
        if rng.random() < 0.7 * difficulty:
            image = effects.noise(image, rng.random() * 17 * difficulty * self.noise, rng.random() < 0.5, rng)
        if rng.random() < 0.3 * difficulty and em > BINARY * LEGIBLE:
            factor = max(1 - LOW_RESOLUTION * difficulty, BINARY * LEGIBLE / em)
            image = effects.noise(image, rng.random() * 30 * difficulty * self.noise, rng.random() < 0.2, rng)
            contrast = 255.0 if rng.random() < 0.3 else rng.between(1.5, 6)
            image = effects.scan(image, rng.between(factor, 1), contrast, rng)
        if rng.random() < 0.6 * difficulty:
            image = effects.jpeg(image, int(rng.between(95 - 65 * difficulty, 95)))
        return image


def _has_full_width(characters: Iterable[str]) -> bool:
    return any(ord(character) >= FULL_WIDTH for character in characters)


def _random_spacing(difficulty: float, rng: SeededRandom) -> float:
    """The space added between letters in em, from touching letters to wide spacing."""
    if rng.random() > 0.7 * difficulty:
        return 0.0
    return rng.between(-0.1, 0.02) if rng.random() < 0.5 else rng.between(0.0, 0.4)


def _random_pose(width: float, height: float, difficulty: float, distortion: float, rng: SeededRandom) -> Pose:
    strength = difficulty * distortion
    if rng.random() > min(1.0, 1.4 * difficulty):
        return Pose()
    stretch = rng.between(1 - 0.6 * difficulty, 1 + 0.3 * difficulty)
    # Rotation makes a long line taller and its letters smaller, so it is rotated less.
    max_rotation = min(14.0, math.degrees(math.atan(0.7 * height / width)))
    rotation = rng.between(-max_rotation, max_rotation) * strength if rng.random() < 0.6 else 0.0
    shear = rng.between(-0.35, 0.35) * strength if rng.random() < 0.5 else 0.0
    tilt = rng.between(-0.35, 0.35) * strength, rng.between(-0.15, 0.15) * strength
    if rng.random() < 0.6:
        tilt = 0.0, 0.0
    arc = rng.between(-0.45, 0.45) * strength * height if rng.random() < 0.3 else 0.0
    wave = (0.0, 1.0, 0.0)
    if rng.random() < 0.25:
        wave = rng.between(0.02, 0.14) * strength * height, rng.between(2, 6) * height, rng.between(0, 2 * math.pi)
    if not strength:
        return Pose(stretch=stretch)
    return Pose(rotation, shear, stretch, tilt, arc, wave)


def _crop_margin(mask: Mask) -> Mask:
    return mask[MARGIN:-MARGIN, MARGIN:-MARGIN]


def _tallest(mask: Mask) -> int:
    """The maximum over the columns of the number of rows from the first to the last with ink."""
    has_ink = mask > CUT
    between = len(has_ink) - has_ink.argmax(axis=0) - has_ink[::-1].argmax(axis=0)
    return int((between * has_ink.any(axis=0)).max())


def _draw_stray_line(image: Image, rgb: Rgb, thickness: float, rng: SeededRandom) -> None:
    """Draw a straight or curved line, in place."""
    height, width = image.shape[:2]
    length = rng.between(0.2, 1.1) * width
    x, y = rng.between(-0.1, 1) * width, rng.between(0, 1) * height
    rise, bulge = rng.between(-1, 1) * height * 0.8, rng.between(-0.5, 0.5) * height
    t = np.linspace(0, 1, 2 if rng.random() < 0.5 else 12)
    points = np.stack([x + length * t, y + rise * t + 4 * bulge * t * (1 - t)], axis=1)
    points = np.rint(points * 16).astype(np.int32)
    cv2.polylines(image, [points], False, rgb, max(1, round(thickness)), cv2.LINE_AA, 4)


def _draw_shadow(
    image: Image, mask: Mask, background_luma: float, ink_luma: float, em: float, difficulty: float, rng: SeededRandom
) -> None:
    """Rarely draw a shadow or an outline below the ink, in place."""
    if rng.random() > 0.2 * difficulty:
        return
    reach = max(1, round(em * rng.between(0.03, 0.09)))
    if rng.random() < 0.5:
        down, along = reach, rng.choice((-reach, 0, reach))
        under = ink.move(mask, along, down, mask.shape[::-1])
        luma = background_luma + 0.45 * (ink_luma - background_luma)
    else:
        under = cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1)))
        luma = 255.0 if ink_luma < background_luma else 0.0
    image[:] = paint.blend(image, np.full_like(image, round(luma)), under, rng.between(0.5, 1.0))


def _paint_ink(image: Image, mask: Mask, rgb: Rgb, em: float, difficulty: float, rng: SeededRandom) -> Image:
    """Paint the ink on `image`, opaque or translucent, evenly or worn."""
    height, width = mask.shape
    opacity = 1 - 0.3 * difficulty * rng.random()
    if rng.random() < 0.15 * difficulty:
        texture = paint.texture(height, width, rng)
        mask = cv2.multiply(mask, cv2.convertScaleAbs(texture, alpha=-0.6, beta=255 + 0.3 * 128), scale=1 / 255)
    if rng.random() < 0.2 * difficulty:
        mask = ink.faint_lines(mask, em, rng)
    return paint.blend(image, paint.plain(height, width, rgb), mask, opacity)
