"""Decoding against brute force: every alignment of small networks' outputs, enumerated."""

from __future__ import annotations

import itertools
import math
import sys
from collections import defaultdict

import numpy as np
import pytest

from crnn_reader.decoding.constraints import Constraint
from crnn_reader.decoding.ctc import beam, character_spans, constrained, greedy, text_log_probabilities


def outputs(seed: int, batch: int = 3, steps: int = 5, classes: int = 3, sharpness: float = 1.0) -> np.ndarray:
    logits = sharpness * np.random.default_rng(seed).normal(size=(batch, steps, classes))
    return (logits - np.log(np.exp(logits).sum(-1, keepdims=True))).astype(np.float32)


def collapsed(alignment: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(number for number, _ in itertools.groupby(alignment) if number)


def enumerated(row: np.ndarray) -> dict[tuple[int, ...], float]:
    """The probability of every text, as the sum over its alignments."""
    texts: dict[tuple[int, ...], float] = defaultdict(float)
    for alignment in itertools.product(range(row.shape[1]), repeat=len(row)):
        texts[collapsed(alignment)] += float(np.exp(sum(row[step, number] for step, number in enumerate(alignment))))
    return texts


@pytest.mark.parametrize("seed", range(5))
def test_probability_of_a_text_is_the_sum_over_its_alignments(seed: int) -> None:
    batch = outputs(seed)
    # Texts of different lengths together, repeated characters among them, and one that does not fit into 5 steps.
    for texts in ([(), (1,), (1, 1)], [(2, 1, 2), (1, 1, 1), (2,)], [(1, 1, 1, 1), (), (1, 2, 1, 2, 1)]):
        expected = [enumerated(row).get(text, 0.0) for row, text in zip(batch, texts, strict=True)]
        assert np.exp(text_log_probabilities(batch, texts)) == pytest.approx(expected, abs=1e-6)


def test_probabilities_of_all_texts_sum_to_one() -> None:
    batch = outputs(7, batch=1)
    texts = list(enumerated(batch[0]))
    total = np.exp(text_log_probabilities(np.repeat(batch, len(texts), axis=0), texts)).sum()
    assert total == pytest.approx(1.0, abs=1e-5)


def test_a_short_text_beside_a_long_one_in_a_wide_picture_keeps_its_probability() -> None:
    # One who is nearly sure of all of 2,000 columns: what comes of longer texts' states must not drown the short one.
    steps, classes = 2000, 5
    sure = np.full((2, steps, classes), np.log(1e-5), np.float32)
    sure[:, :, 0] = np.log(1 - 4e-5)
    texts = [(1, 2), tuple(range(1, 5)) * 32]
    for row, text in enumerate(texts):
        for place, number in enumerate(text):
            sure[row, 15 * place + 5] = np.log([1e-5 if each != number else 1 - 4e-5 for each in range(classes)])
    (alone,), together = text_log_probabilities(sure[:1], texts[:1]), text_log_probabilities(sure, texts)
    assert np.exp(alone) > 0.9
    assert together[0] == pytest.approx(alone, abs=1e-9)


def test_a_long_text_has_a_probability_too_small_for_a_number() -> None:
    steps, classes, text = 800, 5, (1, 2, 3, 4) * 25
    even = np.full((1, steps, classes), -np.log(classes), np.float32)
    # Where no character follows itself, each has a run of steps, and there may be blanks around and between them.
    alignments = math.comb(steps + len(text), 2 * len(text))
    expected = math.log(alignments) - steps * math.log(classes)
    assert text_log_probabilities(even, [text])[0] == pytest.approx(expected, rel=1e-6)
    assert expected < math.log(sys.float_info.min), "a number would have done"


@pytest.mark.parametrize("seed", range(20))
def test_a_wide_beam_finds_the_most_probable_texts(seed: int) -> None:
    batch = outputs(seed)
    for row, found in zip(batch, beam(batch, width=200, top=3), strict=True):
        best = sorted(enumerated(row).items(), key=lambda item: -item[1])[:3]
        assert [decoded.numbers for decoded in found] == [text for text, _ in best]
        assert [decoded.probability for decoded in found] == pytest.approx([p for _, p in best], abs=1e-6)


def test_beam_beats_greedy_where_a_text_has_many_alignments() -> None:
    # Each step prefers the blank, yet "1" in some step is more probable than no text at all.
    batch = np.log(np.array([[[0.6, 0.4], [0.6, 0.4]]], np.float32))
    assert greedy(batch)[0].numbers == ()
    best = beam(batch, width=2)[0][0]
    assert best.numbers == (1,)
    assert best.probability == pytest.approx(0.64)


@pytest.mark.parametrize("seed", range(5))
def test_greedy_collapses_the_best_alignment_and_gives_the_probability_of_the_text(seed: int) -> None:
    batch = outputs(seed, steps=6)
    for row, decoded in zip(batch, greedy(batch), strict=True):
        assert decoded.numbers == collapsed(tuple(row.argmax(-1).tolist()))
        assert decoded.probability == pytest.approx(enumerated(row)[decoded.numbers], abs=1e-6)


def test_a_repeated_character_needs_a_blank_between() -> None:
    certain = np.full((2, 3, 2), np.log(1e-9), np.float32)
    for step, (first, second) in enumerate([(1, 1), (1, 0), (1, 1)]):
        certain[0, step, first] = certain[1, step, second] = np.log(1 - 1e-9)
    assert [decoded.numbers for decoded in greedy(certain)] == [(1,), (1, 1)]
    assert [texts[0].numbers for texts in beam(certain)] == [(1,), (1, 1)]


def test_certain_outputs_with_impossible_classes_stay_numbers() -> None:
    with np.errstate(divide="ignore"):
        batch = np.log(np.eye(3, dtype=np.float32)[[[1, 0, 2, 2]]])
    assert greedy(batch)[0][:2] == ((1, 2), 1.0)
    assert beam(batch, top=5)[0][0][:2] == ((1, 2), 1.0)


@pytest.mark.parametrize("seed", range(10))
def test_characters_lie_where_the_most_probable_alignment_has_them(seed: int) -> None:
    batch = outputs(seed)
    texts = [(1,), (1, 2), (1, 1)]
    for row, text, found in zip(batch, texts, character_spans(batch, texts), strict=True):
        alignments = [a for a in itertools.product(range(3), repeat=len(row)) if collapsed(a) == text]
        best = max(alignments, key=lambda a: sum(row[step, number] for step, number in enumerate(a)))
        runs = [(number, list(steps)) for number, steps in itertools.groupby(range(len(row)), best.__getitem__)]
        expected = [
            (float(np.exp(max(row[step, number] for step in steps))), steps[0], steps[-1] + 1)
            for number, steps in runs
            if number
        ]
        assert [(start, end) for _, start, end in found] == [(start, end) for _, start, end in expected]
        assert [p for p, _, _ in found] == pytest.approx([p for p, _, _ in expected])


@pytest.mark.parametrize("seed", range(10))
def test_every_decoder_gives_the_places_of_its_first_text(seed: int) -> None:
    batch = outputs(seed)
    automaton = Constraint(length="2", charset="ab").automaton("ab")
    assert automaton is not None
    for decoded in ([[text] for text in greedy(batch)], beam(batch, top=2), constrained(batch, automaton, 2)):
        firsts = [texts[0] for texts in decoded]
        for first, expected in zip(firsts, character_spans(batch, [first.numbers for first in firsts]), strict=True):
            assert [span[1:] for span in first.spans] == [span[1:] for span in expected]
