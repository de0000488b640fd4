"""Limits and defaults of settings of models and readers, and parsers for frames and lengths."""

from __future__ import annotations

import re

#: Width and height of a network's input, in pixels.
MAX_INPUT_SIDE = 10_000
#: Text lines in a picture, and characters of a text.
MAX_ROWS, MAX_TEXT_LENGTH = 4, 10_000
#: Default of `max_pixels`, the limit on the pixels of a picture, and its maximum on the command line.
MAX_PIXELS, MAX_PIXELS_SETTING = 25_000_000, 100_000_000
#: Alternatives in a reading, beam width, and pictures in a batch.
MAX_TEXTS, MAX_BEAM_WIDTH, MAX_BATCH_SIZE = 100, 1_000, 65_536
#: Default of `tta` for models with formats of plates.
PLATES_TTA = 0.9


def parse_frame(text: str) -> str:
    """Parse the frame of an animation, or page of a TIFF: `first`, `last` or a number from 1 to 999,999.

    Returns the frame without leading zeros. Raises ValueError for any other text.
    """
    if text in ("first", "last"):
        return text
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < 1:
        raise ValueError("a frame is first, last or a number from 1")
    return str(int(text))


def parse_length(text: str) -> tuple[int, int]:
    """Parse the minimum and maximum number of characters: `4` -> (4, 4), `4-6` -> (4, 6).

    Raises ValueError for any other text, a minimum below 1, or a minimum above the maximum.
    """
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high:
        raise ValueError("a length is a number or a range, such as 4 or 4-6")
    return low, high
