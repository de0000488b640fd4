"""Style `captcha`: pictures of the `captcha` package, drawn by the package itself.

With noise 1 and distortion 1 a picture is what `captcha.image.ImageCaptcha(width, height).generate_image`
makes, from the same distribution. Three short cuts that change no pixel make up for the time that encoding takes.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Sequence
from types import ModuleType

import numpy as np
from PIL.Image import Image as Picture
from PIL.Image import ImagePointHandler, fromarray, new
from PIL.ImageDraw import Draw
from PIL.ImageFont import truetype

from generate_captcha.style import Image, Source, TextStyle
from parameter import GenerateParameters

#: The height that the package's font sizes, its dots and their width are made for.
PACKAGE_HEIGHT = 60


class Captcha(TextStyle):
    """The pictures of the `captcha` package (github.com/lepture/captcha)."""

    FONTS = ("DroidSansMono.ttf",)

    def __init__(self, parameters: GenerateParameters) -> None:
        super().__init__(parameters)
        self._package = _private_copy()
        self._painter = _painter(self._package, self)

    def draw(self, label: str, source: Source) -> Image:
        self._package.secrets = source  # type: ignore[attr-defined]
        return np.asarray(self._painter.generate_image(label))


class _Ruler:
    """Measures letters as `ImageDraw` does, each letter in each font once."""

    def __init__(self) -> None:
        self.multiline_textbbox = functools.cache(Draw(new("RGB", (1, 1))).multiline_textbbox)


class _LookupTable(ImagePointHandler):
    """What `Image.point` does with a table of 256 numbers, without rounding each of them for each letter."""

    def __init__(self, table: Sequence[int]) -> None:
        self._table = np.clip(table, 0, 255).astype(np.uint8)

    def point(self, im: Picture) -> Picture:
        return fromarray(self._table[np.asarray(im)])


def _private_copy() -> ModuleType:
    """A second copy of the module `captcha.image`, of our own.

    The module draws from the module `secrets`, which cannot be seeded. In this copy the name is
    given a seeded source; other users of `captcha` and of `secrets` keep theirs.
    """
    spec = importlib.util.find_spec("captcha.image")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _painter(package: ModuleType, style: TextStyle):  # type: ignore[no-untyped-def]  # a class made from the copy
    """The package's painter with the style's fonts, noise and distortion."""
    # The package's letters are of fixed size: too tall for a low picture, where they shrink with it.
    scale = min(1.0, style.height / PACKAGE_HEIGHT)

    ruler = _Ruler()

    class Painter(package.ImageCaptcha):  # type: ignore[misc,name-defined]
        character_rotate = tuple(style.distortion * angle for angle in package.ImageCaptcha.character_rotate)
        character_warp_dx = tuple(style.distortion * part for part in package.ImageCaptcha.character_warp_dx)
        character_warp_dy = tuple(style.distortion * part for part in package.ImageCaptcha.character_warp_dy)

        lookup_table = _LookupTable(package.ImageCaptcha.lookup_table)

        def _draw_character(self, c, draw, color):  # type: ignore[no-untyped-def]
            if c != " ":
                return super()._draw_character(c, ruler, color)
            # A gap between letters, one in three drawings: rotated and warped it is as empty as before.
            _, _, width, height = ruler.multiline_textbbox((1, 1), c, font=package.secrets.choice(self.truefonts))
            return new("RGBA", (int(width), int(height)))

        @staticmethod
        def create_noise_dots(image, color, width=3, number=30):  # type: ignore[no-untyped-def]
            width, number = max(1, round(width * scale)), package.secrets.about(number * style.noise)
            return package.ImageCaptcha.create_noise_dots(image, color, width, number)

        @staticmethod
        def create_noise_curve(image, color):  # type: ignore[no-untyped-def]
            for _ in range(package.secrets.about(style.noise)):
                package.ImageCaptcha.create_noise_curve(image, color)
            return image

    sizes = tuple(max(1, round(size * scale)) for size in (42, 50, 56))
    painter = Painter(style.width, style.height)
    painter._truefonts = [truetype(font.path, size, font.face) for font in style.fonts for size in sizes]
    return painter
