"""How people write sizes, lengths, alphabets and parts, and what that means; with the standard library alone."""

from __future__ import annotations

import contextlib
import functools
import itertools
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import bounded
from console import UserError, warn

#: An alphabet by name: the 6,763 ideographs of GB 2312, 3,755 common ones by their sound, then 3,008 by their radicals.
GB2312 = "gb2312"

#: What no text has: control characters, line breaks, halves of surrogate pairs, what stands for broken text, and what
#: nobody sees, such as marks of direction; but not the joiners, which shape their neighbours.
UNREADABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ud800-\udfff\ufeff\ufffd]"
)

#: Pixels a side that a size may have.
LARGEST = 10_000
#: Rows of text in a picture, at the most, and characters after which the attention head may have to stop.
MOST_ROWS, LONGEST = 4, 10_000

#: Bytes of a file of characters; all of Unicode, with numbers, has less.
LARGEST_FILE = 1 << 24

#: Pixels that a picture may have unless more is asked for, and the most that may be asked for.
MOST_PIXELS, MOST_PIXELS_ASKED = 25_000_000, 100_000_000

#: Texts that a reading may list, texts that a beam may keep, and pictures that a batch may have.
MOST_TEXTS, WIDEST_BEAM, LARGEST_BATCH = 100, 1_000, 65_536

#: Digits that an id in a dictionary may have: it is a 64-bit integer in the records.
_LONGEST_ID = 19

#: The padding in the dictionaries of attention_ocr, no character.
PADDING = "<nul>"


def size(text: str) -> tuple[int, int]:
    """`128x64` -> (width, height) in pixels. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,5})[xX×](\d{1,5})", text)
    if not match or not all(1 <= int(side) <= LARGEST for side in match.groups()):
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, each from 1 to {LARGEST:,}, such as 128x64")
    return int(match[1]), int(match[2])


def frame(text: str) -> str:
    """`first`, `last` or a number from 1: which frame of an animation, or page, is read. Raises ValueError."""
    if text in ("first", "last"):
        return text
    if not re.fullmatch("[0-9]{1,6}", text) or int(text) < 1:
        raise ValueError("a frame is first, last or a number from 1")
    return str(int(text))


def picture_size(text: str) -> tuple[int | None, int]:
    """As :func:`size`; `autox32` -> (None, 32), the width that a text takes at that height. Raises ValueError."""
    match = re.fullmatch(r"auto[xX×](\d{1,5})", text)
    if not match:
        return size(text)
    height = int(match[1])
    if not 1 <= height <= 1_000:
        # A line of a hundred characters may well be fifty times as wide as high.
        raise ValueError("the height after auto is from 1 to 1,000 pixels, such as autox32")
    return None, height


def length(text: str) -> tuple[int, int]:
    """`4` -> (4, 4), `4-6` -> (4, 6): the fewest and the most characters. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", text)
    low, high = (int(match[1]), int(match[2] or match[1])) if match else (0, 0)
    if not 1 <= low <= high:
        raise ValueError("a length is a number or a range, such as 4 or 4-6")
    return low, high


def alphabet(text: str) -> str:
    """The characters that `text` stands for, each once, in order, composed (NFC).

    `text` is the path of a UTF-8 file with a character per line, alone, as `id<TAB>character`, or as
    `character<TAB>frequency`; or `gb2312`; or the characters themselves, where `0-9` is a range and a `-` that is not
    between two characters is itself. Raises ValueError.
    """
    if os.path.isfile(text):
        characters = _characters_of_file(Path(text))
    elif text == GB2312:
        characters = _characters_of_gb2312()
    elif text.lower().endswith((".txt", ".tsv")):
        raise ValueError("no such file; give a file with one character per line, or the characters themselves")
    else:
        characters = list(ranges(unicodedata.normalize("NFC", text)))
    if not characters:
        raise ValueError("an alphabet needs at least one character, such as 0-9A-Z")
    for character in filter(UNREADABLE.match, characters):
        raise ValueError(f"the control character U+{ord(character):04X} cannot be in an alphabet")
    if len(set(characters)) < len(characters):
        double = next(character for character in characters if characters.count(character) > 1)
        raise ValueError(f"the character {double!r} is in the alphabet twice; write each character once")
    return "".join(characters)


def frequencies(text: str) -> list[float] | None:
    """How often each character of :func:`alphabet` comes, in any unit, where `text` is a file that says so, else None.

    Raises ValueError.
    """
    counted = _counted(_lines(Path(text))) if os.path.isfile(text) else None
    return [frequency for _, frequency in counted] if counted else None


def _characters_of_gb2312() -> list[str]:
    rows, cells = range(0xB0, 0xF8), range(0xA1, 0xFF)
    # The last five cells of row D7, where the common ones end, are empty.
    codes = (bytes([row, cell]) for row in rows for cell in cells if row != 0xD7 or cell < 0xFA)
    return [code.decode("gb2312") for code in codes]


def ranges(text: str) -> Iterator[str]:
    """The characters of `A-F0`, as often as they are in it; a `-` that is not between two is itself.

    Raises ValueError for a range that runs backwards.
    """
    position = 0
    while position < len(text):
        first, dash, last = list((text[position : position + 3] + "\0\0")[:3])
        if dash == "-" and last != "\0":
            if first > last:
                raise ValueError(f"the range {first}-{last} runs backwards; write {last}-{first}")
            yield from map(chr, range(ord(first), ord(last) + 1))
            position += 3
        else:
            yield first
            position += 1


def _characters_of_file(path: Path) -> list[str]:
    return [character for _, character in _entries(path)]


def dictionary(path: Path) -> dict[int, str]:
    """The characters of a file with `id<TAB>character` on each line, by id; the padding `<nul>` is the empty text.

    Raises ValueError for a file of another kind. A character may have several ids, an id has one character.
    """
    entries = list(_entries(path, padding=True))
    if not entries or any(number is None for number, _ in entries):
        raise ValueError("a dictionary has id<TAB>character on each line")
    return {number: character for number, character in entries if number is not None}


def numbers(text: str | None, labels: Iterable[str]) -> dict[str, int]:
    """The characters that `text` stands for, as :func:`alphabet` reads it, with their numbers from 0.

    A dictionary file says the numbers itself, that of its padding too; without `text` the characters are those of
    `labels`, sorted. Raises UserError for a label with another character.
    """
    used = set[str]().union(*labels)
    if text is None:
        found = {character: number for number, character in enumerate(sorted(used))}
    else:
        found = {character: number for number, character in enumerate(alphabet(text))}
        with contextlib.suppress(ValueError, OSError):
            found = {character or PADDING: number for number, character in dictionary(Path(text)).items()}
    if outside := sorted(used - found.keys()):
        raise UserError(
            f"labels hold {' '.join(outside)}, which --alphabet {text} does not: add them, or correct the labels"
        )
    return {**found, PADDING: found.get(PADDING, max(found.values(), default=-1) + 1)}


def _lines(path: Path) -> list[str]:
    """The lines of a file, composed (NFC)."""
    try:
        text = bounded.read_text(path, LARGEST_FILE).replace("\r\n", "\n")
    except ValueError as error:
        raise ValueError(f"{error}; give a UTF-8 file with one character per line") from error
    return unicodedata.normalize("NFC", text).split("\n")


def _counted(lines: list[str]) -> list[tuple[str, float]] | None:
    """Characters and frequencies of lines with `character<TAB>frequency`; None for lines of another kind.

    Lines that begin with a number each are a dictionary, unless they end in what is no character.
    """
    rows = [(number, line, *line.rpartition("\t")[::2]) for number, line in enumerate(lines, 1) if line.strip("\t")]
    odd = [(number, line) for number, line, left, right in rows if len(left) != 1 or not _positive(right)]
    ids = all(not left or left.isdecimal() for _, _, left, _ in rows)
    if ids and (odd or all(len(right) == 1 for *_, right in rows)):
        return None
    if odd:
        number, line = odd[0]
        raise ValueError(
            f"line {number} of the file is {_quoted(line)}; in a file with frequencies, each line is a character, "
            "a tab and a number above 0"
        )
    return [(left, _positive(right)) for _, _, left, right in rows]


def _quoted(line: str) -> str:
    """A line for a message; of a long one its beginning."""
    return repr(line) if len(line) <= 60 else f"{line[:60]!r}…"


def _positive(text: str) -> float:
    """A number above 0; 0 for anything else."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 < number < math.inf else 0.0


def _entries(path: Path, padding: bool = False) -> Iterator[tuple[int | None, str]]:
    """The ids and characters of a file, without ids where it has none; warns of gaps in the ids."""
    lines = _lines(path)
    if counted := _counted(lines):
        yield from ((None, character) for character, _ in counted)
        return
    lines_of_ids: dict[int, int] = {}
    for line_number, line in enumerate(lines, start=1):
        left, tab, character = line.rpartition("\t")
        if character == "":
            continue
        number = None
        if tab and left.isdecimal():
            if len(left) > _LONGEST_ID:
                raise ValueError(f"line {line_number} of the file has an id of {len(left):,} digits")
            number = int(left)
        if number is not None:
            if number in lines_of_ids:
                raise ValueError(
                    f"the id {number} is in lines {lines_of_ids[number]} and {line_number} of the file; "
                    "each character needs its own"
                )
            lines_of_ids[number] = line_number
        if character == PADDING:
            if padding:
                yield number, ""
            continue
        if len(character) > 1:
            raise ValueError(
                f"line {line_number} of the file is {_quoted(line)}; an alphabet file has one character per line"
            )
        yield number, character
    if lines_of_ids:
        _tell_gaps(str(path), tuple(sorted(lines_of_ids)))


@functools.cache  # once, however often the file is read
def _tell_gaps(path: str, ids: tuple[int, ...]) -> None:
    gaps = [(before + 1, after - 1) for before, after in itertools.pairwise(ids) if after - before > 1]
    if gaps:
        ranges = [f"{first}-{last}" if last > first else f"{first}" for first, last in gaps[:3]]
        more = ", …" if len(gaps) > 3 else ""
        warn(f"{path}: no characters for the ids {', '.join(ranges)}{more}; is a line missing?")


def fraction(text: str) -> float | None:
    """`0.1` -> 0.1; None for a path. Raises ValueError for a number outside 0…1, and for a percentage."""
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


def parts(text: str) -> list[int]:
    """`50,100,200` -> [50, 100, 200]. Raises ValueError for what does not rise."""
    numbers = [int(number) if number.strip().isdecimal() else 0 for number in text.split(",")]
    if numbers[0] < 1 or any(after <= before for before, after in itertools.pairwise(numbers)):
        raise ValueError("give growing numbers, separated by commas, such as 50,100,200")
    return numbers


def member(text: str) -> tuple[str, tuple[int, int]]:
    """`node1:5000,0/4` -> ("node1:5000", (0, 4)): process 0 of 4; the first listens there. Raises ValueError."""
    match = re.fullmatch(r"([^\s,]+:(\d{1,5})),(\d{1,5})/(\d{1,5})", text, re.ASCII)
    if not match or not int(match[3]) < int(match[4]):
        raise ValueError("give auto, or HOST:PORT,I/N such as node1:5000,0/4 for the first of 4 processes")
    if not 0 < int(match[2]) < 1 << 16:
        raise ValueError("a port is a number from 1 to 65535")
    return match[1], (int(match[3]), int(match[4]))


def byte_count(text: str) -> int:
    """`500MB`, `1.5 TB`, `4096` -> bytes, the units in powers of 1000. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,3})?) ?([KMGT]?)B?", text, re.IGNORECASE | re.ASCII)
    if not match or not (count := round(float(match[1]) * 1000 ** " KMGT".index(match[2].upper() or " "))):
        raise ValueError("a size is a number of bytes, such as 500MB, 20GB or 1.5TB")
    return count
