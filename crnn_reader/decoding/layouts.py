"""Layouts and countries of the texts that were read in a picture of a plate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ..formats import ROW_BREAK
from .ctc import Decoded
from .formats import BONUS, STRENGTH, FormatIndex

#: Layouts and countries with a lower probability are left out.
MIN_PROBABILITY = 0.005
#: Texts with less than this part of the probability of all texts of a picture do not count.
NEGLIGIBLE = 1e-3
#: A gap is wide if it is more than WIDE times as wide as the median gap. SHARE weighs the probability of a
#: form against its gaps. Found on 4,496 generated plates: 93 % of them were split where their layout is, and 90 % or
#: less with a SHARE of 0 or 0.2, or a WIDE of 1.4.
WIDE, SHARE = 1.2, 0.05


@dataclass(frozen=True)
class Layout:
    """A layout that a text fits.

    Attributes:
        name: its name, such as `de_car`.
        title: country and kind of plate, such as `Germany, car`.
        probability: probability that the plate has this layout, 0 to 1.
    """

    name: str
    title: str
    probability: float


@dataclass(frozen=True)
class Country:
    """A country whose layouts a text fits.

    Attributes:
        code: its code, such as `de`.
        name: its name, such as `Germany`.
        probability: probability that the plate is from this country, 0 to 1.
    """

    code: str
    name: str
    probability: float


def with_separators(text: Decoded, characters: str, index: FormatIndex, columns: int) -> str:
    """A text with the separators of its most probable form, and a space where a lower row begins.

    Forms differ in where a text is split: B MW 123 and BM W 123 are both German. The form counts whose separators stand
    in wide gaps between the characters; only then how probable the forms are.

    Arguments:
        text: the text, with the positions of its characters.
        characters: its characters.
        index: the formats.
        columns: columns of one row of text.
    """
    shares = defaultdict[tuple[str, ...], float](float)
    for form in index.forms_of(text.numbers):
        shares[form.signs] += form.density
    if not shares:
        return characters
    rows = [span.start // columns for span in text.spans]
    centres = [(span.start + span.end) / 2 for span in text.spans]
    # None between two rows.
    gaps = [
        after - before if row == next_row else None
        for (before, after), (row, next_row) in zip(pairwise(centres), pairwise(rows), strict=True)
    ]
    usual = median([gap for gap in gaps if gap is not None] or [1.0]) or 1.0

    def fits(signs: tuple[str, ...]) -> float:
        score = SHARE * math.log(shares[signs])
        for gap, sign in zip(gaps, signs[1:], strict=False):
            if ROW_BREAK in sign or gap is None:
                score += 1.0 if ROW_BREAK in sign and gap is None else -1.0
            elif sign:
                score += gap / usual - WIDE
        return score

    best = max(shares, key=fits)
    written = "".join(sign + character for sign, character in zip(best, [*characters, ""], strict=True))
    return " ".join(written.replace(ROW_BREAK, " ").split())


def layouts_of(texts: Sequence[Decoded], index: FormatIndex) -> tuple[list[Layout], list[Country]]:
    """The layouts and countries of a picture, by probability, from all texts that were read in it.

    A format gives its texts the density of :mod:`.formats`. All countries are equally likely before a text is read, and
    the layouts of a country by their weights. Texts that the reader did not come across are taken to have the same
    layouts as those that it did.
    """
    shares = defaultdict[str, float](float)
    titles = dict[str, str]()
    # The density at which the prior of a format is that of no format.
    other = math.exp(-BONUS / STRENGTH) if index.others else 0.0
    total = sum(text.probability for text in texts)
    for text in texts:
        forms = index.forms_of(text.numbers) if text.probability > NEGLIGIBLE * total else []
        densities = sum(form.density for form in forms)
        for form in forms:
            shares[form.format.name] += text.probability / total * form.density / (densities + other)
            titles[form.format.name] = form.format.title
    countries, names = defaultdict[str, float](float), dict[str, str]()
    for name, share in shares.items():
        code = name.partition("_")[0]
        countries[code] += share
        names[code] = titles[name].partition(",")[0]
    return (
        [Layout(name, titles[name], share) for name, share in _shown(shares)],
        [Country(code, names[code], share) for code, share in _shown(countries)],
    )


def _shown(shares: dict[str, float]) -> list[tuple[str, float]]:
    """The names with their probabilities, the most probable first, without those below MIN_PROBABILITY."""
    shown = [(name, min(share, 1.0)) for name, share in shares.items() if share >= MIN_PROBABILITY]
    return sorted(shown, key=lambda each: -each[1])
