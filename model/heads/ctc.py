"""Connectionist temporal classification (Graves et al. 2006): every column emits a character or a blank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crnn_reader.alphabet import ctc_steps
from crnn_reader.runtime import IMAGES, LOG_PROBABILITIES, WIDTHS
from model.runtimes import Part

if TYPE_CHECKING:
    from crnn_reader.config import ModelConfig
    from model.features import Features
    from model.heads import Head

#: In place of log(0) in columns beyond the picture, so that no text has characters there.
PADDING_LOG_PROBABILITY = -1e4


class CTC:
    """Outputs are log-probabilities, float32 (batch, steps, classes), class 0 the blank."""

    autoregressive = False
    left_to_right = True

    def outputs(self, columns: Features, classes: int, config: ModelConfig) -> tuple[list[Any], Any]:
        from keras import layers, ops

        # float32 with any policy: sums of small probabilities are lost with the 8 bits of bfloat16.
        logits = layers.Dense(classes, dtype="float32", name="classes")(columns.maps)
        outputs = ops.log_softmax(logits)
        mask = columns.mask()
        if mask is not None:
            # Beyond the picture the blank is certain, which does not change the probability of any text.
            blank = ops.concatenate([ops.zeros((1,)), ops.full((classes - 1,), PADDING_LOG_PROBABILITY)])
            outputs = ops.where(ops.expand_dims(mask, -1), outputs, blank)
        return [], outputs

    def loss(self, config: ModelConfig) -> Any:
        import keras

        from model.ctc import AlignmentLoss

        # With PyTorch, Keras uses PyTorch's own loss, which is faster. Its softmax does not change log-probabilities.
        return keras.losses.CTC() if keras.backend.backend() == "torch" else AlignmentLoss()

    def targets(self, labels: NDArray[np.int32]) -> Any:
        return labels

    def decoder_inputs(self, labels: NDArray[np.int32]) -> list[Any]:
        return []

    def schedule(self, network: Any, progress: float) -> None:
        pass

    def steps_needed(self, text: str) -> int:
        return ctc_steps(text)

    def parts(self, network: Any, config: ModelConfig) -> list[Part]:
        return [Part(network, (IMAGES,) if config.width else (IMAGES, WIDTHS), (LOG_PROBABILITIES,), network)]


HEAD: Head = CTC()
