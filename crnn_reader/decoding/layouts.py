"""Layouts and countries of the texts that were read in a picture of a plate."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from .ctc import Decoded
from .formats import BONUS, STRENGTH, FormatIndex

#: Layouts and countries with a lower probability are left out.
MIN_PROBABILITY = 0.005


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


def layouts_of(texts: Sequence[Decoded], index: FormatIndex) -> tuple[list[Layout], list[Country]]:
    """The layouts and countries of a picture, by probability, from all texts that were read in it.

    A format gives its texts the density of :mod:`.formats`. All countries are equally likely before a text is read, and
    the layouts of a country by their weights. Texts that the reader did not come across are taken to have the same
    layouts as those that it did.
    """
    shares = defaultdict[str, float](float)
    of_country = defaultdict[str, float](float)
    for each in index.formats:
        of_country[each.country] += each.weight
    # The density at which the prior of a format is that of no format.
    other = math.exp(-BONUS / STRENGTH) if index.others else 0.0
    total = sum(text.probability for text in texts)
    known = {each.name: each for each in index.formats}
    for text in texts:
        densities = defaultdict[str, float](float)
        for form in index.forms_of(text.numbers):
            weight = form.format.weight / of_country[form.format.country] / len(of_country)
            densities[form.format.name] += weight * math.exp(form.density)
        if total and densities:
            part = text.probability / total / (sum(densities.values()) + other)
            for name, density in densities.items():
                shares[name] += part * density
    countries = defaultdict[str, float](float)
    for name, share in shares.items():
        countries[known[name].country] += share
    names = {each.country: each.country_name for each in index.formats}
    return (
        [Layout(name, known[name].title, share) for name, share in _shown(shares)],
        [Country(code, names[code], share) for code, share in _shown(countries)],
    )


def _shown(shares: dict[str, float]) -> list[tuple[str, float]]:
    """The names with their probabilities, the most probable first, without those below MIN_PROBABILITY."""
    shown = [(name, min(share, 1.0)) for name, share in shares.items() if share >= MIN_PROBABILITY]
    return sorted(shown, key=lambda each: -each[1])
