"""What pictures without labels seem to show, and how to read them."""

from __future__ import annotations

import functools
import itertools
import math
import string
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from cli.progress import Advance, progress
from crnn_reader import Constraint, Reader, Reading
from crnn_reader.alphabet import parse_alphabet
from crnn_reader.errors import UserError
from crnn_reader.image import read_image
from crnn_reader.model_files import WEIGHTS, locate_model, read_config
from dataset.contents import log_each
from dataset.inputs import inputs

#: Number of pictures that are read, spread evenly over the folder, and number of them that are read again for each set
#: of characters and by the other weights. A search takes long where nothing fits.
READ, AGAIN = 200, 50
#: A single length is suggested if this share of the texts has it, otherwise a range with this share of the texts.
ONE_LENGTH, RANGE = 0.85, 0.97
#: Share of all characters from which on a sign, such as `+`, is suggested.
SIGN = 0.01
#: Natural logarithm of the probability of a picture that no text explains, such as one that the network misreads.
UNEXPLAINED = -10.0
#: Nothing is suggested if no more than this share of the pictures has a text that is more probable than not.
FEW_SURE = 0.1
#: Kinds of characters: their range, and the characters.
KINDS = {"0-9": string.digits, "A-Z": string.ascii_uppercase, "a-z": string.ascii_lowercase}


class Summary(NamedTuple):
    """What readings say about the texts of pictures. Shares are weighted with the probabilities of the readings."""

    lengths: dict[int, float]  #: share of texts by number of characters, most frequent first
    characters: dict[str, float]  #: share of each character, most frequent first
    probability: float  #: mean probability of all readings
    sure: float  #: share of the readings with a probability above one half


@dataclass(frozen=True)
class Suggestion:
    """What pictures without labels seem to show."""

    pictures: int  #: number of all pictures
    readings: list[Reading]  #: of some pictures, those that can be read
    failed: list[str]  #: `path: reason` of the others among them
    found: Summary
    size: tuple[int, int]  #: median width and height in pixels
    #: Number of characters, or a range, and ranges of characters. Empty if the model is too unsure of the texts, or has
    #: formats of plates, which say more. `charset` is also empty for a model without all digits or all letters.
    length: str
    charset: str
    countries: dict[str, float]  #: shares of the countries of plates; empty for models without formats
    weights: dict[str, float]  #: mean probability of the readings by each shipped model, the highest first

    def sure_of(self) -> str:
        """How many texts are more probable than not, as the end of a sentence."""
        count = len(self.readings)
        return f"is sure of the text in {round(self.found.sure * count):,} of {count:,} pictures"


def suggest(
    path: str, model: str, max_pixels: int, *, frame: str | None = None, root: str | None = None, compare: bool = True
) -> Suggestion:
    """Read some of the pictures in a folder or list, and with `compare` also with all other shipped models.

    `frame` is the frame of animations to read, by default that of the model. `root` is the folder that the paths in
    lists are relative to.

    Raises UserError if there are none, or none can be read.
    """
    paths = [str(sample.path) for sample in inputs([path], (), root=root, labels=False)]
    if not paths:
        raise UserError(f"no pictures in {path}: give a folder or a list with pictures")
    places = np.linspace(0, len(paths) - 1, min(len(paths), READ)).round().astype(int)
    chosen = [paths[place] for place in places]
    fewer = chosen[:: -(-len(chosen) // AGAIN)]
    others = sorted(file.stem for file in WEIGHTS[0].glob("*.onnx")) if compare else []
    config = read_config(locate_model(model))
    sets = _charsets(config.alphabet) if not config.formats else []
    with progress("reading", len(chosen) * (1 + bool(sets)) + len(fewer) * (len(sets) + len(others))) as advance:
        read = functools.partial(_read, advance=advance, max_pixels=max_pixels, frame=frame)
        every = read(chosen, model)
        readings = [reading for reading in every if not reading.error]
        failed = [f"{reading.source!s}: {reading.error}" for reading in every if reading.error]
        log_each(failed, not readings)
        if not readings:
            raise UserError(f"none of {len(every):,} pictures in {path} can be read: give other pictures")
        found = summary(readings)
        weights = {name: summary(read(fewer, name)).probability for name in others}
        charset = length = ""
        if found.sure > FEW_SURE and not config.formats:
            lengths = found.lengths
            if sets:
                charset = _charset(sets, functools.partial(read, fewer, model), found, config.alphabet)
                lengths = summary(read(chosen, model, charset=charset)).lengths or lengths
            length = _length(lengths)
    width, height = np.median([read_image(str(reading.source), 1).shape[1::-1] for reading in readings], axis=0)
    countries = defaultdict[str, float](float)
    for reading in readings:
        if reading.country:
            countries[reading.country] += reading.probability
    return Suggestion(
        len(paths),
        readings,
        failed,
        found,
        (int(width), int(height)),
        length,
        charset,
        shares_of(countries),
        dict(sorted(weights.items(), key=lambda item: -item[1])),
    )


def summary(readings: Sequence[Reading]) -> Summary:
    """Sum up the readings of pictures that could be read. Those without a text count as unsure."""
    readings = [reading for reading in readings if not reading.error]
    lengths, characters = defaultdict[int, float](float), defaultdict[str, float](float)
    for reading in readings:
        if reading.text:
            lengths[len(reading.text)] += reading.probability
        for character in reading.characters:
            characters[character.character] += reading.probability * character.probability
    return Summary(
        shares_of(lengths),
        shares_of(characters),
        sum(reading.probability for reading in readings) / max(1, len(readings)),
        sum(reading.probability > 0.5 for reading in readings) / max(1, len(readings)),
    )


def _read(
    paths: Sequence[str],
    model: str,
    *,
    advance: Advance,
    max_pixels: int,
    frame: str | None,
    charset: str | None = None,
) -> list[Reading]:
    readings = []
    reader = Reader(model, constraint=Constraint(charset=charset), max_pixels=max_pixels, frame=frame)
    for reading in reader.read(paths):
        readings.append(reading)
        advance(1)
    return readings


def shares_of(weights: Mapping[Any, float]) -> dict[Any, float]:
    """The weights divided by their sum, the largest first."""
    total = sum(weights.values()) or 1.0
    return {key: weights[key] / total for key in sorted(weights, key=weights.__getitem__, reverse=True)}


def _length(shares: dict[int, float]) -> str:
    most, share = next(iter(shares.items()))
    if share >= ONE_LENGTH:
        return str(most)
    low = high = most
    while sum(share for length, share in shares.items() if low <= length <= high) < RANGE:
        # The range grows on the side of the more frequent length.
        below = [length for length in shares if length < low]
        above = [length for length in shares if length > high]
        if not above or (below and shares[max(below)] >= shares[min(above)]):
            low = max(below)
        else:
            high = min(above)
    return f"{low}-{high}" if low < high else str(low)


def _charsets(alphabet: str) -> list[str]:
    """The sets of digits, capitals and small letters that an alphabet has."""
    kinds = [kind for kind in KINDS if set(KINDS[kind]) <= set(alphabet)]
    return ["".join(chosen) for count in range(1, 4) for chosen in itertools.combinations(kinds, count)]


def _charset(sets: Sequence[str], read: Callable[..., list[Reading]], found: Summary, alphabet: str) -> str:
    """The most probable of `sets`, if all texts of a set are equally likely (Bayes' rule), and signs that were read.

    A set of k characters gives a text of n characters the prior k**-n, so that a smaller set is more probable, unless
    the pictures contradict it. `read` reads pictures held to a `charset`.
    """
    signs = "".join(
        sorted(sign for sign, share in found.characters.items() if not kind_of(sign) and share >= SIGN and sign != "-")
    )
    # A hyphen between two characters would be a range.
    signs += "-" * (found.characters.get("-", 0.0) >= SIGN)
    length = sum(length * share for length, share in found.lengths.items())
    least = UNEXPLAINED - length * math.log(len(alphabet))

    def evidence(charset: str) -> float:
        prior = -length * math.log(len(parse_alphabet(charset)))
        texts = read(charset=charset)
        return sum(max(math.log(max(reading.probability, 1e-30)) + prior, least) for reading in texts)

    return max((kinds + signs for kinds in sets), key=evidence)


def kind_of(character: str) -> str | None:
    """The key of KINDS of a character."""
    return next((kind for kind, characters in KINDS.items() if character in characters), None)
