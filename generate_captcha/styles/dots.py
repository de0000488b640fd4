"""Style `dots`: sheared, jumping letters among hundreds of dots and a few lines, bent by a sine.

After the second generator of CRNN-Keras (captcha fork): 150×40 pixels, sheared letters that jump up and down, 200 dots,
3 lines; and a sine distortion, which was written there and never called. Ours scales with the picture.
The original leaves out I, O, Q and a, which are hard to tell from 1, 0 and others: do so with `--alphabet`.
"""

from __future__ import annotations

import cv2
import numpy as np

from generate_captcha.style import Image, Source, TextStyle
from generate_captcha.text.glyphs import FAMILY, glyph, ink, turned

#: The original's measures, for pictures of 150×40.
DOTS, LINES, AREA, HEIGHT = 200, 3, 150 * 40, 40
#: A letter's size is this part of the height, and at most this multiple of its share of the width.
SIZE_OF_HEIGHT, SIZE_OF_SHARE = 0.75, 1.45
#: Shear as a part of the height, either way; jump and amplitude of the sine as parts of the picture's height.
SHEAR, JUMP, AMPLITUDE = 0.3, 0.12, 0.05


class Dots(TextStyle):
    """The pictures of CRNN-Keras' second captcha generator."""

    FONTS = FAMILY

    def draw(self, label: str, source: Source) -> Image:
        image = np.empty((self.height, self.width, 3), np.uint8)
        image[:] = [source.randbelow(26) + 230 for _ in range(3)]
        self._letters(image, label, source)
        if self.distortion:
            image = self._bent(image, source)
        self._specks(image, source)
        return image

    def _letters(self, image: Image, label: str, source: Source) -> None:
        share = self.width / len(label)
        size = max(6, int(min(self.height * SIZE_OF_HEIGHT, share * SIZE_OF_SHARE)))
        for position, character in enumerate(label):
            mask = glyph(source.choice(self.fonts), size, character)
            mask = turned(mask, 0.0, self.distortion * source.between(-SHEAR, SHEAR))
            height, width = mask.shape
            left = share * (position + 0.5) - width / 2 + source.between(-0.08, 0.08) * share
            jump = min(self.distortion * JUMP * self.height, max(0.0, (self.height - 0.8 * size) / 2))
            top = (self.height - height) / 2 + source.between(-jump, jump)
            # A letter wider than its share at the edge is moved in rather than cut.
            left = min(max(left, 0), max(0, self.width - width))
            ink(image, mask, round(left), round(top), _ink_colour(source))

    def _bent(self, image: Image, source: Source) -> Image:
        """`image` with each column moved up or down, and each row left or right, by a sine."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        amplitude = self.distortion * AMPLITUDE * self.height
        for along, moved in ((x, y), (y, x)):
            period = source.between(1.0, 2.0) * self.height
            phase = source.between(0, 2 * np.pi)
            moved += amplitude * source.between(0.5, 1) * np.sin(2 * np.pi / period * along + phase)
        return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _specks(self, image: Image, source: Source) -> None:
        for _ in range(source.about(LINES * self.noise)):
            start, end = ((source.randbelow(self.width), source.randbelow(self.height)) for _ in range(2))
            cv2.line(image, start, end, _ink_colour(source), max(1, round(self.height / HEIGHT)))
        side = max(1, round(self.height / HEIGHT))
        number = source.about(self.noise * DOTS * self.width * self.height / AREA / side**2)
        for _ in range(number):
            x, y = source.randbelow(self.width), source.randbelow(self.height)
            image[y : y + side, x : x + side] = _ink_colour(source)


def _ink_colour(source: Source) -> tuple[int, int, int]:
    return source.randbelow(160), source.randbelow(160), source.randbelow(160)
