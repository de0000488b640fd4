"""Style `dots`: sheared letters at varying heights among hundreds of dots and a few lines, warped by sine waves.

After the second generator of CRNN-Keras (captcha fork): 150x40 pixels, sheared and vertically shifted letters, 200
dots, 3 lines; and a sine distortion, which was written there but never called. This version scales with the picture.
The original leaves out I, O, Q and a, which are hard to tell from 1, 0 and others; here the alphabet decides.
"""

from __future__ import annotations

import cv2
import numpy as np

from generate_captcha.arrays import Image
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle
from generate_captcha.text.glyphs import FAMILY, draw_glyph, paste, rotate

#: The original's numbers, for a picture of 150x40 pixels.
DOTS, LINES, AREA, HEIGHT = 200, 3, 150 * 40, 40
#: A letter's size as a fraction of the height, and its maximum multiple of the width per letter.
SIZE_OF_HEIGHT, SIZE_OF_ADVANCE = 0.75, 1.45
#: Maximum shear, vertical shift and amplitude of the sine waves, as fractions of the height.
SHEAR, SHIFT, AMPLITUDE = 0.3, 0.12, 0.05


class Dots(TextStyle):
    """The pictures of CRNN-Keras' second captcha generator."""

    FONTS = FAMILY

    def draw(self, label: str, rng: SeededRandom) -> Image:
        image = np.empty((self.height, self.width, 3), np.uint8)
        image[:] = [rng.randbelow(26) + 230 for _ in range(3)]
        self._draw_letters(image, label, rng)
        if self.distortion:
            image = self._warp(image, rng)
        self._add_noise(image, rng)
        return image

    def _draw_letters(self, image: Image, label: str, rng: SeededRandom) -> None:
        advance = self.width / len(label)
        size = max(6, int(min(self.height * SIZE_OF_HEIGHT, advance * SIZE_OF_ADVANCE)))
        for position, character in enumerate(label):
            glyph = draw_glyph(rng.choice(self.fonts), size, character)
            glyph = rotate(glyph, 0.0, self.distortion * rng.between(-SHEAR, SHEAR))
            height, width = glyph.shape
            left = advance * (position + 0.5) - width / 2 + rng.between(-0.08, 0.08) * advance
            shift = min(self.distortion * SHIFT * self.height, max(0.0, (self.height - 0.8 * size) / 2))
            top = (self.height - height) / 2 + rng.between(-shift, shift)
            # A wide letter at the picture's edge is moved inwards, not cut off.
            left = min(max(left, 0), max(0, self.width - width))
            paste(image, glyph, round(left), round(top), _dark_colour(rng))

    def _warp(self, image: Image, rng: SeededRandom) -> Image:
        """Shift each column vertically and each row horizontally by sine waves."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        amplitude = self.distortion * AMPLITUDE * self.height
        for along, shifted in ((x, y), (y, x)):
            period = rng.between(1.0, 2.0) * self.height
            phase = rng.between(0, 2 * np.pi)
            shifted += amplitude * rng.between(0.5, 1) * np.sin(2 * np.pi / period * along + phase)
        return cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _add_noise(self, image: Image, rng: SeededRandom) -> None:
        """Draw lines and dots on `image`, in place."""
        thickness = max(1, round(self.height / HEIGHT))
        for _ in range(rng.round_randomly(LINES * self.noise)):
            start, end = ((rng.randbelow(self.width), rng.randbelow(self.height)) for _ in range(2))
            cv2.line(image, start, end, _dark_colour(rng), thickness)
        for _ in range(rng.round_randomly(self.noise * DOTS * self.width * self.height / AREA / thickness**2)):
            x, y = rng.randbelow(self.width), rng.randbelow(self.height)
            image[y : y + thickness, x : x + thickness] = _dark_colour(rng)


def _dark_colour(rng: SeededRandom) -> tuple[int, int, int]:
    return rng.randbelow(160), rng.randbelow(160), rng.randbelow(160)
