"""Style `no_plate`: what a detector of plates finds by mistake. The label of every picture is the empty text.

Parts of vehicles, plates without a number, boards of dealers, whole vehicles at a distance, signs, posters, documents,
captcha-like texts, and surroundings, through the camera of style `plate` and in the sizes and shapes of its pictures.
Networks that are trained with them reject such pictures. None shows a single line in capitals, which could be a plate.
"""

from __future__ import annotations

import math
from typing import Any

import cv2

from crnn_reader.errors import UserError
from generate_captcha.arrays import Image
from generate_captcha.drawing import paint
from generate_captcha.plates import camera
from generate_captcha.plates.layout_files import choose_layouts
from generate_captcha.scenes import signs, vehicles, words
from generate_captcha.scenes.surroundings import surroundings
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import Style, TextStyle, digest
from generate_captcha.styles.captcha import Captcha
from generate_captcha.styles.dots import Dots
from generate_captcha.styles.line import Line
from generate_captcha.text.fonts import choose_fonts
from parameter import GenerateParameters

PROPERTIES = {
    "size": "autox64",
    "any_width": True,
    "labelled": False,
    "own": ("difficulty",),
}

#: Minimum width and height in pixels.
MIN_WIDTH, MIN_HEIGHT = 20, 20
#: Range of width / height.
ASPECTS = 1.0, 6.0
#: The scene is larger than the picture by this factor, so that a rotated picture has no empty corners.
ROOM = 1.25
#: Minimum height of the scene in pixels, and pixels of the scene per pixel of the picture.
MIN_SCENE_HEIGHT, OVERSAMPLING = 64, 1.2
#: Lowest resolution: height in pixels before the picture is enlarged to its size.
MIN_RESOLUTION = 14
#: Layouts whose plates are drawn without a number. All their fonts are in installed packages.
LAYOUTS = (
    "ar,at,au,be,br,ca,ch,cn_blue,cn_yellow,cn_green,co,cz,de,dk,es,fr,gb,hk,id,il,in,it,mx,nl,no,nz,ph,pl,pt,ro,ru,se,"
    "sg,tr,tw,ua,us,vn,za"
)
#: Characters of captcha-like texts.
CAPTCHA_ALPHABET = "0-9A-Za-z"


class NoPlate(Style):
    """Pictures without a plate."""

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        if self.height < MIN_HEIGHT or 0 < self.width < MIN_WIDTH:
            raise UserError(
                f"the size {parameters.size} is too small: give {MIN_WIDTH if self.width else 'auto'}x{MIN_HEIGHT} or "
                "more",
                parameter="size",
            )
        self.alphabet, self.longest = "", 0
        self.fonts = choose_fonts(parameters.fonts, Line.FONTS, words.CHARACTERS, skip_incomplete=True)
        self._layouts = choose_layouts(LAYOUTS)
        self._captchas: list[TextStyle] = [
            style(GenerateParameters(style=name, alphabet=CAPTCHA_ALPHABET, length="4-6", size="150x50"))
            for name, style in (("captcha", Captcha), ("dots", Dots))
        ]

    def record(self) -> dict[str, Any]:
        return super().record() | {"blank_plates": [f"{layout.name} {digest(layout.path)}" for layout in self._layouts]}

    def _label(self, rng: SeededRandom) -> str:
        return ""

    def _picture(self, rng: SeededRandom) -> tuple[Image, str]:
        aspect = math.exp(rng.between(*map(math.log, ASPECTS)))
        height = max(MIN_SCENE_HEIGHT, round(OVERSAMPLING * self.height))
        scene = self._scene(round(ROOM * height), round(ROOM * height * aspect), rng)
        size = max(8, round(height * aspect)), height
        image = camera.project_scene(scene, size, self.difficulty, self.distortion, rng)
        lowest = min(1.0, MIN_RESOLUTION / height)
        if rng.random() < 0.75 * self.difficulty:
            factor = math.exp(rng.between(math.log(lowest), 0.0))
            small = max(8, round(size[0] * factor)), max(8, round(height * factor))
            image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        detail = rng.between(0.03, 0.15) * image.shape[0]
        image = camera.photograph(image, detail, self.difficulty, self.noise, rng)
        return camera.resize(image, (self.width, self.height), self.difficulty, aliased=False, rng=rng), ""

    def _scene(self, height: int, width: int, rng: SeededRandom) -> Image:
        """Draw a random scene: uint8 (height, width, 3) in RGB order."""
        chance = rng.random()
        if chance < 0.22:
            image = vehicles.part_of_vehicle(height, width, rng)
        elif chance < 0.36:
            image = vehicles.blank_plate(height, width, self._layouts, self.fonts, rng)
        elif chance < 0.46:
            image = vehicles.vehicles(height, width, rng)
        elif chance < 0.59:
            image = signs.sign(height, width, self.fonts, rng)
        elif chance < 0.66:
            image = signs.road_sign(height, width, self.fonts, rng)
        elif chance < 0.77:
            image = signs.document(height, width, self.fonts, rng)
        elif chance < 0.82:
            image = self._captcha(height, width, rng)
        else:
            image = surroundings(height, width, rng)
        if rng.random() < 0.05:
            signs.overlay(image, self.fonts, rng)
        return self._lit(image, rng)

    def _captcha(self, height: int, width: int, rng: SeededRandom) -> Image:
        """Draw a captcha, whole, in the middle of the scene."""
        captcha, _ = rng.choice(self._captchas).picture(rng.randbelow(1 << 30))
        top, left = round((1 - 1 / ROOM) / 2 * height), round((1 - 1 / ROOM) / 2 * width)
        image = cv2.resize(captcha, (width - 2 * left, height - 2 * top), interpolation=cv2.INTER_AREA)
        return cv2.copyMakeBorder(image, top, top, left, left, cv2.BORDER_REPLICATE)

    def _lit(self, image: Image, rng: SeededRandom) -> Image:
        """Soften drawn edges, and vary the light over the scene."""
        if rng.random() < self.difficulty:
            image = cv2.GaussianBlur(image, (0, 0), rng.between(0.3, 1.2))
        if rng.random() < self.difficulty:
            height, width = image.shape[:2]
            weakest = rng.between(0.4, 0.9)
            light = cv2.convertScaleAbs(paint.gradient(height, width, rng), alpha=1 - weakest, beta=255 * weakest)
            image = cv2.multiply(image, cv2.merge([light] * 3), scale=1 / 255)
        return image
