"""From a network's log-probabilities to texts and their probabilities, with NumPy alone.

All functions take `log_probabilities`, float32 (batch, steps, classes), each step summing to 1 as
probabilities, class 0 the blank. The probability of a text is the sum over all alignments that
collapse to it (Graves et al. 2006, "Connectionist Temporal Classification", equations 5 to 8).
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
from .constraints import Automaton
from .search import IMPOSSIBLE, Found, search

if TYPE_CHECKING:
    from ..config import ModelConfig

LogProbabilities = NDArray[np.floating]

#: Steps after which the forward variables, which shrink from step to step, are brought back to 1.
RESCALED = 8


class Place(NamedTuple):
    """Where a character was read: its probability there, and the columns from `start` to `end`."""

    probability: float
    start: float
    end: float


class Decoded(NamedTuple):
    """One reading: the class numbers of a text (1…N) and the probability of that whole text."""

    numbers: tuple[int, ...]
    probability: float
    #: One for each character, of the most probable text alone.
    places: tuple[Place, ...] = ()
    #: Of texts under a constraint: False where a more probable one may have been missed; None where nobody looked.
    proven: bool | None = None


class CTCDecoder:
    """Decodes log-probabilities: the best alignment, prefix beam search, or an exact search among allowed texts."""

    #: It writes as many characters as the picture has room for.
    longest = None

    def __init__(self, run: Runtime, config: ModelConfig) -> None:
        self._run = run

    def outputs(self, inputs: Any) -> NDArray[np.float32]:
        return self._run(named_inputs(inputs), [LOG_PROBABILITIES])[0]

    def decode(
        self, outputs: NDArray[Any], decoder: str, beam_width: int, top: int, allowed: Automaton | None = None
    ) -> list[list[Decoded]]:
        if allowed:
            return constrained(outputs, allowed, top)
        if decoder == "beam" or top > 1:
            return beam(outputs, beam_width, top)
        return [[decoded] for decoded in greedy(outputs)]

    def predictions(self, outputs: NDArray[Any], texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        return [outputs]


def greedy(log_probabilities: LogProbabilities) -> list[Decoded]:
    """The text of the most probable alignment, with the probability of the text (not of the alignment)."""
    texts, found = _of_best_alignments(log_probabilities)
    probabilities = np.exp(text_log_probabilities(log_probabilities, texts)).tolist()
    return [Decoded(*decoded) for decoded in zip(texts, probabilities, found, strict=True)]


def text_log_probabilities(log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """Log-probability of each row's text, float64 (batch,): the forward variables of CTC, all rows at once.

    A text whose probability vanishes in float64 beside that of what lies before it has -inf.
    """
    emissions, skips = _states(log_probabilities, texts)
    emitted, skips = np.exp(emissions).transpose(1, 0, 2), skips.astype(np.float64)
    lengths = np.array([len(text) for text in texts], int)
    # Behind a shorter text are no alignments, whose number would soon be beyond that of its own.
    emitted[:, np.arange(skips.shape[1]) > 2 * lengths[:, np.newaxis]] = 0.0
    # Two impossible states stand before the first, so that every one has two before it.
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


def places(log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]) -> list[tuple[Place, ...]]:
    """Where the characters of each row's text are in its most probable alignment (Viterbi).

    A character's probability is the highest of its columns.
    """
    emissions, skips = _states(log_probabilities, texts)
    batch, steps, _ = emissions.shape
    best = np.full(skips.shape, IMPOSSIBLE)
    best[:, :2] = emissions[:, 0, :2]
    back = np.zeros(emissions.shape, np.int8)
    for step in range(1, steps):
        before = _came_from(best, skips)
        back[:, step] = before.argmax(0)
        best = before.max(0) + emissions[:, step]
    rows, lengths = np.arange(batch), np.array([len(text) for text in texts], int)
    # The last state is the blank behind the text, or its last character.
    state = 2 * lengths - ((lengths > 0) & (best[rows, np.maximum(2 * lengths - 1, 0)] > best[rows, 2 * lengths]))
    path = np.zeros((batch, steps), int)
    for step in range(steps - 1, -1, -1):
        path[:, step] = state
        state = state - back[rows, step, state]
    found = []
    for row, text in enumerate(texts):
        columns = [np.flatnonzero(path[row] == 2 * place + 1) for place in range(len(text))]
        found.append(
            tuple(
                Place(math.exp(emissions[row, where, 2 * place + 1].max()), where[0].item(), where[-1].item() + 1)
                for place, where in enumerate(columns)
            )
        )
    return found


def _states(
    log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The states of each row's alignments, blanks around and between the characters: what they emit, and skip.

    Log-probabilities (batch, steps, states), and which states (batch, states) may be reached from two states back:
    those before which a blank lies between two different characters. What lies behind a shorter text is never read.
    """
    longest = max(map(len, texts), default=0)
    states = np.full((len(texts), 2 * longest + 1), BLANK)
    for row, text in enumerate(texts):
        states[row, 1 : 2 * len(text) : 2] = text
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])
    return np.take_along_axis(log_probabilities, states[:, None, :], axis=2).astype(np.float64), skips


def _came_from(scores: NDArray[np.float64], skips: NDArray[np.bool_]) -> NDArray[np.float64]:
    """What each state has of the step before: its own score, that of one state back, and of two; (3, batch, states)."""
    found = np.full((3, *scores.shape), IMPOSSIBLE)
    found[0], found[1, :, 1:] = scores, scores[:, :-1]
    found[2, :, 2:] = np.where(skips[:, 2:], scores[:, :-2], IMPOSSIBLE)
    return found


def beam(log_probabilities: LogProbabilities, width: int = 10, top: int = 1) -> list[list[Decoded]]:
    """Prefix beam search: for each picture up to `top` texts, the most probable first.

    Keeps the `width` most probable prefixes at each step, a prefix's alignments merged (Hannun et al.
    2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
    DNNs", algorithm 1, without a language model). The texts found are then scored exactly, so that
    alignments the beam dropped still count.
    """
    results = []
    for row in log_probabilities:
        texts = _prefixes(row, max(width, top))[:top]
        # A view: a hundred copies of 70 columns of 6,800 classes would be gigabytes in a batch.
        probabilities = np.exp(text_log_probabilities(np.broadcast_to(row, (len(texts), *row.shape)), texts))
        decoded = [Decoded(text, probability) for text, probability in zip(texts, probabilities.tolist(), strict=True)]
        results.append(sorted(decoded, key=lambda text: -text.probability))
    return _with_places(log_probabilities, results)


def constrained(log_probabilities: LogProbabilities, automaton: Automaton, top: int = 1) -> list[list[Decoded]]:
    """The `top` most probable texts of each picture that `automaton` accepts; none where no such text fits in.

    Exact, but for the limit of search.py. Probabilities are those of the texts among all texts, the forbidden
    ones too.
    """
    texts, _ = _of_best_alignments(log_probabilities)
    scores = text_log_probabilities(log_probabilities, texts).tolist()
    results = []
    for row, text, score in zip(log_probabilities, texts, scores, strict=True):
        known = [(score, text)] if automaton.accepts(text) else []
        # A text more probable than all others together needs no search.
        found = Found(known, True, 0)
        if not known or top > 1 or score <= math.log(0.5):
            found = search(row, automaton, top, known)
        results.append([Decoded(numbers, float(np.exp(score)), (), found.exact) for score, numbers in found.texts])
    return _with_places(log_probabilities, results)


def _of_best_alignments(
    log_probabilities: LogProbabilities,
) -> tuple[list[tuple[int, ...]], list[tuple[Place, ...]]]:
    """The text of each row's most probable alignment, and its characters' places in it."""
    batch, steps, _ = log_probabilities.shape
    best = log_probabilities.argmax(axis=-1)
    # Runs of columns that say the same, all rows in one line.
    begins = np.ones(best.shape, bool)
    begins[:, 1:] = best[:, 1:] != best[:, :-1]
    starts = np.flatnonzero(begins)
    lengths = np.diff(starts, append=best.size)
    numbers = best.ravel()[starts]
    probabilities = np.exp(np.maximum.reduceat(log_probabilities.max(axis=-1).ravel(), starts))
    kept = numbers != BLANK
    starts, lengths, numbers, probabilities = starts[kept], lengths[kept], numbers[kept], probabilities[kept]
    columns = starts % steps
    found = list(map(Place, probabilities.tolist(), columns.tolist(), (columns + lengths).tolist()))
    texts, bounds = numbers.tolist(), np.searchsorted(starts, np.arange(batch + 1) * steps).tolist()
    spans = [slice(*span) for span in itertools.pairwise(bounds)]
    return [tuple(texts[span]) for span in spans], [tuple(found[span]) for span in spans]


def _with_places(log_probabilities: LogProbabilities, results: list[list[Decoded]]) -> list[list[Decoded]]:
    """The first text of each picture with the places of its characters."""
    texts, found = _of_best_alignments(log_probabilities)
    # Mostly it is the text of the most probable alignment, which needs no search.
    rows = [row for row, decoded in enumerate(results) if decoded and decoded[0].numbers != texts[row]]
    others = places(log_probabilities[rows], [results[row][0].numbers for row in rows]) if rows else []
    for row, other in zip(rows, others, strict=True):
        found[row] = other
    return [
        [decoded[0]._replace(places=where), *decoded[1:]] if decoded else []
        for decoded, where in zip(results, found, strict=True)
    ]


def _prefixes(log_probabilities: LogProbabilities, width: int) -> list[tuple[int, ...]]:
    """The `width` most probable texts of one picture, (steps, classes), the most probable first."""
    # For each prefix: log-probability of its alignments that end in a blank, and in its last character.
    beams: dict[tuple[int, ...], tuple[float, float]] = {(): (0.0, IMPOSSIBLE)}
    for step in log_probabilities.astype(np.float64):
        # Only the most probable characters of a step can enter a beam of this width.
        likely = np.argsort(-step[1:], kind="stable")[: width + 1] + 1
        extended: dict[tuple[int, ...], list[float]] = {}

        for prefix, (ends_blank, ends_character) in beams.items():
            total = np.logaddexp(ends_blank, ends_character)
            stay = extended.setdefault(prefix, [IMPOSSIBLE, IMPOSSIBLE])
            stay[0] = np.logaddexp(stay[0], total + step[BLANK])
            if prefix:
                stay[1] = np.logaddexp(stay[1], ends_character + step[prefix[-1]])
            for character in likely.tolist():
                # A repeated character makes the text longer only across a blank.
                source = ends_blank if prefix and character == prefix[-1] else total
                longer = extended.setdefault((*prefix, character), [IMPOSSIBLE, IMPOSSIBLE])
                longer[1] = np.logaddexp(longer[1], source + step[character])
        ranked = sorted(extended.items(), key=lambda item: -np.logaddexp(item[1][0], item[1][1]))[:width]
        beams = {prefix: (scores[0], scores[1]) for prefix, scores in ranked}
    return list(beams)
