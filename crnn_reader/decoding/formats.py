"""Formats as knowledge about texts: which texts they allow, how probable each text is, and whose plates it fits.

All formats together are compiled to one deterministic automaton. Its states are not stored: a state is the set of
sequences (:class:`crnn_reader.formats.Sequence`) that begin with the characters so far, as the bits of an integer. The
next character is one `&` with the set of the sequences that have it at that place. The automaton of all layouts would
have 28,000 states and a million edges.

The prior of a text is that of its most probable format, relative to a text of the same length without any known format:

    max(1, min(exp(MAX_BONUS), exp(BONUS) * density ** STRENGTH))
    density = weight * share / texts * COMMON_CHARACTERS ** length

A sequence has `share` of the probability of its format, and `texts` texts. So a narrow format raises the probability of
its texts more than one that allows nearly everything. The power makes up for what the network itself has learnt about
formats in training, and for frequencies on the road that are not known. The maximum spares most pictures a search.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..alphabet import Alphabet
from ..errors import UserError
from ..formats import SEPARATORS, Format, sequences_of
from .automaton import MAX_EDGES, MAX_STATES, Automaton
from .search import IMPOSSIBLE

#: Parameters of the prior, found on generated plates and real plates of four sets (docs/plates.md): they read best at a
#: strength of 0.3 to 0.5 and a bonus of 2 or more.
STRENGTH, BONUS, MAX_BONUS = 0.4, 2.0, 3.5
#: Number of characters that plates without a known format are made of: letters and digits.
COMMON_CHARACTERS = 36


class Form(NamedTuple):
    """A sequence of a format, as class numbers."""

    format: Format
    #: The probability of each of its texts, relative to a random text of its length. All countries are equally likely.
    density: float
    #: The separators and row breaks before each character, and after the last one.
    signs: tuple[str, ...]


class FormatIndex:
    """The formats of a model, compiled for an alphabet. State 0 means that no format allows the text so far.

    Arguments:
        formats: the formats.
        alphabet: the characters of the model. A separator that is one of them is a character of the texts.
        others: whether texts without a format are possible, too.
    """

    def __init__(self, formats: Sequence[Format], alphabet: str, others: bool = True) -> None:
        self.others = others
        #: Formats none of whose texts the alphabet can write.
        self.unwritable = list[Format]()
        total, reduction = sum(each.weight for each in formats), _Reduction(alphabet)
        countries = defaultdict[str, float](float)
        for each in formats:
            countries[each.country] += each.weight
        forms: dict[tuple[str, ...], list[Form]] = defaultdict(list)
        weights: dict[tuple[str, ...], float] = {}
        for each in formats:
            writable = False
            for pattern in each.patterns:
                for sequence in sequences_of(pattern):
                    places, signs = reduction.of(sequence.places, sequence.signs)
                    if not all(places):
                        continue
                    writable = True
                    share = sequence.share / len(each.patterns)
                    density = math.log(share) - sum(math.log(len(place) / COMMON_CHARACTERS) for place in places)
                    in_all = each.weight / countries[each.country] / len(countries)
                    forms[places].append(Form(each, in_all * math.exp(density), signs))
                    weight = BONUS + STRENGTH * (math.log(each.weight / total) + density)
                    weights[places] = max(min(weight, MAX_BONUS), weights.get(places, IMPOSSIBLE))
            if not writable:
                self.unwritable.append(each)
        self.formats = [each for each in formats if each not in self.unwritable]
        ordered = sorted(forms, key=lambda places: -weights[places])
        self.forms = [forms[places] for places in ordered]
        #: The logarithm of the prior of the texts of each sequence, descending: the lowest bit of a state is its best.
        self._weights = [max(weights[places], 0.0) if others else weights[places] for places in ordered]
        self.longest = max(map(len, ordered), default=0)
        #: The state before the first character.
        self.start = (1 << len(ordered)) - 1
        self._following, self._ending = _bits(ordered, self.longest, Alphabet(alphabet))

    def step(self, state: int, place: int, number: int) -> int:
        """The state after a character at a place, from 0."""
        return state & self._following[place].get(number, 0) if state and place < self.longest else 0

    def state(self, text: Sequence[int]) -> int:
        """The state after a text, given as class numbers."""
        state = self.start
        for place, number in enumerate(text):
            state = self.step(state, place, number)
        return state

    def weight(self, state: int, length: int) -> float:
        """The logarithm of the prior of a text that ends in `state`. IMPOSSIBLE if it is not allowed."""
        return self.bound(state & self._ending[length] if length <= self.longest else 0)

    def bound(self, state: int) -> float:
        """The maximum of :meth:`weight` for texts that continue in `state`."""
        if not state:
            return 0.0 if self.others else IMPOSSIBLE
        return self._weights[(state & -state).bit_length() - 1]

    def forms_of(self, text: Sequence[int]) -> list[Form]:
        """The forms of a text, of all formats."""
        state, found = self.state(text), list[Form]()
        state &= self._ending[len(text)] if len(text) <= self.longest else 0
        while state:
            found += self.forms[(state & -state).bit_length() - 1]
            state &= state - 1
        return found

    def automaton(self, classes: int) -> Automaton:
        """An automaton that accepts the texts of all formats. Raises UserError if it would be too large."""
        alike = [_alike(numbers) for numbers in self._following]
        states, edges = {(self.start, 0): 0}, 0
        following: list[list[tuple[list[int], int]]] = []
        for state, place in (waiting := list(states)):
            after = []
            for allowed, numbers in alike[place] if place < self.longest else ():
                if reached := state & allowed:
                    key = (reached, place + 1)
                    if key not in states:
                        states[key] = len(states)
                        waiting.append(key)
                    after.append((numbers, states[key]))
                    edges += len(numbers)
            following.append(after)
            if len(states) > MAX_STATES or edges > MAX_EDGES:
                raise UserError("the layouts have too many different texts: choose fewer of them", "layouts")
        offsets, characters, targets = [0], list[int](), list[int]()
        for after in following:
            ordered = sorted((number, target) for numbers, target in after for number in numbers)
            characters += [number for number, _ in ordered]
            targets += [target for _, target in ordered]
            offsets.append(len(characters))
        return Automaton(
            classes,
            np.array(offsets),
            np.array(characters, np.int32),
            np.array(targets, np.int32),
            np.array([bool(state & self._ending[place]) for state, place in states]),
        )


def writable(formats: Sequence[Format], alphabet: str) -> list[Format]:
    """The formats that have texts of an alphabet."""
    return FormatIndex(formats, alphabet).formats


class _Reduction:
    """Reduces sequences to an alphabet: without other characters, and with its separators among the characters."""

    def __init__(self, alphabet: str) -> None:
        self._separators = set(SEPARATORS) & set(alphabet)
        self._alphabet = set(alphabet)
        self._reduced: dict[str, str] = {}

    def of(self, places: tuple[str, ...], signs: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        if self._separators.intersection("".join(signs)):
            places, signs = self._with_separators(places, signs)
        return tuple(map(self._place, places)), signs

    def _place(self, characters: str) -> str:
        if characters not in self._reduced:
            self._reduced[characters] = "".join(each for each in characters if each in self._alphabet)
        return self._reduced[characters]

    def _with_separators(
        self, places: tuple[str, ...], signs: tuple[str, ...]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        read, between = list[str](), [""]
        for before, place in zip(signs, (*places, ""), strict=True):
            for each in before:
                if each in self._separators:
                    read.append(each)
                    between.append("")
                else:
                    between[-1] += each
            if place:
                read.append(place)
                between.append("")
        return tuple(read), tuple(between)


def _bits(ordered: list[tuple[str, ...]], longest: int, alphabet: Alphabet) -> tuple[list[dict[int, int]], list[int]]:
    """For each place, the sequences that have a class number there; for each length, those of this length."""
    rows: dict[tuple[int, str], list[int]] = defaultdict(list)
    lengths: list[list[int]] = [[] for _ in range(longest + 1)]
    for row, places in enumerate(ordered):
        lengths[len(places)].append(row)
        for place, characters in enumerate(places):
            rows[place, characters].append(row)
    found: list[dict[int, int]] = [{} for _ in range(longest)]
    for (place, characters), having in rows.items():
        bits = _integer(having, len(ordered))
        for number in alphabet.encode(characters):
            found[place][number] = found[place].get(number, 0) | bits
    return found, [_integer(having, len(ordered)) for having in lengths]


def _integer(having: list[int], count: int) -> int:
    """The integer of `count` bits in which those of the rows `having` are set."""
    bits = np.zeros(count, bool)
    bits[having] = True
    return int.from_bytes(np.packbits(bits, bitorder="little").tobytes(), "little")


def _alike(following: dict[int, int]) -> list[tuple[int, list[int]]]:
    """Group the class numbers that the same sequences have at a place."""
    groups: dict[int, list[int]] = defaultdict(list)
    for number, allowed in following.items():
        groups[allowed].append(number)
    return list(groups.items())
