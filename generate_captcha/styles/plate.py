"""Style `plate`: licence plates of many countries, as gate and road cameras see them.

What a plate says and how it is made is a layout, a file of `generate_captcha/layouts`. One number, `difficulty`, raises
what the camera does: at 0 a clean plate fills the picture, at 1 it is as small, blurred, dirty, oblique, dark or
dazzled as a person can still just read. What an effect may reach grows with it; what a picture gets is chance. A
rendering that does not stand out from its ground is thrown away and drawn again; letters are never cut off.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from crnn_reader.errors import UserError
from generate_captcha.drawing import effects as camera
from generate_captcha.drawing import paint as grounds
from generate_captcha.drawing.effects import Plane, Pose
from generate_captcha.drawing.visibility import stands_out
from generate_captcha.plates import graphics as plates
from generate_captcha.plates import layout_files as layouts
from generate_captcha.plates import patterns
from generate_captcha.plates.graphics import Sheet
from generate_captcha.plates.layout_files import Layout
from generate_captcha.plates.letters import Mask
from generate_captcha.plates.patterns import Rows
from generate_captcha.style import Image, Source, Style, digest
from generate_captcha.text import fonts
from parameter import GenerateParameters

PROPERTIES = {
    "size": "autox64",
    "any_width": True,
    "texts_from": "layouts",
    "own": ("difficulty", "layouts", "keep_separators"),
}

#: Renderings at the difficulty asked for, and then at an ever lower one.
AS_ASKED, EASIER = 4, 8
#: Pixels that letters need to be read: their height, that of Hangul and Han letters, and from one to the next.
TALL, TALL_EASTERN, PITCH = 9.0, 9.5, 6.0
#: The smallest picture that a plate can be read in.
LEAST_WIDTH, LEAST_HEIGHT = 80, 20
#: Heights at which all layouts can be drawn, two rows too; the latter where the width follows the plate.
ENOUGH, ENOUGH_AUTO = 32, 40
#: Pixels that letters have at the least in a lower picture that a plate just fills.
SMALLEST = 8.0
#: Grey levels that letters differ by from their ground: in the shade of a car at dusk they are few.
CONTRAST = 20.0
#: Pixels of a plate's drawing per pixel of its picture, a side.
FINER = 1.2
#: The fewest pixels across a plate.
NARROWEST = 60.0


class View(NamedTuple):
    """How a camera sees a sheet."""

    matrix: Plane  #: (3, 3), from the sheet's pixels to the picture's
    size: tuple[int, int]  #: width and height of the picture
    scale: float  #: the picture's pixels per pixel of the sheet


class Plate(Style):
    """Licence plates, from clean ones to what can just be read."""

    OWN = ("difficulty", "keep_separators")

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        if self.height < LEAST_HEIGHT or 0 < self.width < LEAST_WIDTH:
            raise UserError(
                f"--size {parameters.size}: too small for a plate to be readable; give "
                f"{LEAST_WIDTH if self.width else 'auto'}x{LEAST_HEIGHT} or more"
            )
        given = None if parameters.fonts is None else fonts.choose(parameters.fonts, (), "")
        self.layouts = layouts.choose(parameters.layouts, given)
        enough = ENOUGH if self.width else ENOUGH_AUTO
        for layout in self.layouts if self.height < enough else ():
            tall = min(row.box[3] - row.box[1] for row in layout.rows) / layout.size[1] * self.height
            if len(layout.rows) > 1 or tall < SMALLEST:
                raise UserError(
                    f"--size {parameters.size}: letters of {layout.name} would be {tall:.0f} pixels tall, too few to "
                    f"be readable; give a height of {enough} or more, or other --layouts"
                )
        self._upto = list(itertools.accumulate(layout.weight for layout in self.layouts))
        self._separators = parameters.keep_separators
        every = [pattern for layout in self.layouts for pattern in layout.compiled]
        self.longest = max(pattern.longest(self._separators) for pattern in every)
        characters = {character for pattern in every for character in pattern.characters}
        if self._separators:
            characters |= {sign for pattern in every for sign in patterns.SEPARATORS if sign in pattern.separators}
        self.alphabet = "".join(sorted(characters))
        faces = (face for layout in self.layouts for face in (*layout.lettering, *layout.eastern))
        self.fonts = sorted({face for face in faces if isinstance(face, fonts.Font)})

    def about(self) -> dict[str, Any]:
        return super().about() | {"layouts": [f"{layout.name} {digest(layout.path)}" for layout in self.layouts]}

    def _label(self, source: Source) -> str:
        _, rows = self._written(source)
        return patterns.label(rows, self._separators)

    def _picture(self, source: Source) -> tuple[Image, str]:
        layout, rows = self._written(source)
        label = patterns.label(rows, self._separators)
        for attempt in range(AS_ASKED + EASIER + 1):
            hard = self.difficulty * min(1.0, 1 - (attempt - AS_ASKED) / EASIER)
            scale = self._scale(layout)
            sheet = plates.draw(layout, rows, scale, hard, self.noise, source)
            view = self._view(layout, rows, sheet, scale, hard, source)
            image, ink = _seen(sheet, view)
            # What blurs a letter is measured by its details.
            fine = view.scale * min(sheet.tall / (3.2 if layout.eastern else 1.8), sheet.pitch)
            image = self._photographed(image, fine, hard, source)
            if stands_out(image, ink, sheet.tall * view.scale, CONTRAST):
                return self._sized(image, hard, source), label
        raise UserError(
            f"{layout.path}: {label!r} cannot be drawn readably: choose inks and grounds that differ more, keep the "
            "boxes of rows off bands and marks, or give a larger --size"
        )

    def _written(self, source: Source) -> tuple[Layout, Rows]:
        """A plate's layout and text."""
        place = source.random() * self._upto[-1]
        layout = next(layout for layout, upto in zip(self.layouts, self._upto, strict=True) if place < upto)
        return layout, source.choice(layout.compiled).write(source)

    def _scale(self, layout: Layout) -> float:
        """Pixels per millimetre of the drawing: such that nothing is lost, and the same for all plates of a layout."""
        width, height = layout.size
        return FINER * (max(self.height / height, self.width / width) if self.width else self.height / height)

    # The camera

    def _view(self, layout: Layout, rows: Rows, sheet: Sheet, scale: float, hard: float, source: Source) -> View:
        left, top, right, bottom = sheet.plate
        width, height = right - left, bottom - top
        pose = _pose(width / height, hard, self.distortion, source)
        # The plate's middle is the origin, its height the unit.
        to_pose = np.array(
            [[1 / height, 0, -(left + right) / 2 / height], [0, 1 / height, -(top + bottom) / 2 / height], [0, 0, 1]]
        )
        matrix = pose.matrix(width / height, 1.0) @ to_pose
        plate, text = _extent(matrix, sheet.plate), _extent(matrix, sheet.text)
        crop = _crop(plate, text, hard, source)
        # Units of the pose to the camera's pixels.
        most = 1.1 * self.height / (crop[3] - crop[1])
        if self.width:
            most = max(most, 1.1 * self.width / (crop[2] - crop[0]))
        eastern = any(ord(letter) >= fonts.FAR_EAST for row in rows for part in row for letter in part.text)
        least = height * max(
            (TALL_EASTERN if eastern else TALL) / sheet.tall,
            PITCH / sheet.pitch / min(1, pose.stretch),
            NARROWEST / width,
        )
        least = min(most, least * (1 + 2.5 * (1 - hard) ** 2))
        pixels = math.exp(source.between(math.log(least), math.log(most))) if source.random() < 0.75 * hard else most
        size = max(8, round(pixels * (crop[2] - crop[0]))), max(8, round(pixels * (crop[3] - crop[1])))
        across, down = size[0] / (crop[2] - crop[0]), size[1] / (crop[3] - crop[1])
        to_picture = np.array([[across, 0, -across * crop[0]], [0, down, -down * crop[1]], [0, 0, 1]])
        return View(to_picture @ matrix, size, pixels / height)

    def _photographed(self, image: Image, fine: float, hard: float, source: Source) -> Image:
        """What light, lens, sensor and file add to letters whose details are `fine` pixels large."""
        if source.random() < 0.25 * hard:
            image = camera.shadowed(image, source.between(0.15, 0.3 + 0.4 * hard), source)
        if source.random() < 0.2 * hard:
            image = camera.glared(image, source.between(40, 60 + 150 * hard), source.between(0.15, 0.6), source)
        if night := source.random() < 0.13 * hard:
            image = _infrared(image, hard, source)
        # What one blur leaves, the other may take.
        blur = source.random() * hard
        if source.random() < 0.1 + 0.6 * hard:
            image = cv2.GaussianBlur(image, (0, 0), 0.25 + 0.09 * blur * fine)
        if source.random() < 0.3 * hard:
            image = camera.motion(image, 1 + 0.33 * (hard - blur) * fine, source.between(0, 180))
        # Before the exposure: what is dark is no noisier, and can still be read.
        if source.random() < 0.75 * hard:
            image = camera.grain(image, source.random() ** 2 * 15 * hard * self.noise, source.random() < 0.5, source)
        if not night and source.random() < 0.6 * hard:
            image = camera.coloured(image, source.between(1 - 0.7 * hard, 1 + 1.6 * hard))
        if source.random() < 0.9 * hard or night:
            image = _exposed(image, hard, night, source)
        if source.random() < 0.3 * hard:
            image = _sharpened(image, source)
        if source.random() < 0.6 * hard:
            image = camera.jpeg(image, int(source.between(95 - 75 * hard, 95)))
        return image

    def _sized(self, image: Image, hard: float, source: Source) -> Image:
        """The crop in the size asked for, stretched where that is another aspect."""
        height, width = image.shape[:2]
        size = self.width or max(8, round(width * self.height / height)), self.height
        if size == (width, height):
            return image
        way = cv2.INTER_AREA if size[1] < height else source.choice((cv2.INTER_LINEAR, cv2.INTER_CUBIC))
        image = cv2.resize(image, size, interpolation=way)
        if source.random() < 0.3 * hard:
            image = camera.jpeg(image, int(source.between(95 - 40 * hard, 95)))
        return image


def _pose(aspect: float, hard: float, distortion: float, source: Source) -> Pose:
    much = hard * distortion
    if not much or source.random() > 0.2 + 0.8 * hard:
        return Pose()
    if source.random() < 0.3:
        # Seen from the side and from above, long edges fall while short ones stay upright, or lean the other way.
        rotation = source.between(-28, 28) * much
        shear = -math.tan(math.radians(rotation)) * source.between(0.5, 1.8)
    else:
        # A long plate that turns leaves its crop: it turns less.
        most = min(16.0, 50.0 / aspect)
        rotation = source.between(-most, most) * much * math.sqrt(source.random())
        shear = source.between(-0.6, 0.6) * much * math.sqrt(source.random())
    return Pose(
        rotation=rotation,
        shear=shear,
        stretch=source.between(1 - 0.3 * much, 1 + 0.3 * much),
        tilt=(source.between(-0.35, 0.35) * much, source.between(-0.2, 0.2) * much),
    )


def _extent(matrix: Plane, box: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of what `matrix` makes of a box."""
    left, top, right, bottom = box
    points = matrix @ np.array([[left, right, right, left], [top, top, bottom, bottom], [1, 1, 1, 1]])
    x, y = points[:2] / points[2]
    return float(x.min()), float(y.min()), float(x.max()), float(y.max())


def _crop(plate: Sequence[float], text: Sequence[float], hard: float, source: Source) -> list[float]:
    """What a detector takes for the plate: exactly it, a cut through its border, or some of the car around."""
    height = plate[3] - plate[1]
    tight, loose = source.random() < 0.45 * hard, source.random() < 0.5 * hard
    crop = []
    for place, (edge, of_text) in enumerate(zip(plate, text, strict=True)):
        # Outwards is less on the left and at the top.
        out = -1 if place < 2 else 1
        if tight and source.random() < 0.6:
            # Never through a letter.
            edge = of_text + (edge - of_text) * source.between(0.15, 1.0)
        elif loose:
            edge += out * source.random() * 0.3 * hard * height
        else:
            edge += out * source.between(-0.01, 0.04) * height * hard
        least = of_text + out * 0.03 * height
        crop.append(min(edge, least) if place < 2 else max(edge, least))
    return crop


def _seen(sheet: Sheet, view: View) -> tuple[Image, Mask]:
    """The picture of `sheet`, and where its ink is in it."""
    matrix, image, ink = view.matrix, sheet.image, sheet.ink
    if view.scale < 0.6:
        # Projecting looks at four pixels: of what is to be much smaller, the others would be lost.
        part = view.scale * 1.2
        size = max(8, round(image.shape[1] * part)), max(8, round(image.shape[0] * part))
        across, down = image.shape[1] / size[0], image.shape[0] / size[1]
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        ink = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
        # A pixel's middle is half a pixel from its corner.
        matrix = matrix @ np.array([[across, 0, across / 2 - 0.5], [0, down, down / 2 - 0.5], [0, 0, 1]])
    return (
        cv2.warpPerspective(image, matrix, view.size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE),
        cv2.warpPerspective(ink, matrix, view.size, flags=cv2.INTER_LINEAR),
    )


def _infrared(image: Image, hard: float, source: Source) -> Image:
    """At night, lit by the camera's own infrared: grey, what reflects is bright and glows, the rest dark."""
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if source.random() < 0.5:
        grey = cv2.bitwise_not(grey)
    low = source.between(0.3, 0.7)
    grey = camera.exposed(grey, (1.0,) * 3, 0.0, source.between(1.0, 1.0 + hard))
    height, width = grey.shape[:2]
    if source.random() < 0.6:
        field = grounds.gradient(height, width, source)
        grey = cv2.multiply(
            grey, cv2.merge([cv2.convertScaleAbs(field, alpha=1 - low, beta=255 * low)] * 3), scale=1 / 255
        )
    return camera.glowing(grey, max(0.6, 0.04 * height), source.between(0.1, 0.5))


def _exposed(image: Image, hard: float, night: bool, source: Source) -> Image:
    """Light or dark, flat or hard, and of the colour of the light."""
    light = math.exp(source.between(-1.3, 0.7) * hard)
    tint = 0.0 if night else 0.16 * hard
    red, green, blue = (light * (1 + source.between(-tint, tint)) for _ in range(3))
    # Haze, or a lens in the sun, lifts what is dark; cameras that raise the contrast lose it in black.
    offset, steep = 0.0, 1.0
    if (chance := source.random()) < 0.35:
        offset = source.random() * 110 * hard
        steep = 1 - offset / 255
    elif chance < 0.65:
        offset = -source.random() * 100 * hard
        steep = 1 - 1.7 * offset / 255
    return camera.exposed(
        image, (red * steep, green * steep, blue * steep), offset, source.between(1 - 0.3 * hard, 1 + 0.4 * hard)
    )


def _sharpened(image: Image, source: Source) -> Image:
    """As cameras and phones sharpen: edges with a seam."""
    share = source.between(0.4, 1.5)
    return cv2.addWeighted(image, 1 + share, cv2.GaussianBlur(image, (0, 0), 1.2), -share, 0)
