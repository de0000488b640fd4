"""Score readings: every figure of the kit comes from :func:`score`.

Texts are compared by characters (Unicode code points). The number of edits is Levenshtein's distance: each replaced,
missing or added character counts 1.
"""

from __future__ import annotations

import logging
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cli.progress import progress
from cli.remarks import ImageRemarks
from crnn_reader.errors import UserError
from crnn_reader.sources import MISSING
from crnn_reader.trained_sizes import crops_expected
from model.comparison import accepts, capitals

if TYPE_CHECKING:
    from crnn_reader.reader import Reader, Reading

logger = logging.getLogger(__name__)

#: Quantile of the normal distribution for 95 % intervals.
Z_95 = 1.959964

#: Maximum length of lists of confusions and of pictures. Counts include the others.
MAX_LISTED = 48

RELIABILITY_BINS = 10
#: Approximate number of points on the curve of coverage.
MAX_POINTS_DRAWN = 200
#: The accuracy of accepted readings that users of a gate or a form ask for.
SURE = 0.995

Interval = tuple[float, float]


@dataclass(frozen=True)
class LengthScore:
    """Scores of the pictures whose true text has `length` characters."""

    length: int
    images: int
    exact_match: float
    exact_match_interval: Interval
    character_error_rate: float


@dataclass(frozen=True)
class Confusion:
    """A character that was read as another one `count` times. `read` is "" if it is missing, `truth` if it was added.

    `occurrences` is how often the character is in the true texts; for an added one, their number of characters.
    """

    truth: str
    read: str
    count: int
    occurrences: int


@dataclass(frozen=True)
class Mistake:
    """A picture that was read wrongly; `character_error_rate` is that of this picture."""

    name: str
    truth: str
    text: str
    probability: float
    character_error_rate: float


@dataclass(frozen=True)
class ReliabilityBin:
    """Pictures with a probability in [low, high): their number, mean probability and exact match."""

    low: float
    high: float
    images: int
    probability: float
    exact_match: float
    exact_match_interval: Interval


@dataclass(frozen=True)
class OperatingPoint:
    """The effect of accepting only readings with at least this `probability`.

    `images` pictures are accepted, a `share` of all pictures that were read. `exact_match` is the share of them that is
    right.
    """

    probability: float
    share: float
    images: int
    exact_match: float
    exact_match_interval: Interval

    def __str__(self) -> str:
        if not self.images:
            return "none of the pictures"
        low, high = self.exact_match_interval
        return (
            f"{self.share:.2%} ({self.images:,}) of the pictures, of which {self.exact_match:.2%} are right "
            f"(95 % interval {low:.2%} to {high:.2%})"
        )


NOTHING = OperatingPoint(1.0, 0.0, 0, 0.0, (0.0, 1.0))


@dataclass(frozen=True)
class AcceptedNegatives:
    """The negatives whose reading has at least this `probability`: their number, and their share of all negatives."""

    probability: float
    images: int
    share: float
    share_interval: Interval


@dataclass(frozen=True)
class Negatives:
    """Readings of pictures that show nothing to read. Those read as empty are right, the others can be accepted."""

    images: int
    empty: int
    empty_share: float
    empty_share_interval: Interval
    #: At the probabilities of `Scores.sure` and `Scores.accepted`.
    accepted: tuple[AcceptedNegatives, ...]
    #: Number of negatives that could not be read and are not among `images`.
    unreadable: int = 0


@dataclass(frozen=True)
class Scores:
    """Scores of many pictures. Rates are from 0 to 1; only a character error rate may be higher."""

    #: Number of pictures that were read. All rates are of these.
    images: int
    #: Number of pictures that could not be read.
    unreadable: int
    #: Number of pictures whose whole text is right.
    exact: int
    exact_match: float
    #: 95 % interval of `exact_match` (Wilson 1927).
    exact_match_interval: Interval
    #: Edits in all pictures, divided by the true characters in all pictures.
    character_error_rate: float
    #: Accuracy position by position, as in CRNN-Keras: see :func:`letter_accuracy`.
    letter_accuracy: float
    #: Expected calibration error over `reliability` (Guo et al. 2017, "On Calibration of Modern Neural Networks").
    calibration_error: float
    per_length: tuple[LengthScore, ...]
    #: The most frequent first.
    confusions: tuple[Confusion, ...]
    #: The worst first: highest character error rate, then highest probability.
    worst: tuple[Mistake, ...]
    #: The surest first. A sure mistake is often a wrong label.
    surest: tuple[Mistake, ...]
    reliability: tuple[ReliabilityBin, ...]
    #: From only the surest readings to all of them: the risk-coverage curve (El-Yaniv and Wiener 2010).
    coverage: tuple[OperatingPoint, ...]
    #: The most readings of which SURE are right, with the probability rounded down; None if not even the surest are.
    sure: OperatingPoint | None
    #: At the minimum probability that was asked for; None without one.
    accepted: OperatingPoint | None
    #: Scores of pictures that show nothing to read, which are in none of the other figures.
    negatives: Negatives | None = None

    def to_dict(self) -> dict[str, Any]:
        """The scores as JSON values by name: `images`, `exact_match`, `character_error_rate` …"""
        return asdict(self)

    def __str__(self) -> str:
        low, high = self.exact_match_interval
        return (
            f"exact match {self.exact_match:.2%} ({self.exact:,} of {self.images:,}; "
            f"95 % interval {low:.2%} to {high:.2%}), "
            f"letter accuracy {self.letter_accuracy:.2%}, character error rate {self.character_error_rate:.2%}"
            + (f"; accepted {self.accepted}" if self.accepted else "")
        )


def with_negatives(scores: Scores, texts: Sequence[str], probabilities: Sequence[float], unreadable: int = 0) -> Scores:
    """Add the readings of pictures that show nothing to read: their texts, and the probabilities of these.

    `unreadable` is the number of such pictures that could not be read and are not in the other arguments.
    """
    images, empty = len(texts), list(texts).count("")
    accepted = []
    for point in filter(None, (scores.sure, scores.accepted)):
        pairs = zip(texts, probabilities, strict=True)
        count = sum(accepts(text, probability, point.probability) for text, probability in pairs)
        accepted.append(AcceptedNegatives(point.probability, count, _rate(count, images), wilson(count, images)))
    negatives = Negatives(images, empty, _rate(empty, images), wilson(empty, images), tuple(accepted), unreadable)
    return replace(scores, negatives=negatives)


class Labelled(Protocol):
    """A picture file and its label."""

    @property
    def path(self) -> str: ...
    @property
    def label(self) -> str: ...


def read_and_score(
    reader: Reader,
    labelled: Sequence[Labelled],
    ignore_case: bool = False,
    min_probability: float | None = None,
    warnings: bool = True,
) -> tuple[Scores, float]:
    """Read labelled pictures as :func:`read_labelled` does. Returns their scores, and the seconds of reading."""
    started = time.perf_counter()
    read = read_labelled(reader, labelled, warnings)
    seconds = time.perf_counter() - started
    return score_read(read, len(labelled) - len(read), ignore_case, min_probability), seconds


def read_labelled(
    reader: Reader, labelled: Sequence[Labelled], warnings: bool = True, model: str | None = None
) -> list[tuple[Labelled, Reading]]:
    """Read labelled pictures. Returns those that can be read, each with its reading.

    Arguments:
        warnings: whether to log which pictures cannot be read or are unusual.
        model: name of the model in these messages; by default its path.

    Raises UserError if no picture can be read.
    """
    read, faults, unlike = list[tuple[Labelled, "Reading"]](), [], []
    remarks = ImageRemarks(reader.options)
    with progress("reading", len(labelled)) as advance:
        for sample, reading in zip(labelled, reader.read(sample.path for sample in labelled), strict=True):
            advance(1)
            if reading.error is None:
                read.append((sample, reading))
                if reading.unlike_training:
                    unlike.append(sample.path)
                remarks.add(sample.path, reading.single_colour, reading.frames)
                continue
            faults.append(f"{sample.path}: {reading.error}")
            if warnings:
                logger.warning(faults[-1])
    if not read:
        absent = all(fault.endswith(f": {MISSING}") for fault in faults)
        remedy = "say where the paths of the list start" if absent else "give others"
        message = f"none of the {len(labelled):,} pictures can be read (first {faults[0]}): {remedy}"
        raise UserError(message, "root" if absent else None)
    if unlike and warnings:
        logger.warning(crops_expected(reader.config, model or str(reader.path), len(unlike), unlike[0]))
    for remark in remarks.sentences() if warnings else ():
        logger.warning(remark)
    return read


def score_read(
    read: Sequence[tuple[Labelled, Reading]],
    unreadable: int = 0,
    ignore_case: bool = False,
    min_probability: float | None = None,
) -> Scores:
    """:func:`score` of the result of :func:`read_labelled`, which left out `unreadable` pictures."""
    return score(
        [sample.label for sample, _ in read],
        [reading.text for _, reading in read],
        [reading.probability for _, reading in read],
        [sample.path for sample, _ in read],
        ignore_case,
        unreadable=unreadable,
        min_probability=min_probability,
    )


def score(
    truths: Sequence[str],
    texts: Sequence[str],
    probabilities: Sequence[float],
    names: Sequence[str],
    ignore_case: bool = False,
    unreadable: int = 0,
    min_probability: float | None = None,
) -> Scores:
    """Compare texts with true texts, picture by picture.

    Arguments:
        truths: the true text of each picture.
        texts: the text that was read in each picture.
        probabilities: of the texts, 0 to 1.
        names: of the pictures.
        ignore_case: compare texts, and list confusions, in capitals.
        unreadable: number of pictures that could not be read and are not in the other arguments.
        min_probability: minimum probability of accepted readings.

    Without any picture, all rates are 0 and the intervals are (0, 1).
    """
    from rapidfuzz.distance import Levenshtein

    images = len(truths)
    if ignore_case:
        truths, texts = [capitals(text) for text in truths], [capitals(text) for text in texts]
    edits = np.fromiter(map(Levenshtein.distance, truths, texts), np.int64, images)
    lengths = np.fromiter(map(len, truths), np.int64, images)
    sure = np.asarray(probabilities, np.float64).reshape(images)
    wrong = np.flatnonzero(edits)

    def mistakes(order: np.ndarray) -> tuple[Mistake, ...]:
        return tuple(
            Mistake(names[row], truths[row], texts[row], float(sure[row]), _rate(edits[row], max(1, lengths[row])))
            for row in wrong[order][:MAX_LISTED].tolist()
        )

    reliability = tuple(_reliability(sure, edits == 0))
    points = _operating_points(sure, edits == 0, np.array([bool(text) for text in texts], bool))
    sure_enough = [point for point in points if point.exact_match >= SURE]
    errors = (bin.images * abs(bin.probability - bin.exact_match) for bin in reliability)
    exact = images - len(wrong)
    return Scores(
        images=images,
        unreadable=unreadable,
        exact=exact,
        exact_match=_rate(exact, images),
        exact_match_interval=wilson(exact, images),
        character_error_rate=_rate(edits.sum(), lengths.sum()),
        letter_accuracy=letter_accuracy(truths, texts),
        calibration_error=_rate(sum(errors), images),
        per_length=tuple(_per_length(lengths, edits)),
        confusions=_confusions(truths, [(truths[row], texts[row]) for row in wrong.tolist()]),
        worst=mistakes(np.lexsort((-sure[wrong], -edits[wrong] / np.maximum(1, lengths[wrong])))),
        surest=mistakes(np.argsort(-sure[wrong], kind="stable")),
        reliability=reliability,
        coverage=tuple(points[::-1][:: max(1, len(points) // MAX_POINTS_DRAWN)][::-1]),
        sure=_rounded(points, max(sure_enough, key=lambda point: point.images, default=None)),
        accepted=None if min_probability is None else _at(points, min_probability),
    )


def letter_accuracy(truths: Sequence[str], texts: Sequence[str]) -> float:
    """Characters that are equal at equal positions, divided by the length of the longer of truth and text.

    Both are summed over all pictures. CRNN-Keras prints this figure. A missing character makes all characters after it
    wrong, unlike in the character error rate.
    """
    pairs = list(zip(truths, texts, strict=True))
    equal = sum(sum(map(str.__eq__, truth, text)) for truth, text in pairs)
    return _rate(equal, sum(max(len(truth), len(text)) for truth, text in pairs))


def wilson(successes: int, trials: int) -> Interval:
    """95 % interval of a rate (Wilson 1927, "Probable inference"); (0, 1) without trials."""
    if not trials:
        return 0.0, 1.0
    rate, z2 = successes / trials, Z_95**2 / trials
    centre = (rate + z2 / 2) / (1 + z2)
    half = math.sqrt(rate * (1 - rate) * z2 + z2**2 / 4) / (1 + z2)
    # At 0 and 1 the formula is exact, but not in floating point.
    return (max(0.0, centre - half) if successes else 0.0), (min(1.0, centre + half) if successes < trials else 1.0)


def _rate(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _per_length(lengths: np.ndarray, edits: np.ndarray) -> list[LengthScore]:
    scores = []
    for length in np.unique(lengths):
        of_length = edits[lengths == length]
        images, exact = len(of_length), int((of_length == 0).sum())
        error_rate = _rate(of_length.sum(), length * images)
        scores.append(LengthScore(int(length), images, exact / images, wilson(exact, images), error_rate))
    return scores


def _confusions(truths: Sequence[str], wrong: list[tuple[str, str]]) -> tuple[Confusion, ...]:
    from rapidfuzz.distance import Levenshtein

    occurrences: Counter[str] = Counter()
    for truth in truths:
        occurrences.update(truth)
    pairs: Counter[tuple[str, str]] = Counter()
    for truth, text in wrong:
        for edit in Levenshtein.editops(truth, text):
            character = "" if edit.tag == "insert" else truth[edit.src_pos]
            pairs[character, "" if edit.tag == "delete" else text[edit.dest_pos]] += 1
    total = occurrences.total()
    # Sorted by character among equally frequent ones, so that the same readings give the same report.
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MAX_LISTED]
    return tuple(Confusion(*pair, count, occurrences[pair[0]] if pair[0] else total) for pair, count in ordered)


def _reliability(probabilities: np.ndarray, right: np.ndarray) -> list[ReliabilityBin]:
    """Bins of equal width, without empty ones. The last bin includes 1."""
    rows = np.clip((probabilities * RELIABILITY_BINS).astype(int), 0, RELIABILITY_BINS - 1)
    bins = []
    for row in np.unique(rows):
        inside = rows == row
        images, exact = int(inside.sum()), int(right[inside].sum())
        low, high = row / RELIABILITY_BINS, (row + 1) / RELIABILITY_BINS
        mean = float(probabilities[inside].mean())
        bins.append(ReliabilityBin(float(low), float(high), images, mean, exact / images, wilson(exact, images)))
    return bins


def _operating_points(probabilities: np.ndarray, right: np.ndarray, read: np.ndarray) -> list[OperatingPoint]:
    """An operating point for each probability, the highest first. Pictures that are not `read` are never accepted."""
    order = np.argsort(-np.where(read, probabilities, -1), kind="stable")[: read.sum()]
    ordered, exact = probabilities[order], np.cumsum(right[order])
    last = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) if len(order) else order
    return [
        OperatingPoint(
            float(ordered[row]),
            (row + 1) / len(probabilities),
            row + 1,
            float(exact[row] / (row + 1)),
            wilson(int(exact[row]), row + 1),
        )
        for row in last.tolist()
    ]


def _rounded(points: list[OperatingPoint], one: OperatingPoint | None) -> OperatingPoint | None:
    """`one` of `points` with the shortest probability that accepts the same readings, because users type it."""
    if one is None:
        return None
    below = max((point.probability for point in points if point.probability < one.probability), default=-1.0)
    least = (math.floor(one.probability * 10**digits) / 10**digits for digits in range(2, 16))
    return replace(
        one, probability=next((short for short in least if below < short <= one.probability), one.probability)
    )


def _at(points: list[OperatingPoint], min_probability: float) -> OperatingPoint:
    """The operating point at `min_probability`."""
    accepted = [point for point in points if point.probability >= min_probability]
    return replace(accepted[-1] if accepted else NOTHING, probability=min_probability)


def unknown_characters(labels: Sequence[str], alphabet: str, ignore_case: bool = False) -> str | None:
    """A message about labels with characters that are not in `alphabet`; None if there are none."""
    known = set(alphabet + alphabet.upper() + alphabet.lower() if ignore_case else alphabet)
    unreadable = [set(label) - known for label in labels if not known.issuperset(label)]
    if not unreadable:
        return None
    unknown = " ".join("space" if each == " " else each for each in sorted(set().union(*unreadable)))
    count = "1 label has" if len(unreadable) == 1 else f"{len(unreadable):,} labels have"
    return f"{count} characters that the model cannot read: {unknown}"
