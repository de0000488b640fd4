"""CTC decoding with NumPy.

All functions take `log_probabilities`, float32 (batch, steps, classes), with class 0 as the blank. The probabilities of
each step sum to 1. The probability of a text is the sum over all alignments that collapse to it (Graves et al. 2006,
"Connectionist Temporal Classification", equations 5 to 8).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..alphabet import BLANK
from ..runtime import LOG_PROBABILITIES, Runtime, named_inputs
from .automaton import Automaton
from .formats import FormatIndex
from .posterior import empty_probabilities, normalised, posteriors, weighed
from .search import IMPOSSIBLE, Found, search

if TYPE_CHECKING:
    from ..config import ModelConfig

LogProbabilities = NDArray[np.floating]

#: Number of steps after which the forward variables are rescaled, so that they do not underflow.
RESCALED = 8


class CharacterSpan(NamedTuple):
    """Position of a character: its probability, and the output columns from `start` to `end`, exclusive."""

    probability: float
    start: float
    end: float


class Decoded(NamedTuple):
    """A decoded text: its class numbers 1…N, and its probability, 0 to 1."""

    numbers: tuple[int, ...]
    probability: float
    #: Position of each character. Empty for all but the most probable text of a picture.
    spans: tuple[CharacterSpan, ...] = ()
    #: Whether the exact search proved that no allowed text is more probable. None without such a search.
    proven: bool | None = None


class CTCDecoder:
    """Decodes by best path, by prefix beam search, or by exact search with a constraint or a prior."""

    #: Only the width of the picture limits the number of characters.
    longest = None
    weighs = True

    def __init__(self, run: Runtime, config: ModelConfig) -> None:
        self._run = run

    def outputs(self, inputs: Any) -> NDArray[np.float32]:
        return self._run(named_inputs(inputs), [LOG_PROBABILITIES])[0]

    def decode(
        self,
        outputs: NDArray[Any],
        search: str,
        beam_width: int,
        top: int,
        allowed: Automaton | None = None,
        formats: FormatIndex | None = None,
    ) -> list[list[Decoded]]:
        if allowed:
            return constrained(outputs, allowed, top)
        if formats:
            return most_probable(outputs, formats, top)
        if search == "beam" or top > 1:
            return beam(outputs, beam_width, top)
        return [[decoded] for decoded in greedy(outputs)]

    def predictions(self, outputs: NDArray[Any], texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        return [outputs]


def greedy(log_probabilities: LogProbabilities) -> list[Decoded]:
    """Best path decoding: the text of each picture's most probable alignment.

    Its probability is that of the text, not of the alignment.
    """
    texts, found = _best_paths(log_probabilities)
    probabilities = np.exp(text_log_probabilities(log_probabilities, texts)).tolist()
    return [Decoded(*decoded) for decoded in zip(texts, probabilities, found, strict=True)]


def text_log_probabilities(log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """Compute the log-probability of one text per picture with the forward algorithm of CTC.

    Arguments:
        log_probabilities: (batch, steps, classes).
        texts: class numbers 1…N of a text for each picture.

    Returns float64 (batch,). A value is -inf if no alignment fits, or if the probability underflows in float64 relative
    to that of the text's prefixes.
    """
    emissions, skips = _states(log_probabilities, texts)
    emitted, skips = np.exp(emissions).transpose(1, 0, 2), skips.astype(np.float64)
    lengths = np.array([len(text) for text in texts], int)
    # Exclude the states after a shorter text: their sums would soon dominate those of the text when rescaling.
    emitted[:, np.arange(skips.shape[1]) > 2 * lengths[:, np.newaxis]] = 0.0
    # Two impossible states before the first one, so that each state has two predecessors.
    padded = np.zeros((len(skips), skips.shape[1] + 2))
    forward, one_back, two_back = padded[:, 2:], padded[:, 1:-1], padded[:, :-2]
    forward[:, :2] = emitted[0, :, :2]
    logarithms = np.zeros(len(texts))
    for step in range(1, len(emitted)):
        reached = two_back * skips
        reached += one_back
        reached += forward
        np.multiply(reached, emitted[step], out=forward)
        if step % RESCALED == 0:
            greatest = np.maximum(forward.max(1), np.finfo(np.float64).tiny)
            forward /= greatest[:, np.newaxis]
            logarithms += np.log(greatest)
    rows = np.arange(len(texts))
    last_character = np.where(lengths > 0, forward[rows, np.maximum(2 * lengths - 1, 0)], 0.0)
    with np.errstate(divide="ignore"):
        return np.minimum(np.log(forward[rows, 2 * lengths] + last_character) + logarithms, 0.0)


def character_spans(
    log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]
) -> list[tuple[CharacterSpan, ...]]:
    """Find the characters of one text per picture in its most probable alignment, with the Viterbi algorithm.

    Arguments:
        log_probabilities: (batch, steps, classes).
        texts: class numbers 1…N of a text for each picture.

    Returns the position of each character. Its probability is the maximum over its columns.
    """
    emissions, skips = _states(log_probabilities, texts)
    batch, steps, _ = emissions.shape
    best = np.full(skips.shape, IMPOSSIBLE)
    best[:, :2] = emissions[:, 0, :2]
    back = np.zeros(emissions.shape, np.int8)
    for step in range(1, steps):
        before = _predecessors(best, skips)
        back[:, step] = before.argmax(0)
        best = before.max(0) + emissions[:, step]
    rows, lengths = np.arange(batch), np.array([len(text) for text in texts], int)
    # An alignment ends in the last blank or in the last character.
    state = 2 * lengths - ((lengths > 0) & (best[rows, np.maximum(2 * lengths - 1, 0)] > best[rows, 2 * lengths]))
    path = np.zeros((batch, steps), int)
    for step in range(steps - 1, -1, -1):
        path[:, step] = state
        state = state - back[rows, step, state]
    found = []
    for row, text in enumerate(texts):
        columns = [np.flatnonzero(path[row] == 2 * position + 1) for position in range(len(text))]
        found.append(
            tuple(
                CharacterSpan(
                    math.exp(emissions[row, where, 2 * position + 1].max()), where[0].item(), where[-1].item() + 1
                )
                for position, where in enumerate(columns)
            )
        )
    return found


def _states(
    log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The states of the alignments of each text: its characters with blanks around and between them.

    Returns the log-probabilities of their emissions, float64 (batch, steps, states), and which states may be reached by
    skipping the one before, bool (batch, states): characters that differ from the character before the skipped blank.
    Values after the states of a shorter text have no meaning.
    """
    longest = max(map(len, texts), default=0)
    states = np.full((len(texts), 2 * longest + 1), BLANK)
    for row, text in enumerate(texts):
        states[row, 1 : 2 * len(text) : 2] = text
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    return np.take_along_axis(log_probabilities, states[:, None, :], axis=2).astype(np.float64), skips


def _predecessors(scores: NDArray[np.float64], skips: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scores of the three possible predecessors of each state: itself, one and two states back, (3, batch, states)."""
    found = np.full((3, *scores.shape), IMPOSSIBLE)
    found[0], found[1, :, 1:] = scores, scores[:, :-1]
    found[2, :, 2:] = np.where(skips[:, 2:], scores[:, :-2], IMPOSSIBLE)
    return found


def beam(log_probabilities: LogProbabilities, width: int = 10, top: int = 1) -> list[list[Decoded]]:
    """Prefix beam search (Hannun et al. 2014, arXiv 1408.2873, algorithm 1, without a language model).

    Each step keeps the most probable prefixes, with the alignments of each prefix merged. The texts found are then
    scored with the forward algorithm, which includes alignments that the beam dropped.

    Arguments:
        log_probabilities: (batch, steps, classes).
        width: beam width, at least `top`.
        top: maximum number of texts per picture.

    Returns the texts of each picture, the most probable first.
    """
    results = []
    for row in log_probabilities:
        texts = _prefixes(row, max(width, top))[:top]
        # broadcast_to makes a view. Copies for a hundred texts of 70 columns and 6,800 classes would take 190 MB.
        probabilities = np.exp(text_log_probabilities(np.broadcast_to(row, (len(texts), *row.shape)), texts))
        decoded = [Decoded(text, probability) for text, probability in zip(texts, probabilities.tolist(), strict=True)]
        results.append(sorted(decoded, key=lambda text: -text.probability))
    return _with_spans(log_probabilities, results)


def constrained(log_probabilities: LogProbabilities, automaton: Automaton, top: int = 1) -> list[list[Decoded]]:
    """Exact constrained decoding: the most probable texts of each picture that `automaton` accepts.

    Exact up to the limit of search.py on its effort. Probabilities are relative to all texts, not only to the allowed
    ones.

    Arguments:
        log_probabilities: (batch, steps, classes).
        automaton: accepts the allowed texts.
        top: maximum number of texts per picture.

    Returns the texts of each picture, the most probable first, or an empty list if no allowed text fits.
    """
    texts, _ = _best_paths(log_probabilities)
    scores = text_log_probabilities(log_probabilities, texts).tolist()
    results = []
    for row, text, score in zip(log_probabilities, texts, scores, strict=True):
        known = [(score, text)] if automaton.accepts(text) else []
        # A text with a probability above one half is the most probable one, and needs no search.
        found = Found(known, True, 0)
        if not known or top > 1 or score <= math.log(0.5):
            found = search(row, automaton, top, known)
        results.append([Decoded(numbers, float(np.exp(score)), (), found.exact) for score, numbers in found.texts])
    return _with_spans(log_probabilities, results)


def most_probable(log_probabilities: LogProbabilities, formats: FormatIndex, top: int = 1) -> list[list[Decoded]]:
    """Maximum a posteriori decoding: the texts of each picture with the highest probability times prior.

    Exact up to the limit of posterior.py on its effort. Probabilities are posterior probabilities.

    Arguments:
        log_probabilities: (batch, steps, classes).
        formats: the prior of texts.
        top: number of texts that must be the best ones.

    Returns the texts of each picture, the most probable first: at least `top` of them, and others that the search came
    across. The list is empty if no text of the formats fits, and no others are allowed.
    """
    texts, _ = _best_paths(log_probabilities)
    scores = text_log_probabilities(log_probabilities, texts).tolist()
    known = [[weighed(text, score, formats)] for text, score in zip(texts, scores, strict=True)]
    results = [
        [Decoded(text, probability, (), found.proven) for text, probability in found.texts]
        for found in posteriors(log_probabilities, known, formats, top)
    ]
    return _with_spans(log_probabilities, results)


def averaged(
    log_probabilities: Sequence[LogProbabilities], readings: Sequence[Sequence[Decoded]], formats: FormatIndex | None
) -> list[Decoded]:
    """Score the texts of several views of a picture by the mean of their probabilities in all views.

    With formats, the probabilities are posterior probabilities: those that follow from the means and the prior.

    Arguments:
        log_probabilities: (views, steps, classes) each. The number of steps may differ. The first view is the picture
            itself, whose characters have positions.
        readings: texts that were found in each view.
        formats: the prior of texts, None for none.

    Returns the texts, the most probable first, or an empty list if none was found.
    """
    texts = sorted({text.numbers for found in readings for text in found})
    if not texts:
        return []
    scores = np.concatenate([_in_each(part, texts) for part in log_probabilities])
    means = np.logaddexp.reduce(scores, axis=0) - math.log(len(scores))
    if formats:
        empty = np.concatenate([empty_probabilities(part) for part in log_probabilities])
        known = [weighed(text, mean, formats) for text, mean in zip(texts, means.tolist(), strict=True)]
        scored = normalised(known, float(empty.mean()), formats)
    else:
        scored = list(zip(texts, np.exp(means).tolist(), strict=True))
    decoded = [Decoded(*each) for each in scored]
    return _with_spans(log_probabilities[0][:1], [sorted(decoded, key=lambda each: -each.probability)])[0]


def _in_each(log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """The log-probability of each text in each picture, (pictures, texts)."""
    count = len(log_probabilities)
    rows = np.repeat(log_probabilities, len(texts), axis=0)
    return text_log_probabilities(rows, texts * count).reshape(count, len(texts))


def _best_paths(
    log_probabilities: LogProbabilities,
) -> tuple[list[tuple[int, ...]], list[tuple[CharacterSpan, ...]]]:
    """The text of each picture's most probable alignment, and the positions of its characters."""
    batch, steps, _ = log_probabilities.shape
    best = log_probabilities.argmax(axis=-1)
    # Runs of equal classes, with all rows concatenated. A run never crosses the end of a row.
    begins = np.ones(best.shape, bool)
    begins[:, 1:] = best[:, 1:] != best[:, :-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=best.size)
    numbers = best.ravel()[starts]
    probabilities = np.exp(np.maximum.reduceat(log_probabilities.max(axis=-1).ravel(), starts))
    kept = numbers != BLANK
    starts, lengths, numbers, probabilities = starts[kept], lengths[kept], numbers[kept], probabilities[kept]
    columns = starts % steps
    found = list(map(CharacterSpan, probabilities.tolist(), columns.tolist(), (columns + lengths).tolist()))
    texts, bounds = numbers.tolist(), np.searchsorted(starts, np.arange(batch + 1) * steps).tolist()
    spans = [slice(*span) for span in itertools.pairwise(bounds)]
    return [tuple(texts[span]) for span in spans], [tuple(found[span]) for span in spans]


def _with_spans(log_probabilities: LogProbabilities, results: list[list[Decoded]]) -> list[list[Decoded]]:
    """Add the positions of the characters to the first text of each picture."""
    texts, found = _best_paths(log_probabilities)
    # In most pictures this is the text of the most probable alignment, whose positions are known.
    rows = [row for row, decoded in enumerate(results) if decoded and decoded[0].numbers != texts[row]]
    others = character_spans(log_probabilities[rows], [results[row][0].numbers for row in rows]) if rows else []
    for row, other in zip(rows, others, strict=True):
        found[row] = other
    return [
        [decoded[0]._replace(spans=where), *decoded[1:]] if decoded else []
        for decoded, where in zip(results, found, strict=True)
    ]


def _prefixes(log_probabilities: LogProbabilities, width: int) -> list[tuple[int, ...]]:
    """Prefix beam search in one picture, (steps, classes). Returns up to `width` texts, the most probable first."""
    # For each prefix, the log-probabilities of its alignments that end in a blank, and in its last character.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, IMPOSSIBLE)}
    for step in log_probabilities.astype(np.float64):
        # No other character of this step can enter a beam of this width.
        likely = np.argsort(-step[1:], kind="stable")[: width + 1] + 1
        extended: dict[tuple[int, ...], list[float]] = {}

        for prefix, (ends_blank, ends_character) in beams.items():
            total = np.logaddexp(ends_blank, ends_character)
            stay = extended.setdefault(prefix, [IMPOSSIBLE, IMPOSSIBLE])
            stay[0] = np.logaddexp(stay[0], total + step[BLANK])
            if prefix:
                stay[1] = np.logaddexp(stay[1], ends_character + step[prefix[-1]])
            for character in likely.tolist():
                # A repeated character extends the text only after a blank.
                source = ends_blank if prefix and character == prefix[-1] else total
                longer = extended.setdefault((*prefix, character), [IMPOSSIBLE, IMPOSSIBLE])
                longer[1] = np.logaddexp(longer[1], source + step[character])
        ranked = sorted(extended.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))[:width]
        beams = {prefix: (scores[0], scores[1]) for prefix, scores in ranked}
    return list(beams)


DECODER, HEADS = CTCDecoder, ("ctc", "joint")
