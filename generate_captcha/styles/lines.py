"""Style `lines`: upright letters in dark colours on white, under thin straight lines.

After the first generator of CRNN-Keras (captcha fork): 70x30 pixels, white, one font of a family per letter at
size 26, colours from 32 to 127, three straight lines of one pixel. This version scales with the picture and rotates
each letter slightly.
"""

from __future__ import annotations

import cv2
import numpy as np

from generate_captcha.arrays import Image
from generate_captcha.seeded_random import SeededRandom
from generate_captcha.style import TextStyle
from generate_captcha.text.glyphs import FAMILY, draw_glyph, paste, rotate

#: The original's letter size as a fraction of the height, and its maximum multiple of the width per letter.
SIZE_OF_HEIGHT, SIZE_OF_ADVANCE = 26 / 30, 26 / (70 / 4)
LINES = 3
#: Maximum rotation of a letter in degrees.
MAX_ROTATION = 6.0


class Lines(TextStyle):
    """The pictures of CRNN-Keras' first captcha generator."""

    FONTS = FAMILY

    def draw(self, label: str, rng: SeededRandom) -> Image:
        image = np.full((self.height, self.width, 3), 255, np.uint8)
        advance = self.width / len(label)
        size = max(6, int(min(self.height * SIZE_OF_HEIGHT, advance * SIZE_OF_ADVANCE)))
        for position, character in enumerate(label):
            glyph = draw_glyph(rng.choice(self.fonts), size, character)
            glyph = rotate(glyph, self.distortion * rng.between(-MAX_ROTATION, MAX_ROTATION), 0.0)
            height, width = glyph.shape
            left = advance * (position + 0.5) - width / 2
            # A wide letter at the picture's edge is moved inwards, not cut off.
            left = min(max(left, 0), max(0, self.width - width))
            paste(image, glyph, round(left), (self.height - height) // 2, _dark_colour(rng))
        thickness = max(1, round(self.height / 30))
        for _ in range(rng.round_randomly(LINES * self.noise)):
            start, end = ((rng.randbelow(self.width), rng.randbelow(self.height)) for _ in range(2))
            cv2.line(image, start, end, _dark_colour(rng), thickness)
        return image


def _dark_colour(rng: SeededRandom) -> tuple[int, int, int]:
    return 32 + rng.randbelow(96), 32 + rng.randbelow(96), 32 + rng.randbelow(96)
