"""The attention decoder and its loss against their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.backend import import_keras

keras = import_keras()

from model.attention import END, AttentionDecoder, TextCrossEntropy  # noqa: E402

CLASSES, STEPS = 5, 6
TEXTS = np.array([[1, 2, 0], [4, 0, 0], [3, 3, 1], [0, 0, 0]], np.int32)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_sum_over_the_characters_and_the_end(smoothing: float) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (4, 4, CLASSES)).astype(np.float32)
    losses = np.asarray(TextCrossEntropy(smoothing).call(TEXTS, logits))
    for text, row, loss in zip(TEXTS, logits, losses, strict=True):
        expected = 0.0
        for character, given in zip([*text[text > 0], END], row, strict=False):
            target = np.full(CLASSES, smoothing / CLASSES)
            target[character] += 1 - smoothing
            expected -= target @ (given - np.log(np.exp(given).sum()))
        assert loss == pytest.approx(expected, rel=1e-5)


@pytest.fixture(params=["gru", "lstm"])
def decoder(request: pytest.FixtureRequest) -> Any:
    keras.utils.set_random_seed(0)
    layer = AttentionDecoder(CLASSES, request.param, units=16)
    layer.build((None, STEPS, 8), (None, 3))
    # Large weights, so that the character before matters.
    layer.characters.embeddings.assign(np.random.default_rng(1).normal(0, 1, layer.characters.embeddings.shape))
    return layer


def columns() -> Any:
    return np.random.default_rng(2).normal(0, 1, (len(TEXTS), STEPS, 8)).astype(np.float32)


def test_scheduled_sampling_feeds_back_the_predictions_of_the_decoder(decoder: Any) -> None:
    taught = np.asarray(decoder(columns(), TEXTS))
    np.testing.assert_allclose(decoder(columns(), TEXTS, training=True), taught, atol=1e-5)
    decoder.own.assign(1.0)
    own = np.asarray(decoder(columns(), TEXTS, training=True))
    written = taught.argmax(-1)[:, :-1]
    np.testing.assert_allclose(own, decoder(columns(), written), atol=1e-5)
    assert np.abs(own[:, 1:] - taught[:, 1:]).max() > 0.01
    # There is no prediction before the first character, and outside of training all inputs are predictions.
    np.testing.assert_allclose(own[:, 0], taught[:, 0], atol=1e-5)
    np.testing.assert_allclose(decoder(columns(), TEXTS), taught, atol=1e-5)


def test_padding_gets_no_attention(decoder: Any) -> None:
    mask = np.tile(np.arange(STEPS) < 4, (len(TEXTS), 1))
    np.testing.assert_allclose(decoder(columns(), TEXTS, mask=mask), decoder(columns()[:, :4], TEXTS), atol=1e-5)
