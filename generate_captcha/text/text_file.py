"""Pieces of a text file: what the lines of style `line` say.

A piece is a run of the file's characters within one of its lines, cut where a line can be broken: at spaces, and in
scripts that are written without them (Chinese, Japanese, Thai and their neighbours) between any two characters, but for
those that belong to the one before or behind them (Unicode's line breaking, UAX 14).
"""

from __future__ import annotations

import unicodedata

import numpy as np
from numpy.typing import NDArray

from crnn_reader import bounded
from crnn_reader.errors import UserError
from generate_captcha.style import Source

#: Scripts without spaces between words, as their characters' names begin.
UNSPACED = (
    "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "IDEOGRAPHIC", "FULLWIDTH", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN",
)  # fmt: skip
#: Vowels of Thai and Lao that stand before the consonant they are spoken after; those that stand behind it.
LEADING_VOWELS = "เแโใไເແໂໃໄ"
TRAILING_VOWELS = "ะาำๅๆฯະາຳຽໆ"
#: Punctuation that no line begins with, and that no line ends with.
CLOSING = (
    "。．，、！？：；…）］｝〉》」』】〕〗’”%℃‰·ー々ゝゞヽヾぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶ.,!?:;)]}»"
)
OPENING = "（［｛〈《「『【〔〖‘“([{«"
#: Bytes of a file of texts.
LARGEST = 1024**3
#: Characters that are looked at together.
PART = 1 << 20
#: Invisible characters that shape their neighbours; others of their kind are left out.
JOINERS = "\u200c\u200d"


class Texts:
    """The pieces of a UTF-8 file that have `shortest` … `longest` characters, all of them of `alphabet` if given.

    Raises UserError when the file cannot be read or has no such piece.
    """

    def __init__(self, path: str, shortest: int, longest: int, alphabet: str | None) -> None:
        self._shortest, self._longest = shortest, longest
        self._text = _read(path)
        if not self._text.strip():
            raise UserError(f"--text {path}: it holds no text; give a UTF-8 text file with one text per line")
        #: The file's characters, those of `alphabet` if it was given; sorted.
        self.characters = alphabet or "".join(sorted(set(self._text) - {"\n"}))

        gap, self._barrier, unspaced, clings, holds = _kinds(self._text, alphabet)
        inside = ~(gap | self._barrier)
        # A place between two characters; the text begins and ends with a line feed.
        breakable = np.zeros(len(gap), bool)
        breakable[1:] = gap[1:] | gap[:-1] | ((unspaced[1:] | unspaced[:-1]) & ~clings[1:] & ~holds[:-1])
        self._ends = np.zeros(len(gap), bool)
        self._ends[1:] = breakable[1:] & inside[:-1]
        starts = np.flatnonzero(breakable & inside).astype(np.int32)
        starts = starts[starts + shortest < len(gap)]
        reach = np.minimum(starts + longest, _next(self._barrier, starts))
        self._starts = starts[_next(self._ends, starts + shortest) <= reach]
        if not len(self._starts):
            asked = str(shortest) if shortest == longest else f"{shortest} to {longest}"
            raise UserError(
                f"--text {path}: no {asked} characters of it{' that are all of --alphabet' if alphabet else ''} "
                "can be cut out at spaces: ask for another --length, such as 5-25"
            )

    def piece(self, source: Source) -> str:
        """A piece: every place where one can begin is equally likely."""
        start = int(source.choice(self._starts))  # type: ignore[arg-type]  # an array is as good as a sequence
        wanted = self._shortest + source.randbelow(self._longest - self._shortest + 1)
        barriers = np.flatnonzero(self._barrier[start : start + self._longest])
        most = int(barriers[0]) if len(barriers) else self._longest
        ends = np.flatnonzero(self._ends[start + self._shortest : start + most + 1]) + self._shortest
        # The longest that is not longer than wanted, or else the shortest that there is.
        end = ends[max(0, int(np.searchsorted(ends, wanted, "right")) - 1)]
        return self._text[start : start + int(end)]


def _read(path: str) -> str:
    """The file's lines that are not blank, composed (NFC), spaces made single, a line feed around each."""
    try:
        text = bounded.read_text(path, LARGEST)
    except ValueError as error:
        raise UserError(f"--text {path}: {error}; give a UTF-8 text file with one text per line") from error
    except FileNotFoundError as error:
        raise UserError(f"--text {path}: no such file; give a UTF-8 text file with one text per line") from error
    lines = [" ".join(line.split()) for line in unicodedata.normalize("NFC", text).splitlines()]
    text = "\n".join(["", *filter(None, lines), ""])
    invisible = {
        character
        for character in set(text) - set("\n" + JOINERS)
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn")
    }
    return text.translate(dict.fromkeys(map(ord, invisible)))


def _kinds(text: str, alphabet: str | None) -> list[NDArray[np.bool_]]:
    """For each character: is it a gap between words, an end of what may be shown, of an unspaced script; does it belong
    to the one before it, or to the one behind it?
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
    kinds = np.empty(len(text), np.uint8)
    # By parts: as numbers, a large text would take eight times its size.
    for start in range(0, len(text), PART):
        part = text[start : start + PART].encode("utf-32-le")
        kinds[start : start + PART] = table[np.frombuffer(part, np.uint32)]
    return [kinds & (1 << place) > 0 for place in range(5)]


def _next(where: NDArray[np.bool_], at: NDArray[np.int32]) -> NDArray[np.int32]:
    """For each of the places `at`, the first at or after it where `where` holds; the length of `where` if none is."""
    places = np.append(np.flatnonzero(where), len(where)).astype(np.int32)
    return places[np.searchsorted(places, at)]
