"""Style `lines`: upright letters in dark colours on white, under straight thin lines.

After the first generator of CRNN-Keras (captcha fork): 70×30 pixels, white, one font of a family per letter at
size 26, colours of 32 … 127, three straight lines of one pixel. Ours scales with the picture, and sways each letter.
"""

from __future__ import annotations

import cv2
import numpy as np

from generate_captcha.style import Image, Source, TextStyle
from generate_captcha.text.glyphs import FAMILY, glyph, ink, turned

#: The original's measures: a letter's size is this part of the height, and at most this multiple of its share of
#: the width.
SIZE_OF_HEIGHT, SIZE_OF_SHARE = 26 / 30, 26 / (70 / 4)
LINES = 3
#: Degrees to either side.
SWAY = 6.0


class Lines(TextStyle):
    """The pictures of CRNN-Keras' first captcha generator."""

    FONTS = FAMILY

    def draw(self, label: str, source: Source) -> Image:
        image = np.full((self.height, self.width, 3), 255, np.uint8)
        share = self.width / len(label)
        size = max(6, int(min(self.height * SIZE_OF_HEIGHT, share * SIZE_OF_SHARE)))
        for position, character in enumerate(label):
            mask = glyph(source.choice(self.fonts), size, character)
            mask = turned(mask, self.distortion * source.between(-SWAY, SWAY), 0.0)
            height, width = mask.shape
            left = share * (position + 0.5) - width / 2
            # A letter wider than its share at the edge is moved in rather than cut.
            left = min(max(left, 0), max(0, self.width - width))
            ink(image, mask, round(left), (self.height - height) // 2, _dark(source))
        thickness = max(1, round(self.height / 30))
        for _ in range(source.about(LINES * self.noise)):
            start, end = (
                (source.randbelow(self.width), source.randbelow(self.height)) for _ in range(2)
            )  # fmt: skip
            cv2.line(image, start, end, _dark(source), thickness)
        return image


def _dark(source: Source) -> tuple[int, int, int]:
    return 32 + source.randbelow(96), 32 + source.randbelow(96), 32 + source.randbelow(96)
