"""Random texts in place of those of patterns: any character of the layout at any place.

They teach a network to read letters rather than formats: on a plate of three letters and three digits it would
otherwise read a 2 among the letters as Z.
"""

from __future__ import annotations

from generate_captcha.plates.letters import KANA, is_other_script
from generate_captcha.plates.patterns import Rows, TextPart
from generate_captcha.seeded_random import SeededRandom

#: Characters that are easily confused.
SIMILAR = (
    "1I",
    "1I7TLJ",
    "0OQD",
    "0OQDCGU",
    "8B",
    "2Z",
    "2Z7",
    "5S",
    "6G",
    "38B",
    "4A",
    "69",
    "VY",
    "MNWH",
    "EF",
    "PRF",
)
#: Share of characters that are chosen from such a group.
SIMILAR_SHARE = 0.4
#: Number of letters and digits that a text has at least, when one is left out.
MIN_LENGTH = 4


class RandomTexts:
    """Random texts of the characters of a layout."""

    def __init__(self, characters: set[str]) -> None:
        """`characters` are those of its patterns."""
        of_kind: dict[int, list[str]] = {}
        for character in sorted(characters):
            of_kind.setdefault(_kind(character), []).append(character)
        self._of_kind = of_kind
        groups = ([sign for sign in group if sign in characters] for group in SIMILAR)
        self._similar = [group for group in groups if len(group) > 1]

    def write(self, rows: Rows, rng: SeededRandom) -> Rows:
        """Return random texts of the same rows, separators and kinds of characters, with up to one letter more or less.

        Arguments:
            rows: a text of a pattern.
        """
        rows = [[part if part.separator else self._replace(part, rng) for part in row] for row in rows]
        change = rng.randbelow(3) - 1
        row = rng.choice(rows)
        places = [
            number
            for number, part in enumerate(row)
            if not part.separator and len(part.text) == 1 and _kind(part.text) == 0
        ]
        if change > 0 and 0 in self._of_kind:
            place = rng.randbelow(len(row) + 1)
            row.insert(place, TextPart(self._character(0, rng)))
        elif change < 0 and len(places) > 1 and sum(len(part.text) for part in row) > MIN_LENGTH:
            del row[rng.choice(places)]
        return rows

    def _replace(self, part: TextPart, rng: SeededRandom) -> TextPart:
        return part._replace(text="".join(self._character(_kind(character), rng) for character in part.text))

    def _character(self, kind: int, rng: SeededRandom) -> str:
        if kind == 0 and self._similar and rng.random() < SIMILAR_SHARE:
            return rng.choice(rng.choice(self._similar))
        return rng.choice(self._of_kind[kind])


def _kind(character: str) -> int:
    """Return 0 for Latin letters and digits, 2 for Hiragana, 1 for others. None takes the place of another kind."""
    return 2 if KANA[0] <= character <= KANA[1] else int(is_other_script(character))
