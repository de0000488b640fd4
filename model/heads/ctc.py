"""Connectionist temporal classification (Graves et al. 2006): every column emits a character or a blank."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from model import decoding
from model.alphabet import ctc_steps
from model.decoding import Decoded


class CTC:
    """Outputs are log-probabilities, float32 (batch, steps, classes), class 0 the blank."""

    def outputs(self, columns: Any, classes: int) -> Any:
        from keras import layers, ops

        # float32 whatever the policy: sums of small probabilities do not survive 8 bits.
        logits = layers.Dense(classes, dtype="float32", name="classes")(columns)
        return ops.log_softmax(logits)

    def loss(self) -> Any:
        import keras

        # Its own softmax leaves log-probabilities as they are.
        return keras.losses.CTC()

    def steps_needed(self, text: str) -> int:
        return ctc_steps(text)

    def decode(self, outputs: NDArray[Any], decoder: str, beam_width: int, top: int) -> list[list[Decoded]]:
        if decoder == "beam" or top > 1:
            return decoding.beam(outputs, beam_width, top)
        return [[decoded] for decoded in decoding.greedy(outputs)]
