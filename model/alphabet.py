"""The alphabet: which characters a network reads, and their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

#: CTC's blank and the padding of labels; characters are 1…N.
BLANK = 0


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
    return len(text) + sum(left == right for left, right in pairwise(text))


def told_unknown(labels: Sequence[str], alphabet: str, ignore_case: bool = False) -> str | None:
    """A sentence on labels that have characters which `alphabet` lacks; None where all can be read."""
    known = set(alphabet + alphabet.upper() + alphabet.lower() if ignore_case else alphabet)
    hopeless = [set(label) - known for label in labels if not known.issuperset(label)]
    if not hopeless:
        return None
    unknown = " ".join("space" if each == " " else each for each in sorted(set().union(*hopeless)))
    return f"{len(hopeless):,} labels have characters that the model cannot read: {unknown}"
