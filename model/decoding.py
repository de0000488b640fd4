"""From a network's log-probabilities to texts and their probabilities, with NumPy alone.

All functions take `log_probabilities`, float32 (batch, steps, classes), each step summing to 1 as
probabilities, class 0 the blank. The probability of a text is the sum over all alignments that
collapse to it (Graves et al. 2006, "Connectionist Temporal Classification", equations 5 to 8).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.alphabet import BLANK
from model.constraints import Automaton
from model.prefix_search import search

LogProbabilities = NDArray[np.floating]

#: Stands for log(0): small enough to vanish in every sum, and free of the NaN of (-inf) - (-inf).
IMPOSSIBLE = -1e30


class Decoded(NamedTuple):
    """One reading: the class numbers of a text (1…N) and the probability of that whole text."""

    numbers: tuple[int, ...]
    probability: float


def greedy(log_probabilities: LogProbabilities) -> list[Decoded]:
    """The text of the most probable alignment, with the probability of the text (not of the alignment)."""
    texts = _of_best_alignments(log_probabilities)
    probabilities = np.exp(text_log_probabilities(log_probabilities, texts))
    return [Decoded(text, float(p)) for text, p in zip(texts, probabilities, strict=True)]


def text_log_probabilities(log_probabilities: LogProbabilities, texts: list[tuple[int, ...]]) -> NDArray[np.float64]:
    """Log-probability of each row's text, float64 (batch,): the forward variables of CTC, all rows at once."""
    batch, steps, _ = log_probabilities.shape
    longest = max(map(len, texts), default=0)
    # Blanks around and between the characters; what lies behind a shorter text is never read.
    states = np.full((batch, 2 * longest + 1), BLANK)
    for row, text in enumerate(texts):
        states[row, 1 : 2 * len(text) : 2] = text
    # A state may be reached from two states back when a blank lies between two different characters.
    skips = np.zeros(states.shape, bool)
    skips[:, 2:] = (states[:, 2:] != BLANK) & (states[:, 2:] != states[:, :-2])

    emissions = np.take_along_axis(log_probabilities.astype(np.float64), states[:, None, :], axis=2)
    forward = np.full(states.shape, IMPOSSIBLE)
    forward[:, :2] = emissions[:, 0, :2]
    for step in range(1, steps):
        one_back = np.pad(forward, ((0, 0), (1, 0)), constant_values=IMPOSSIBLE)[:, :-1]
        two_back = np.pad(forward, ((0, 0), (2, 0)), constant_values=IMPOSSIBLE)[:, : states.shape[1]]
        two_back = np.where(skips, two_back, IMPOSSIBLE)
        forward = np.logaddexp(np.logaddexp(forward, one_back), two_back) + emissions[:, step]
    rows, lengths = np.arange(batch), np.array([len(text) for text in texts], int)
    last_blank = forward[rows, 2 * lengths]
    last_character = np.where(lengths > 0, forward[rows, np.maximum(2 * lengths - 1, 0)], IMPOSSIBLE)
    return np.minimum(np.logaddexp(last_blank, last_character), 0.0)


def beam(log_probabilities: LogProbabilities, width: int = 10, top: int = 1) -> list[list[Decoded]]:
    """Prefix beam search: for each picture up to `top` texts, the most probable first.

    Keeps the `width` most probable prefixes at each step, a prefix's alignments merged (Hannun et al.
    2014, "First-Pass Large Vocabulary Continuous Speech Recognition using Bi-Directional Recurrent
    DNNs", algorithm 1, without a language model). The texts found are then scored exactly, so that
    alignments the beam dropped still count.
    """
    found = [_prefixes(row, max(width, top))[:top] for row in log_probabilities]
    flat = [(row, text) for row, texts in enumerate(found) for text in texts]
    scores = text_log_probabilities(log_probabilities[[row for row, _ in flat]], [text for _, text in flat])
    results: list[list[Decoded]] = [[] for _ in found]
    for (row, text), score in zip(flat, scores, strict=True):
        results[row].append(Decoded(text, float(np.exp(score))))
    for texts in results:
        texts.sort(key=lambda decoded: -decoded.probability)
    return results


def constrained(log_probabilities: LogProbabilities, automaton: Automaton, top: int = 1) -> list[list[Decoded]]:
    """The `top` most probable texts of each picture that `automaton` accepts; none where no such text fits in.

    Exact, but for the limit of model.prefix_search. Probabilities are those of the texts among all texts, the forbidden
    ones too.
    """
    texts = _of_best_alignments(log_probabilities)
    scores = text_log_probabilities(log_probabilities, texts).tolist()
    results = []
    for row, text, score in zip(log_probabilities, texts, scores, strict=True):
        known = [(score, text)] if automaton.accepts(text) else []
        # A text more probable than all others together needs no search.
        found = known if known and top == 1 and score > math.log(0.5) else search(row, automaton, top, known).texts
        results.append([Decoded(numbers, float(np.exp(score))) for score, numbers in found])
    return results


def _of_best_alignments(log_probabilities: LogProbabilities) -> list[tuple[int, ...]]:
    best = log_probabilities.argmax(axis=-1)
    previous = np.pad(best, ((0, 0), (1, 0)), constant_values=BLANK)[:, :-1]
    kept = (best != BLANK) & (best != previous)
    return [tuple(row[keep].tolist()) for row, keep in zip(best, kept, strict=True)]


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
