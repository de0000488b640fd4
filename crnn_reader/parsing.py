"""How people write lengths and frames, and the bounds of what a reader accepts."""

from __future__ import annotations

import re

#: Pixels on one side of a network's input.
MAX_SIDE = 10_000
#: Rows of text in a picture, and characters after which an attention decoder may have to stop.
MAX_ROWS, MAX_TEXT_LENGTH = 4, 10_000
#: Pixels of a picture by default, and the largest value of that setting.
MAX_PIXELS, MAX_PIXELS_SETTING = 25_000_000, 100_000_000
#: Texts that a reading may list, texts that a beam may keep, and pictures in a batch.
MAX_TEXTS, MAX_BEAM_WIDTH, MAX_BATCH_SIZE = 100, 1_000, 65_536


def parse_frame(text: str) -> str:
    """`first`, `last` or a number from 1: which frame of an animation, or page, is read. Raises ValueError."""
    if text in ("first", "last"):
        return text
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < 1:
        raise ValueError("a frame is first, last or a number from 1")
    return str(int(text))


def parse_length(text: str) -> tuple[int, int]:
    """`4` -> (4, 4), `4-6` -> (4, 6): the fewest and the most characters. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high:
        raise ValueError("a length is a number or a range, such as 4 or 4-6")
    return low, high
