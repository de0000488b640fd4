"""The CTC loss against the sum over all alignments."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from model.backend import import_keras

keras = import_keras()

from model.ctc import AlignmentLoss  # noqa: E402

STEPS, CLASSES = 5, 3


def text_of(alignment: tuple[int, ...]) -> tuple[int, ...]:
    """The text of an alignment: merge equal neighbours, then remove blanks."""
    return tuple(number for number, _ in itertools.groupby(alignment) if number)


def test_the_loss_sums_over_all_alignments() -> None:
    rng = np.random.default_rng(0)
    texts = [text for length in range(4) for text in itertools.product((1, 2), repeat=length)]
    labels = np.array([(*text, *[0] * (3 - len(text))) for text in texts], np.int32)
    logits = rng.normal(0, 2, (len(texts), STEPS, CLASSES)).astype(np.float32)
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    losses = np.asarray(AlignmentLoss().call(labels, log_probabilities))
    for text, emitted, loss in zip(texts, log_probabilities, losses, strict=True):
        alignments = [a for a in itertools.product(range(CLASSES), repeat=STEPS) if text_of(a) == text]
        probability = sum(np.exp(emitted[range(STEPS), list(alignment)].sum()) for alignment in alignments)
        assert loss == pytest.approx(-np.log(probability), abs=1e-4)


def test_a_text_without_alignment_has_a_huge_loss() -> None:
    even = np.full((2, 3, CLASSES), -np.log(CLASSES), np.float32)
    fits, does_not = np.asarray(AlignmentLoss().call(np.array([[1, 2], [1, 1]], np.int32), even))
    assert fits < 10 and does_not < 10
    short = np.asarray(AlignmentLoss().call(np.array([[1, 1]], np.int32), even[:1, :2]))
    assert short > 1e29


def test_the_gradient_is_that_of_keras() -> None:
    """The gradient, from one step of plain gradient descent."""
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 1, (4, 12, 6)).astype(np.float32)
    labels = np.array([[1, 2, 2, 3], [5, 0, 0, 0], [4, 4, 0, 0], [1, 2, 3, 4]], np.int32)
    after = []
    for loss in (AlignmentLoss(), keras.losses.CTC()):
        given = keras.Input((12, 6))
        shifted = keras.layers.EinsumDense("btc,tc->btc", (12, 6), kernel_initializer="ones")
        network = keras.Model(given, keras.ops.log_softmax(shifted(given)))
        network.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
        network.train_on_batch(logits, labels)
        after.append(np.asarray(shifted.kernel))
    assert np.abs(after[0] - 1).max() > 0.01, "nothing was learnt"
    np.testing.assert_allclose(after[0], after[1], atol=1e-4)


def test_texts_without_characters_have_the_loss_and_gradient_of_blanks() -> None:
    logits = np.random.default_rng(2).normal(0, 1, (3, 12, 6)).astype(np.float32)
    given = keras.Input((12, 6))
    shifted = keras.layers.EinsumDense("btc,tc->btc", (12, 6), kernel_initializer="ones")
    network = keras.Model(given, keras.ops.log_softmax(shifted(given)))
    outputs = network.predict_on_batch(logits)
    labels = np.zeros((3, 1), np.int32)
    losses = np.asarray(AlignmentLoss().call(labels, outputs))
    np.testing.assert_allclose(losses, -outputs[:, :, 0].sum(1), rtol=1e-5)
    network.compile(keras.optimizers.SGD(1.0), AlignmentLoss(), jit_compile=False)
    network.train_on_batch(logits, labels)
    # The loss is the cross entropy of the blank in each column, averaged over the texts.
    wrong = np.exp(outputs) - np.eye(6)[0]
    np.testing.assert_allclose(np.asarray(shifted.kernel), 1 - (logits * wrong).mean(0), atol=1e-4)
