"""Maximum a posteriori decoding of CTC: the text with the highest probability times prior, see formats.py.

Most pictures need no search: no other text can have the prior to overtake a text that is nearly certain. For the others
a search over prefixes finds the best text, of all pictures of a batch together, one character after the other. The
probability of a prefix (Graves et al. 2006, "Connectionist Temporal Classification", section 3.2) times the highest
prior of its texts is an upper bound, so a prefix below the best text found can be dropped.

Formats say which texts are likely, not whether there is a text: the empty text keeps the probability that the network
gives it, and the other texts share the rest. With a prior on all texts, a picture without a text would be read as the
best format that it resembles. Where only texts of formats are allowed, the empty text is read only if the network gives
it more than half of the probability.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..alphabet import BLANK
from .formats import FormatIndex
from .search import FLOOR, IMPOSSIBLE, Logs

#: Maximum number of prefixes of a picture and length that are extended, and of all prefixes of a picture. Beyond these,
#: the least probable ones are dropped, and the text found is not proven to be the best. Plates need some dozen.
MAX_PREFIXES, MAX_EXPANDED = 100, 1_000
#: The same of the beam search that finds a first text.
BEAM = 8
#: Texts with less than this part of the best text's probability times prior do not change its posterior probability.
NEGLIGIBLE = 1e-4


class Weighed(NamedTuple):
    """A text with the logarithms of its posterior before normalisation, and of its probability without the prior."""

    score: float
    log_probability: float
    text: tuple[int, ...]


class Posterior(NamedTuple):
    """The texts of a picture by their posterior probability, highest first, and whether the first ones are proven."""

    texts: list[tuple[tuple[int, ...], float]]
    proven: bool


def weighed(text: tuple[int, ...], log_probability: float, index: FormatIndex) -> Weighed:
    """A text with its prior."""
    return Weighed(log_probability + index.weight(index.state(text), len(text)), log_probability, text)


def posteriors(
    log_probabilities: NDArray[np.floating], known: Sequence[Sequence[Weighed]], index: FormatIndex, top: int = 1
) -> list[Posterior]:
    """Find the texts of each picture with the highest posterior probabilities.

    Arguments:
        log_probabilities: float (batch, steps, classes), class 0 is the blank.
        known: texts of each picture, with their log-probabilities.
        index: the formats.
        top: number of texts that must be the best ones.
    """
    found = {row: (_possible(texts), True) for row, texts in enumerate(known)}
    empty = empty_probabilities(log_probabilities)
    # No text is as probable as an empty text with more than half of the probability.
    sought = [row for row in found if top > 1 or empty[row] <= 0.5]
    # A good text found by a beam search makes the exact search much faster.
    for most in (BEAM, MAX_PREFIXES):
        few = [row for row in sought if len(found[row][0]) < top]
        unsure = few if most == BEAM else [row for row in sought if not _is_certain(found[row][0], index, top)]
        if unsure:
            search = _Search(log_probabilities[unsure], [found[row][0] for row in unsure], index, top, most)
            found |= dict(zip(unsure, search.run(), strict=True))
    return [Posterior(normalised(texts, float(empty[row]), index), proven) for row, (texts, proven) in found.items()]


def empty_probabilities(log_probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """The probability of the empty text in each picture, (batch,)."""
    return np.exp(log_probabilities[:, :, BLANK].sum(axis=1, dtype=np.float64))


def _possible(texts: Sequence[Weighed]) -> list[Weighed]:
    """The texts that the formats allow, without the empty text, which keeps the probability of the network."""
    return [each for each in texts if each.score > FLOOR and each.text]


def _is_certain(texts: Sequence[Weighed], index: FormatIndex, top: int) -> bool:
    """Whether no other text can overtake the only known one, even with the best prior."""
    if top > 1 or len(texts) != 1:
        return False
    others = -math.expm1(min(texts[0].log_probability, 0.0))
    return others <= 0.0 or math.log(others) + index.bound(index.start) < texts[0].score


def normalised(texts: Sequence[Weighed], empty: float, index: FormatIndex) -> list[tuple[tuple[int, ...], float]]:
    """Normalise over the texts and all other texts together, whose prior is taken to be that of the best text.

    Arguments:
        texts: texts that were found.
        empty: probability of the empty text, which it keeps.
        index: the formats.

    Returns the texts that the formats allow with their posterior probabilities, highest first.
    """
    found = [((), empty)] if index.others or empty > 0.5 else list[tuple[tuple[int, ...], float]]()
    if known := sorted(_possible(texts), key=lambda each: -each.score):
        best = known[0].score - known[0].log_probability
        shares = [math.exp(each.score - best) for each in known]
        rest = max(0.0, 1.0 - sum(probability for _, probability in found))
        unfound = max(0.0, rest - sum(math.exp(each.log_probability) for each in known))
        total = sum(shares) + unfound
        found += [(each.text, rest * share / total) for each, share in zip(known, shares, strict=True)]
    return sorted(found, key=lambda each: -each[1])


class _Search:
    """A search in some pictures at once."""

    def __init__(
        self,
        log_probabilities: NDArray[np.floating],
        known: Sequence[Sequence[Weighed]],
        index: FormatIndex,
        top: int,
        most: int,
    ) -> None:
        """`most` is the maximum number of prefixes of a picture and length that are extended."""
        self._index, self._top, self._most = index, top, most
        self._found = [{each.text: each for each in texts} for texts in known]
        #: Log of the posterior, before normalisation, that a text must exceed.
        self._least = np.array([self._threshold(picture) for picture in range(len(known))])
        self._exact = np.ones(len(known), bool)
        self._expanded = np.zeros(len(known), int)
        # Only characters that may be in a text above the threshold. Shorter lists are padded with the blank.
        anywhere = np.exp(log_probabilities).sum(axis=1)
        needed = anywhere > np.exp(self._least - index.bound(index.start))[:, np.newaxis]
        needed[:, BLANK] = False
        most = max(1, needed.sum(axis=1).max())
        self._numbers = np.argsort(~needed, axis=1, kind="stable")[:, :most]
        padding = ~np.take_along_axis(needed, self._numbers, 1)[:, np.newaxis]
        emitted = np.take_along_axis(log_probabilities, self._numbers[:, np.newaxis], 2).astype(np.float64)
        self._logs: Logs = np.where(padding, FLOOR, np.maximum(emitted, FLOOR))
        self._emitted = np.where(padding, 0.0, np.exp(self._logs))
        # Cumulative sums over the columns, with an entry before the first column.
        blank = np.maximum(log_probabilities[:, :, BLANK].astype(np.float64), FLOOR)
        self._blanks = np.pad(np.cumsum(blank, axis=1), ((0, 0), (1, 0)))
        self._sums = np.pad(np.cumsum(self._logs, axis=1), ((0, 0), (1, 0), (0, 0)))

    def run(self) -> list[tuple[list[Weighed], bool]]:
        """Return the texts of each picture, and whether the best ones are proven."""
        pictures = np.arange(len(self._logs))
        blank = self._blanks
        character = np.full(blank.shape, IMPOSSIBLE)
        texts: list[tuple[int, ...]] = [()] * len(pictures)
        states, last = [self._index.start] * len(pictures), np.full(len(pictures), -1)
        while len(texts):
            parents, places, states = self._children(pictures, texts, states, last, blank, character)
            if not len(parents):
                break
            # A character can follow itself only after a blank.
            entered = np.where(
                (last[parents] == places)[:, np.newaxis],
                blank[parents, :-1],
                np.logaddexp(blank[parents, :-1], character[parents, :-1]),
            )
            pictures, last = pictures[parents], places
            blank, character = self._forward(pictures, places, entered)
            numbers = self._numbers[pictures, places]
            texts = [
                (*texts[parent], number) for parent, number in zip(parents.tolist(), numbers.tolist(), strict=True)
            ]
            ends = np.logaddexp(blank[:, -1], character[:, -1]).tolist()
            for picture, text, score, state in zip(pictures.tolist(), texts, ends, states, strict=True):
                self._keep(picture, text, score, state)
        return [(list(texts.values()), bool(exact)) for texts, exact in zip(self._found, self._exact, strict=True)]

    def _children(
        self,
        pictures: NDArray[np.int64],
        texts: list[tuple[int, ...]],
        states: list[int],
        last: NDArray[np.int64],
        blank: Logs,
        character: Logs,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
        """Extensions of the prefixes by a character whose bounds are above the threshold of their picture.

        Returns the prefix of each, the place of its character in `self._numbers`, and its state.
        """
        length = len(texts[0])
        either = np.exp(np.logaddexp(blank, character)[:, :-1])
        bounds = np.empty((len(texts), self._numbers.shape[1]))
        starts = np.flatnonzero(np.diff(pictures, prepend=-1))
        for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(texts)], strict=True):
            np.matmul(either[start:end], self._emitted[pictures[start]], out=bounds[start:end])
        if length:
            rows = np.arange(len(texts))
            bounds[rows, last] = (np.exp(blank[:, :-1]) * self._emitted[pictures, :, last]).sum(axis=1)
        with np.errstate(divide="ignore"):
            bounds = np.log(bounds)
        highest = np.array([self._index.bound(state) for state in states])
        rows, places = np.nonzero(bounds + highest[:, np.newaxis] > self._least[pictures][:, np.newaxis])
        parents, chosen, following, scores = list[int](), list[int](), list[int](), list[float]()
        for row, place, bound in zip(rows.tolist(), places.tolist(), bounds[rows, places].tolist(), strict=True):
            state = self._index.step(states[row], length, int(self._numbers[pictures[row], place]))
            score = bound + self._index.bound(state)
            if score > self._least[pictures[row]]:
                parents.append(row)
                chosen.append(place)
                following.append(state)
                scores.append(score)
        kept = self._best(pictures[parents], np.array(scores))
        return (
            np.array(parents, int)[kept],
            np.array(chosen, int)[kept],
            [following[each] for each in kept.tolist()],
        )

    def _best(self, pictures: NDArray[np.int64], scores: NDArray[np.float64]) -> NDArray[np.int64]:
        """The places of the prefixes of each picture with the highest bounds, as many as are extended."""
        counts = np.bincount(pictures, minlength=len(self._logs))
        most = np.clip(MAX_EXPANDED - self._expanded, 0, self._most)
        self._expanded += np.minimum(counts, most)
        if (counts <= most).all():
            return np.arange(len(pictures))
        self._exact &= counts <= most
        order = np.lexsort((-scores, pictures))
        ranks = np.arange(len(order)) - np.searchsorted(pictures[order], pictures[order])
        return np.sort(order[ranks < most[pictures[order]]])

    def _forward(self, pictures: NDArray[np.int64], places: NDArray[np.int64], entered: Logs) -> tuple[Logs, Logs]:
        """Forward variables of prefixes, as in search.py, float64 (prefixes, columns + 1) each.

        `entered` has the log-probabilities of the alignments before each column after which the characters come.
        """
        stays = self._sums[pictures, :, places]
        character = np.full(stays.shape, IMPOSSIBLE)
        entered = entered + self._logs[pictures, :, places]
        character[:, 1:] = np.logaddexp.accumulate(entered - stays[:, 1:], axis=1) + stays[:, 1:]
        blanks = self._blanks[pictures]
        blank = np.full(stays.shape, IMPOSSIBLE)
        blank[:, 1:] = np.logaddexp.accumulate(character[:, :-1] - blanks[:, :-1], axis=1) + blanks[:, 1:]
        return blank, character

    def _keep(self, picture: int, text: tuple[int, ...], log_probability: float, state: int) -> None:
        score = log_probability + self._index.weight(state, len(text))
        if text not in self._found[picture] and score > self._least[picture] + math.log(NEGLIGIBLE):
            self._found[picture][text] = Weighed(score, min(log_probability, 0.0), text)
            self._least[picture] = self._threshold(picture)

    def _threshold(self, picture: int) -> float:
        scores = sorted((each.score for each in self._found[picture].values()), reverse=True)
        return max(scores[self._top - 1], FLOOR) if len(scores) >= self._top else FLOOR
