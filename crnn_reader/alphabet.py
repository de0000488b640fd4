"""Alphabets: the characters that a network reads, their class numbers, and parsers for alphabets."""

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

#: Class of CTC's blank, also used to pad labels. Characters are classes 1…N.
BLANK = 0

#: Name of the alphabet with the 6,763 Chinese characters of GB 2312: 3,755 common ones sorted by pronunciation, then
#: 3,008 sorted by radical.
GB2312 = "gb2312"

#: Characters that cannot be in an alphabet: control characters, line breaks, surrogates, the replacement character, and
#: invisible characters such as direction marks. Zero-width joiners are allowed, because they change the shapes of their
#: neighbours.
UNREADABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ud800-\udfff\ufeff\ufffd]"
)

#: Maximum size of an alphabet file in bytes. All of Unicode with ids would need less.
MAX_FILE_BYTES = 1 << 24

#: Maximum number of digits of an id in a dictionary. Ids are 64-bit integers in TFRecords.
_MAX_ID_DIGITS = 19

#: The entry for padding in dictionaries of attention_ocr. It is not a character.
PADDING = "<nul>"


class Alphabet:
    """Maps characters to class numbers: the i-th character, from 1, is class i. Class 0 is the blank.

    Raises ValueError if `characters` is empty or has a character twice.
    """

    def __init__(self, characters: str) -> None:
        self.characters = characters
        self._numbers = {character: number for number, character in enumerate(characters, start=1)}
        if not characters or len(self._numbers) != len(characters):
            raise ValueError(f"an alphabet must have each character once, not {characters!r}")

    @property
    def classes(self) -> int:
        """Number of classes: the characters and the blank."""
        return len(self.characters) + 1

    def encode(self, text: str) -> list[int]:
        """The class numbers 1…N of a text. Raises KeyError for a character that is not in the alphabet."""
        return [self._numbers[character] for character in text]

    def decode(self, numbers: Iterable[int]) -> str:
        """The text for class numbers 1…N."""
        return "".join(self.characters[number - 1] for number in numbers)


def ctc_steps(text: str) -> int:
    """Minimum number of time steps for `text` in CTC: one per character, and a blank between equal neighbours."""
    return len(text) + sum(left == right for left, right in itertools.pairwise(text))


def parse_alphabet(text: str) -> str:
    """Parse an alphabet.

    Arguments:
        text: one of

            - the path of a UTF-8 file with one character per line, or with lines of the form `id<TAB>character` or
              `character<TAB>frequency`;
            - `gb2312`;
            - the characters themselves, with ranges such as `0-9`. A `-` that is not between two characters is literal.

    Returns the characters in order, in NFC. Raises ValueError for an empty alphabet, a duplicate or unreadable
    character, a range that runs backwards, or a file in another format.
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
    """Expand the ranges of an alphabet, such as `0-9A-Z`. Like :func:`parse_alphabet`, but `text` never names a file.

    Returns the characters in order, in NFC. Raises ValueError for an empty alphabet, a duplicate or unreadable
    character, or a range that runs backwards.
    """
    return _checked(list(expand_ranges(unicodedata.normalize("NFC", text))))


def write_alphabet(characters: str) -> str:
    """The inverse of :func:`expand_alphabet`: the characters, with a dash written as the range `---`."""
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
    """Read the frequencies of the characters, if `text` is a file with lines `character<TAB>frequency`.

    Returns positive numbers in the order of :func:`parse_alphabet`, not normalised, or None for any other alphabet.
    Raises ValueError for a file with an invalid line.
    """
    counted = _counted(_lines(Path(text))) if os.path.isfile(text) else None
    return [frequency for _, frequency in counted] if counted else None


def _characters_of_gb2312() -> list[str]:
    rows, cells = range(0xB0, 0xF8), range(0xA1, 0xFF)
    # The common characters end in row D7, and the last five cells of that row are empty.
    codes = (bytes([row, cell]) for row in rows for cell in cells if row != 0xD7 or cell < 0xFA)
    return [code.decode("gb2312") for code in codes]


def expand_ranges(text: str) -> Iterator[str]:
    """Yield the characters of a text such as `A-F0`. Duplicates are kept.

    A `-` that is not between two characters is literal. Raises ValueError for a range that runs backwards.
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
    """Read a dictionary file, with `id<TAB>character` on each line.

    Returns the characters by id. The padding `<nul>` becomes an empty str. A character may have several ids. Raises
    ValueError for a file in another format or with a duplicate id.
    """
    entries = list(_entries(path, padding=True))
    if not entries or any(number is None for number, _ in entries):
        raise ValueError("a dictionary has id<TAB>character on each line")
    return {number: character for number, character in entries if number is not None}


def character_numbers(text: str | None, labels: Iterable[str]) -> dict[str, int]:
    """Number the characters of an alphabet for a dictionary of attention_ocr, from 0.

    Arguments:
        text: the alphabet, see :func:`parse_alphabet`. A dictionary file determines the numbers, also that of the
            padding. None takes the characters of `labels`, sorted.
        labels: the texts to write.

    Returns the numbers by character, with PADDING. Raises UserError if a label has another character, and ValueError
    as :func:`parse_alphabet` does.
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
            f"labels hold {' '.join(outside)}, which the alphabet {text} does not: add them, or correct the labels"
        )
    return {**found, PADDING: found.get(PADDING, max(found.values(), default=-1) + 1)}


def _lines(path: Path) -> list[str]:
    """The lines of a file, in NFC."""
    try:
        text = bounded.read_text(path, MAX_FILE_BYTES).replace("\r\n", "\n")
    except ValueError as error:
        raise ValueError(f"{error}; give a UTF-8 file with one character per line") from error
    return unicodedata.normalize("NFC", text).split("\n")


def _counted(lines: list[str]) -> list[tuple[str, float]] | None:
    """Parse lines of the form `character<TAB>frequency`. Returns None for lines in another format.

    If every line begins with digits, the file may be a dictionary: it has frequencies only if all of them are valid and
    some line does not end in a single character.
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
    """Quote a line for a message, shortened to 60 characters."""
    return repr(line) if len(line) <= 60 else f"{line[:60]!r}…"


def _positive(text: str) -> float:
    """Parse a finite number above 0. Returns 0 for anything else."""
    try:
        number = float(text)
    except ValueError:
        return 0.0
    return number if 0 < number < math.inf else 0.0


def _entries(path: Path, padding: bool = False) -> Iterator[tuple[int | None, str]]:
    """Yield the ids and characters of a file; ids are None if it has none. Warns of gaps in the ids.

    With `padding`, the entry for padding is yielded as an empty str, and otherwise left out.
    """
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
            if len(left) > _MAX_ID_DIGITS:
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
        _warn_of_gaps(str(path), tuple(sorted(lines_of_ids)))


@functools.cache  # warn once, however often the file is read
def _warn_of_gaps(path: str, ids: tuple[int, ...]) -> None:
    gaps = [(before + 1, after - 1) for before, after in itertools.pairwise(ids) if after - before > 1]
    if gaps:
        ranges = [f"{first}-{last}" if last > first else f"{first}" for first, last in gaps[:3]]
        more = ", …" if len(gaps) > 3 else ""
        logger.warning(f"{path}: no characters for the ids {', '.join(ranges)}{more}; is a line missing?")
