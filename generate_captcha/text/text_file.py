"""Pieces of a text file, the texts of style `line`.

A piece is part of a line of the file, cut where a line may be broken: at spaces, and in scripts written without spaces
(Chinese, Japanese, Thai and their neighbours) between any two characters, except those that belong to the character
before or after them (Unicode line breaking, UAX 14).
"""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from crnn_reader import bounded
from crnn_reader.errors import UserError
from generate_captcha.seeded_random import SeededRandom

#: How the Unicode names of characters begin in scripts without spaces between words.
UNSPACED = (
    "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN",
)  # fmt: skip
#: Vowels of Thai and Lao that are written before their consonant, and those that are written after it.
LEADING_VOWELS = "เแโใไເແໂໃໄ"
TRAILING_VOWELS = "ะาำๅๆฯະາຳຽໆ"
#: Punctuation that cannot begin a line, and punctuation that cannot end one.
CLOSING = (
    "。．，、！？：；…）］｝〉》」』】〕〗’”%℃‰·ー々ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ.,!?:;)]}»"
)
OPENING = "（［｛〈《「『【〔〖‘“([{«"
#: Maximum size of a text file in bytes.
MAX_BYTES = 1024**3
#: Number of characters that are classified at a time.
BLOCK = 1 << 20
#: Invisible characters that affect the shape of their neighbours. Other invisible characters are removed.
JOINERS = "\u200c\u200d"


class TextFile:
    """The pieces of a UTF-8 file with `shortest` to `longest` characters, all in `alphabet` if it is given.

    Raises UserError if the file cannot be read or has no such piece.
    """

    def __init__(self, path: str, shortest: int, longest: int, alphabet: str | None) -> None:
        self._shortest, self._longest = shortest, longest
        self._text = _read(path)
        if not self._text.strip():
            raise UserError(f"the text file {path} has no text: give a UTF-8 file with one text per line", "text")
        #: `alphabet`, or the file's characters in order of their code points.
        self.characters = alphabet or "".join(sorted(set(self._text) - {"\n"}))

        gap, self._barrier, unspaced, keeps_before, keeps_after = _classify(self._text, alphabet)
        inside = ~(gap | self._barrier)
        # Whether a piece may begin or end before each character. The text begins and ends with a line feed.
        breakable = np.zeros(len(gap), bool)
        breakable[1:] = gap[1:] | gap[:-1] | ((unspaced[1:] | unspaced[:-1]) & ~keeps_before[1:] & ~keeps_after[:-1])
        self._ends = np.zeros(len(gap), bool)
        self._ends[1:] = breakable[1:] & inside[:-1]
        starts = np.flatnonzero(breakable & inside).astype(np.int32)
        starts = starts[starts + shortest < len(gap)]
        reach = np.minimum(starts + longest, _next(self._barrier, starts))
        self._starts = starts[_next(self._ends, starts + shortest) <= reach]
        if not len(self._starts):
            length = str(shortest) if shortest == longest else f"{shortest} to {longest}"
            raise UserError(
                f"the text file {path} has no piece of {length} characters between spaces"
                f"{' with only characters of the alphabet' if alphabet else ''}: give another length",
                parameter="length",
                example="5-25",
            )

    def piece(self, rng: SeededRandom) -> str:
        """Return a random piece. All places where a piece can begin are equally likely."""
        start = int(rng.choice(self._starts))  # type: ignore[arg-type]  # an array is as good as a sequence
        wanted = self._shortest + rng.randbelow(self._longest - self._shortest + 1)
        barriers = np.flatnonzero(self._barrier[start : start + self._longest])
        max_length = int(barriers[0]) if len(barriers) else self._longest
        ends = np.flatnonzero(self._ends[start + self._shortest : start + max_length + 1]) + self._shortest
        # The longest that is not longer than wanted, otherwise the shortest one.
        end = ends[max(0, int(np.searchsorted(ends, wanted, "right")) - 1)]
        return self._text[start : start + int(end)]


def _read(path: str) -> str:
    """Read the file's lines that are not blank, as NFC, with single spaces, and with a line feed before and after."""
    try:
        text = bounded.read_text(path, MAX_BYTES)
    except ValueError as error:
        raise UserError(f"the text file {path}: {error}; give a UTF-8 file with one text per line", "text") from error
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}: give a UTF-8 file with one text per line", "text") from error
    lines = [" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines()]
    text = "\n".join(["", *filter(None, lines), ""])
    invisible = {
        character
        for character in set(text) - set("\n" + JOINERS)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")
    }
    return text.translate(dict.fromkeys(map(ord, invisible)))


def _classify(text: str, alphabet: str | None) -> list[NDArray[np.bool_]]:
    """Return five bools per character: whether it is a gap between words, whether pieces cannot contain it, whether its
    script has no spaces, whether it belongs to the character before it, and whether to the one after it.
    """
    table = np.zeros(0x110000, np.uint8)
    for character in set(text):
        bits = (
            character in " \n",
            character == "\n" or (alphabet is not None and character not in alphabet),
            unicodedata.name(character, "").startswith(UNSPACED),
            unicodedata.category(character)[0] == "M" or character in JOINERS + TRAILING_VOWELS + CLOSING,
            character in LEADING_VOWELS + OPENING,
        )
        table[ord(character)] = sum(bit << place for place, bit in enumerate(bits))
    classes = np.empty(len(text), np.uint8)
    # In blocks, because the code points of a large text take several times its size.
    for start in range(0, len(text), BLOCK):
        block = text[start : start + BLOCK].encode("utf-32-le")
        classes[start : start + BLOCK] = table[np.frombuffer(block, np.uint32)]
    return [classes & (1 << place) > 0 for place in range(5)]


def _next(where: NDArray[np.bool_], at: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return the first index at or after each of `at` where `where` is true, or the length of `where`."""
    places = np.append(np.flatnonzero(where), len(where)).astype(np.int32)
    return places[np.searchsorted(places, at)]
