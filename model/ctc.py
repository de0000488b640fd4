"""The loss of connectionist temporal classification (Graves et al. 2006, section 4.1), as a Keras loss.

Keras' own CTC loss takes nearly three times as long on TensorFlow with 6,763 characters, where it is most of the work
of a step, and 1.5 times as long with 36 (`benchmarks/training_speed.py ctc`).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

#: In place of log(0): sums of it stay finite in float32, so that their differences are not NaN.
LOG_ZERO = -1e30


@keras.saving.register_keras_serializable(package="crnn_kit")
class AlignmentLoss(keras.losses.Loss):
    """Negative log-probability of whole texts, in nats per text, summed over all their alignments."""

    def __init__(self) -> None:
        super().__init__(name="ctc")

    def call(self, labels: Any, log_probabilities: Any) -> Any:
        """The losses, float32 (batch,).

        Arguments:
            labels: int (batch, longest), padded with 0.
            log_probabilities: float32 (batch, steps, classes); class 0 is the blank.

        A text that needs more steps than there are has a loss above 1e29.
        """
        labels = ops.cast(labels, "int32")
        longest = labels.shape[1]
        # The states of an alignment: a blank, a character, a blank, … a blank.
        states = ops.pad(
            ops.reshape(ops.stack([ops.zeros_like(labels), labels], -1), (-1, 2 * longest)), ((0, 0), (0, 1))
        )
        # A product: the gradient of a gather would be scattered element by element.
        chosen = ops.one_hot(states, log_probabilities.shape[-1], dtype=log_probabilities.dtype)
        emitted = ops.einsum("btc,bsc->tbs", log_probabilities, chosen)
        # The blank between two different characters can be skipped.
        skippable = ops.not_equal(states, ops.pad(states, ((0, 0), (2, 0)))[:, :-2])
        skipping = ops.where(skippable, 0.0, LOG_ZERO)

        def step(before: Any, emits: Any) -> tuple[Any, Any]:
            earlier = ops.pad(before, ((0, 0), (2, 0)), constant_values=LOG_ZERO)
            ways = ops.stack([before, earlier[:, 1:-1], earlier[:, :-2] + skipping])
            after = ops.logsumexp(ways, 0) + emits
            return after, after

        first = ops.where(ops.arange(2 * longest + 1) < 2, emitted[0], LOG_ZERO)
        last, _ = ops.scan(step, first, emitted[1:])
        # An alignment ends with the last character, or with the blank after it.
        length = ops.sum(ops.cast(labels > 0, "int32"), -1, keepdims=True)
        ends_in_blank = ops.take_along_axis(last, 2 * length, 1)
        ends_in_character = ops.take_along_axis(last, ops.maximum(2 * length - 1, 0), 1)
        return -ops.logaddexp(ends_in_blank, ops.where(length > 0, ends_in_character, LOG_ZERO))[:, 0]
