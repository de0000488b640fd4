"""Style `captcha`: pictures of the `captcha` package, drawn by the package itself.

With noise 1 and distortion 1 the pictures have the same distribution as those of
`captcha.image.ImageCaptcha(width, height).generate_image`. Three optimisations, none of which changes a pixel, make up
for the time that encoding takes.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from types import ModuleType, SimpleNamespace

import numpy as np
from PIL import Image as pillow
from PIL.ImageDraw import Draw
from PIL.ImageFont import truetype

from generate_captcha.arrays import Image
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle
from parameter import GenerateParameters

#: Height for which the package's font sizes, dots and line widths are made.
PACKAGE_HEIGHT = 60


class Captcha(TextStyle):
    """The pictures of the `captcha` package (github.com/lepture/captcha)."""

    FONTS = ("DroidSansMono.ttf",)

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        self._package = _import_copy()
        self._generator = _generator(self._package, self)

    def draw(self, label: str, rng: SeededRandom) -> Image:
        self._package.secrets = rng  # type: ignore[attr-defined]
        return np.asarray(self._generator.generate_image(label))


class _LookupTable(pillow.ImagePointHandler):
    """Does what `Image.point` does with a table of 256 numbers, without rounding all of them for each letter."""

    def __init__(self, table: Sequence[int]) -> None:
        self._table = np.clip(table, 0, 255).astype(np.uint8)

    def point(self, im: pillow.Image) -> pillow.Image:
        return pillow.fromarray(self._table[np.asarray(im)])


def _import_copy() -> ModuleType:
    """Import a second, private copy of the module `captcha.image`.

    The module takes random numbers from the module `secrets`, which cannot be seeded. In the copy, the name `secrets`
    is bound to a seeded generator; other users of `captcha` and `secrets` are not affected.
    """
    spec = importlib.util.find_spec("captcha.image")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _generator(package: ModuleType, style: TextStyle):  # type: ignore[no-untyped-def]  # a class made from the copy
    """The package's generator with the fonts, noise and distortion of `style`."""
    # The package's letters have a fixed size: too tall for a low picture, where they are scaled down.
    scale = min(1.0, style.height / PACKAGE_HEIGHT)
    # Measures letters as `ImageDraw` does, but each letter in each font only once.
    text_size = SimpleNamespace(multiline_textbbox=functools.cache(Draw(pillow.new("RGB", (1, 1))).multiline_textbbox))

    class Generator(package.ImageCaptcha):  # type: ignore[misc,name-defined]
        character_rotate = tuple(style.distortion * angle for angle in package.ImageCaptcha.character_rotate)
        character_warp_dx = tuple(style.distortion * part for part in package.ImageCaptcha.character_warp_dx)
        character_warp_dy = tuple(style.distortion * part for part in package.ImageCaptcha.character_warp_dy)
        lookup_table = _LookupTable(package.ImageCaptcha.lookup_table)

        def _draw_character(self, c, draw, color):  # type: ignore[no-untyped-def]
            if c != " ":
                return super()._draw_character(c, text_size, color)
            # One in three times, the package draws a space between letters: empty, also when rotated and warped.
            _, _, width, height = text_size.multiline_textbbox((1, 1), c, font=package.secrets.choice(self.truefonts))
            return pillow.new("RGBA", (int(width), int(height)))

        @staticmethod
        def create_noise_dots(image, color, width=3, number=30):  # type: ignore[no-untyped-def]
            width, number = max(1, round(width * scale)), package.secrets.round_randomly(number * style.noise)
            return package.ImageCaptcha.create_noise_dots(image, color, width, number)

        @staticmethod
        def create_noise_curve(image, color):  # type: ignore[no-untyped-def]
            for _ in range(package.secrets.round_randomly(style.noise)):
                package.ImageCaptcha.create_noise_curve(image, color)
            return image

    sizes = tuple(max(1, round(size * scale)) for size in (42, 50, 56))
    generator = Generator(style.width, style.height)
    generator._truefonts = [truetype(font.path, size, font.face) for font in style.fonts for size in sizes]
    return generator
