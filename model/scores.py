"""How well texts were read: every figure of the kit comes from :func:`score`.

Texts are compared character by character (Unicode code points). Edits are those of Levenshtein's distance:
a character replaced, left out or added counts one.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cli.messages import warn
from cli.progress import progress
from cli.remarks import ImageRemarks
from crnn_reader.errors import UserError
from crnn_reader.sources import MISSING
from crnn_reader.trained_sizes import crops_expected
from model.comparison import capitals

if TYPE_CHECKING:
    from crnn_reader.reader import Reader, Reading

#: Quantile of the normal distribution for intervals that hold the true value 95 times in 100.
Z_95 = 1.959964

#: Longest lists of confusions and of pictures; what lies behind is in the counts.
MOST_LISTED = 48

RELIABILITY_BINS = 10
#: Points of the curve of coverage.
MOST_DRAWN = 200
#: What users of a gate or a form ask for: so many of the accepted readings right.
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
    """A character read as another one `count` times; an empty `read` is left out, an empty `truth` is added.

    `occurrences` is how often the true texts have the character (for an added one: all their characters).
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
    """Pictures whose probability lies in [low, high): what was promised and what was kept."""

    low: float
    high: float
    images: int
    probability: float
    exact_match: float
    exact_match_interval: Interval


@dataclass(frozen=True)
class OperatingPoint:
    """What comes of it when only readings of at least `probability` are accepted.

    `share` of all pictures that were read are, namely `images`; `exact_match` of those are right.
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
class Scores:
    """Scores of many pictures. All rates lie between 0 and 1, but for a character error rate with many additions."""

    #: Pictures that were read; the rates are over these alone.
    images: int
    #: Pictures left out because they could not be read.
    unreadable: int
    #: Pictures of which the whole text is right.
    exact: int
    exact_match: float
    #: 95 % interval of `exact_match` (Wilson 1927).
    exact_match_interval: Interval
    #: Edits of all pictures over true characters of all pictures.
    character_error_rate: float
    #: Position by position, as CRNN-Keras has it: see :func:`letter_accuracy`.
    letter_accuracy: float
    #: Expected distance between probability and exact match (Guo et al. 2017, over `reliability`).
    calibration_error: float
    per_length: tuple[LengthScore, ...]
    #: The most frequent first.
    confusions: tuple[Confusion, ...]
    #: The worst first: highest character error rate, then highest probability.
    worst: tuple[Mistake, ...]
    #: The surest first. A sure mistake is often a wrong label.
    surest: tuple[Mistake, ...]
    reliability: tuple[ReliabilityBin, ...]
    #: From the surest readings alone to all of them: risk against coverage (El-Yaniv and Wiener 2010).
    coverage: tuple[OperatingPoint, ...]
    #: The most readings of which SURE are right, its probability rounded down; None where not even the surest are.
    sure: OperatingPoint | None
    #: At the least probability asked for; None where none is.
    accepted: OperatingPoint | None

    def to_dict(self) -> dict[str, Any]:
        """As JSON knows it, the shortest names first: `images`, `exact_match`, `character_error_rate`, …"""
        return asdict(self)

    def __str__(self) -> str:
        low, high = self.exact_match_interval
        return (
            f"exact match {self.exact_match:.2%} ({self.exact:,} of {self.images:,}; "
            f"95 % interval {low:.2%} to {high:.2%}), "
            f"letter accuracy {self.letter_accuracy:.2%}, character error rate {self.character_error_rate:.2%}"
            + (f"; accepted {self.accepted}" if self.accepted else "")
        )


class Labelled(Protocol):
    """A picture whose text is known."""

    @property
    def path(self) -> str: ...
    @property
    def label(self) -> str: ...


def read_and_score(
    reader: Reader,
    labelled: Sequence[Labelled],
    ignore_case: bool = False,
    min_probability: float | None = None,
    tell: bool = True,
) -> tuple[Scores, float]:
    """:func:`score` of what `reader` reads of labelled pictures, and the seconds that the reading took.

    Those that cannot be read are left out; see :func:`read_labelled`.
    """
    started = time.perf_counter()
    read = read_labelled(reader, labelled, tell)
    seconds = time.perf_counter() - started
    return score_read(read, len(labelled) - len(read), ignore_case, min_probability), seconds


def read_labelled(reader: Reader, labelled: Sequence[Labelled], tell: bool = True) -> list[tuple[Labelled, Reading]]:
    """Labelled pictures that can be read, and what `reader` reads of them.

    With `tell` the others are named on stderr. Raises UserError where none can be read.
    """
    read, faults, far = list[tuple[Labelled, "Reading"]](), [], []
    remarks = ImageRemarks(reader.options)
    with progress("reading", len(labelled)) as advance:
        for sample, reading in zip(labelled, reader.read(sample.path for sample in labelled), strict=True):
            advance(1)
            if reading.error is None:
                read.append((sample, reading))
                if reading.far:
                    far.append(sample.path)
                remarks.see(sample.path, reading.plain, reading.frames)
                continue
            faults.append(f"{sample.path}: {reading.error}")
            if tell:
                warn(faults[-1])
    if not read:
        absent = all(fault.endswith(f": {MISSING}") for fault in faults)
        remedy = "say with --root where the paths of the list start" if absent else "give others"
        raise UserError(f"none of the {len(labelled):,} pictures can be read (first {faults[0]}): {remedy}")
    if far and tell:
        warn(crops_expected(reader.config, str(reader.path), len(far), far[0]))
    for remark in remarks.sentences() if tell else ():
        warn(remark)
    return read


def score_read(
    read: Sequence[tuple[Labelled, Reading]],
    unreadable: int = 0,
    ignore_case: bool = False,
    min_probability: float | None = None,
) -> Scores:
    """:func:`score` of what :func:`read_labelled` gave; `unreadable` counts the pictures that it left out."""
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
    """Compare what was read with what is true, picture by picture; the four sequences have one length.

    With `ignore_case` both sides are compared, and shown among the confusions, in capitals. Without any
    picture all rates are 0 and the intervals are the whole of 0 to 1.
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
            for row in wrong[order][:MOST_LISTED].tolist()
        )

    reliability = tuple(_reliability(sure, edits == 0))
    answers = _answers(sure, edits == 0, np.array([bool(text) for text in texts], bool))
    sure_enough = [answered for answered in answers if answered.exact_match >= SURE]
    promised_and_kept = (bin.images * abs(bin.probability - bin.exact_match) for bin in reliability)
    exact = images - len(wrong)
    return Scores(
        images=images,
        unreadable=unreadable,
        exact=exact,
        exact_match=_rate(exact, images),
        exact_match_interval=wilson(exact, images),
        character_error_rate=_rate(edits.sum(), lengths.sum()),
        letter_accuracy=letter_accuracy(truths, texts),
        calibration_error=_rate(sum(promised_and_kept), images),
        per_length=tuple(_per_length(lengths, edits)),
        confusions=_confusions(truths, [(truths[row], texts[row]) for row in wrong.tolist()]),
        worst=mistakes(np.lexsort((-sure[wrong], -edits[wrong] / np.maximum(1, lengths[wrong])))),
        surest=mistakes(np.argsort(-sure[wrong], kind="stable")),
        reliability=reliability,
        coverage=tuple(answers[::-1][:: max(1, len(answers) // MOST_DRAWN)][::-1]),
        sure=_rounded(answers, max(sure_enough, key=lambda answered: answered.images, default=None)),
        accepted=None if min_probability is None else _at(answers, min_probability),
    )


def letter_accuracy(truths: Sequence[str], texts: Sequence[str]) -> float:
    """Equal characters at equal positions, over the longer of truth and text; both summed over all pictures.

    The "letter accuracy" that CRNN-Keras prints. A character left out early makes all behind it wrong, unlike in the
    character error rate.
    """
    pairs = list(zip(truths, texts, strict=True))
    equal = sum(sum(map(str.__eq__, truth, text)) for truth, text in pairs)
    return _rate(equal, sum(max(len(truth), len(text)) for truth, text in pairs))


def wilson(successes: int, trials: int) -> Interval:
    """95 % interval of a rate (Wilson 1927, "Probable inference"); (0, 1) when nothing was tried."""
    if not trials:
        return 0.0, 1.0
    rate, z2 = successes / trials, Z_95**2 / trials
    centre = (rate + z2 / 2) / (1 + z2)
    half = math.sqrt(rate * (1 - rate) * z2 + z2**2 / 4) / (1 + z2)
    # At 0 and 1 the formula is exact, its arithmetic is not.
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
    # Equally frequent ones in the order of their characters: the same readings give the same report.
    ordered = sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:MOST_LISTED]
    return tuple(Confusion(*pair, count, occurrences[pair[0]] if pair[0] else total) for pair, count in ordered)


def _reliability(probabilities: np.ndarray, right: np.ndarray) -> list[ReliabilityBin]:
    """Bins of equal width, those without pictures left out; the last one includes 1."""
    rows = np.clip((probabilities * RELIABILITY_BINS).astype(int), 0, RELIABILITY_BINS - 1)
    bins = []
    for row in np.unique(rows):
        inside = rows == row
        images, exact = int(inside.sum()), int(right[inside].sum())
        low, high = row / RELIABILITY_BINS, (row + 1) / RELIABILITY_BINS
        promised = float(probabilities[inside].mean())
        bins.append(ReliabilityBin(float(low), float(high), images, promised, exact / images, wilson(exact, images)))
    return bins


def _answers(probabilities: np.ndarray, right: np.ndarray, read: np.ndarray) -> list[OperatingPoint]:
    """What is right when ever less sure readings are accepted; those equally sure together, empty ones never."""
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


def _rounded(answers: list[OperatingPoint], one: OperatingPoint | None) -> OperatingPoint | None:
    """`one` of `answers` with the shortest probability that accepts the same readings: people type it."""
    if one is None:
        return None
    below = max((answer.probability for answer in answers if answer.probability < one.probability), default=-1.0)
    least = (math.floor(one.probability * 10**digits) / 10**digits for digits in range(2, 16))
    return replace(
        one, probability=next((short for short in least if below < short <= one.probability), one.probability)
    )


def _at(answers: list[OperatingPoint], min_probability: float) -> OperatingPoint:
    """What comes of accepting readings of at least `min_probability`."""
    answered = [answer for answer in answers if answer.probability >= min_probability]
    return replace(answered[-1] if answered else NOTHING, probability=min_probability)


def unknown_characters(labels: Sequence[str], alphabet: str, ignore_case: bool = False) -> str | None:
    """A sentence on labels that have characters which `alphabet` lacks; None where all can be read."""
    known = set(alphabet + alphabet.upper() + alphabet.lower() if ignore_case else alphabet)
    hopeless = [set(label) - known for label in labels if not known.issuperset(label)]
    if not hopeless:
        return None
    unknown = " ".join("space" if each == " " else each for each in sorted(set().union(*hopeless)))
    return f"{len(hopeless):,} labels have characters that the model cannot read: {unknown}"
