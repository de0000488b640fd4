"""CTC and attention on one encoder, trained together (Kim et al. 2017, arXiv 1609.06773). Either head can read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from model.heads.attention import Attention, picture_inputs
from model.heads.ctc import CTC
from model.runtimes import Part

if TYPE_CHECKING:
    from crnn_reader.config import ModelConfig
    from model.features import Features
    from model.heads import Head

CTC_PART, ATTENTION_PART = "ctc", "attention"


class Joint:
    """Outputs are those of both heads by name; the loss is the sum of their losses."""

    autoregressive = True
    left_to_right = True

    def __init__(self) -> None:
        self._ctc, self._attention = CTC(), Attention()

    def outputs(self, columns: Features, classes: int, config: ModelConfig) -> tuple[list[Any], Any]:
        from keras import layers

        _, aligned = self._ctc.outputs(columns, classes, config)
        inputs, written = self._attention.outputs(columns, classes, config)
        # A named layer, where the network is cut for reading.
        aligned = layers.Identity(name="aligned", dtype="float32")(aligned)
        return inputs, {CTC_PART: aligned, ATTENTION_PART: written}

    def loss(self, config: ModelConfig) -> Any:
        return {CTC_PART: self._ctc.loss(config), ATTENTION_PART: self._attention.loss(config)}

    def targets(self, labels: NDArray[np.int32]) -> Any:
        return {CTC_PART: labels, ATTENTION_PART: labels}

    def decoder_inputs(self, labels: NDArray[np.int32]) -> list[Any]:
        return self._attention.decoder_inputs(labels)

    def schedule(self, network: Any, progress: float) -> None:
        self._attention.schedule(network, progress)

    def steps_needed(self, text: str) -> int:
        return self._ctc.steps_needed(text)

    def parts(self, network: Any, config: ModelConfig) -> list[Part]:
        import keras

        aligned = keras.Model(picture_inputs(network), network.get_layer("aligned").output)
        read_by_ctc = [replace(part, whole=network) for part in self._ctc.parts(aligned, config)]
        return read_by_ctc + self._attention.parts(network, config)


HEAD: Head = Joint()
