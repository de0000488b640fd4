"""Alphabets: which characters a network reads, their class numbers, and how people write them."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import math
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

from . import bounded
from .errors import UserError

logger = logging.getLogger(__name__)

#: CTC's blank and the padding of labels; characters are 1…N.
BLANK = 0

#: An alphabet by name: the 6,763 ideographs of GB 2312, 3,755 common ones by their sound, then 3,008 by their radicals.
GB2312 = "gb2312"

#: Characters that no text has: control characters, line breaks, halves of surrogate pairs, the replacement character,
#: and invisible ones such as marks of direction; but not the joiners, which shape their neighbours.
UNREADABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ud800-\udfff\ufeff\ufffd]"
)

#: Bytes of a file of characters; all of Unicode, with numbers, has less.
LARGEST_FILE = 1 << 24

#: Digits of an id in a dictionary: it is a 64-bit integer in the records.
_LONGEST_ID = 19

#: The padding in the dictionaries of attention_ocr, no character.
PADDING = "<nul>"


class Alphabet:
    """Characters in a fixed order; the i-th one (from 1) is class i, 0 is the blank.

    Raises ValueError for no characters, repeated ones, or an entry that is not a single character.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._numbers = {character: number for number, character in enumerate(characters, start=1)}
        if not characters or len(self._numbers) != len(characters):
            raise ValueError(f"an alphabet must have each character once, not {characters!r}")

    @property
    def classes(self) -> int:
        """Outputs a network needs: the characters and the blank."""
        return len(self.characters) + 1

    def encode(self, text: str) -> list[int]:
        """Numbers 1…N of the characters. Raises KeyError for one that is not in the alphabet."""
        return [self._numbers[character] for character in text]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers 1…N."""
        return "".join(self.characters[number - 1] for number in numbers)


def ctc_steps(text: str) -> int:
    """Time steps that CTC needs for `text`: one per character and a blank between equal neighbours."""
    return len(text) + sum(left == right for left, right in itertools.pairwise(text))


def parse_alphabet(text: str) -> str:
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
        return expand_alphabet(text)
    return _checked(characters)


def expand_alphabet(text: str) -> str:
    """The characters of `text`, in order, composed (NFC); `0-9` is a range, as in :func:`parse_alphabet`.

    Unlike there, `text` never names a file. Raises ValueError.
    """
    return _checked(list(expand_ranges(unicodedata.normalize("NFC", text))))


def write_alphabet(characters: str) -> str:
    """A text that :func:`expand_alphabet` turns into `characters`: these, with each dash as a range of its own."""
    if "-" not in characters[1:]:
        return characters
    before, after = characters.split("-")
    return f"{before[:-1]}{before[-1:]}-{before[-1:]}---{after}"


def _checked(characters: list[str]) -> str:
    if not characters:
        raise ValueError("an alphabet needs at least one character, such as 0-9A-Z")
    for character in filter(UNREADABLE.match, characters):
        raise ValueError(f"the control character U+{ord(character):04X} cannot be in an alphabet")
    if len(set(characters)) < len(characters):
        double = next(character for character in characters if characters.count(character) > 1)
        raise ValueError(f"the character {double!r} is in the alphabet twice; write each character once")
    return "".join(characters)


def character_frequencies(text: str) -> list[float] | None:
    """The frequencies of the characters of :func:`parse_alphabet`, in any unit, if `text` is a file that has them.

    Otherwise None. Raises ValueError.
    """
    counted = _counted(_lines(Path(text))) if os.path.isfile(text) else None
    return [frequency for _, frequency in counted] if counted else None


def _characters_of_gb2312() -> list[str]:
    rows, cells = range(0xB0, 0xF8), range(0xA1, 0xFF)
    # The last five cells of row D7, where the common ones end, are empty.
    codes = (bytes([row, cell]) for row in rows for cell in cells if row != 0xD7 or cell < 0xFA)
    return [code.decode("gb2312") for code in codes]


def expand_ranges(text: str) -> Iterator[str]:
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


def read_dictionary(path: Path) -> dict[int, str]:
    """The characters of a file with `id<TAB>character` on each line, by id; the padding `<nul>` is the empty text.

    Raises ValueError for a file of another kind. A character may have several ids, an id has one character.
    """
    entries = list(_entries(path, padding=True))
    if not entries or any(number is None for number, _ in entries):
        raise ValueError("a dictionary has id<TAB>character on each line")
    return {number: character for number, character in entries if number is not None}


def character_numbers(text: str | None, labels: Iterable[str]) -> dict[str, int]:
    """The characters that `text` stands for, as :func:`parse_alphabet` reads it, with their numbers from 0.

    A dictionary file says the numbers itself, that of its padding too; without `text` the characters are those of
    `labels`, sorted. Raises UserError for a label with another character.
    """
    used = set[str]().union(*labels)
    if text is None:
        found = {character: number for number, character in enumerate(sorted(used))}
    else:
        found = {character: number for number, character in enumerate(parse_alphabet(text))}
        with contextlib.suppress(ValueError, OSError):
            found = {character or PADDING: number for number, character in read_dictionary(Path(text)).items()}
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
        logger.warning(f"{path}: no characters for the ids {', '.join(ranges)}{more}; is a line missing?")
