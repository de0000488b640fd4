"""Parsers for sizes, fractions, numbers of pictures, process numbers and byte counts, as people write them.

All raise ValueError with a sentence that says what to give.
"""

from __future__ import annotations

import itertools
import re

from crnn_reader.limits import MAX_INPUT_SIDE


def size(text: str) -> tuple[int, int]:
    """`128x64` -> (128, 64), the width and height in pixels, each from 1 to 10,000."""
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    if not match or not all(1 <= int(side) <= MAX_INPUT_SIDE for side in match.groups()):
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, each from 1 to {MAX_INPUT_SIDE:,}, such as 128x64")
    return int(match[1]), int(match[2])


def picture_size(text: str) -> tuple[int | None, int]:
    """Like :func:`size`, and `autox32` -> (None, 32): the width follows the text, the height is at most 1,000."""
    match = re.fullmatch(r"auto[xX×](\d{1,5})", text)
    if not match:
        return size(text)
    height = int(match[1])
    if not 1 <= height <= 1_000:
        # A line of a hundred characters may be fifty times as wide as it is high.
        raise ValueError("the height after auto is from 1 to 1,000 pixels, such as autox32")
    return None, height


def fraction(text: str) -> float | None:
    """`0.1` -> 0.1, and None for a path. Numbers outside 0 to 1 and percentages are errors."""
    percentage = text.rstrip().endswith("%")
    try:
        number = float(text.rstrip("% ")) / (100 if percentage else 1)
    except ValueError:
        return None
    if percentage and 0 < number < 1:
        raise ValueError(f"give {number:g}")
    if not 0 < number < 1:
        raise ValueError("give a fraction between 0 and 1, or a folder or a list")
    return number


def part_sizes(text: str) -> list[int]:
    """`50,100,200` -> [50, 100, 200], which must grow."""
    numbers = [int(number) if number.strip().isdecimal() else 0 for number in text.split(",")]
    if numbers[0] < 1 or any(after <= before for before, after in itertools.pairwise(numbers)):
        raise ValueError("give growing numbers, separated by commas, such as 50,100,200")
    return numbers


def member(text: str) -> tuple[str, tuple[int, int]]:
    """`node1:5000,0/4` -> ("node1:5000", (0, 4)): process 0 of 4; the first one listens at that address."""
    match = re.fullmatch(r"([^\s,]+:(\d{1,5})),(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if not match or not int(match[3]) < int(match[4]):
        raise ValueError("give auto, or HOST:PORT,I/N such as node1:5000,0/4 for the first of 4 processes")
    if not 0 < int(match[2]) < 1 << 16:
        raise ValueError("a port is a number from 1 to 65535")
    return match[1], (int(match[3]), int(match[4]))


def byte_count(text: str) -> int:
    """`500MB`, `1.5 TB` or `4096` -> number of bytes. Units are powers of 1,000."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?) ?([KMGT]?)B?", text, re.IGNORECASE | re.ASCII)
    if not match or not (count := round(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))):
        raise ValueError("a size is a number of bytes, such as 500MB, 20GB or 1.5TB")
    return count
