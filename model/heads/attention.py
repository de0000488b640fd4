"""A recurrent decoder with attention to the columns (Shi et al., arXiv 1603.03915); model/attention.py is the layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crnn_reader.decoding.attention import (
    CHARACTERS,
    COLUMNS,
    MASK,
    NEXT,
    STATES,
    UNITS,
    WEIGHTS,
    encoded_names,
    step_inputs,
    step_outputs,
)
from crnn_reader.runtime import IMAGES, WIDTHS
from model.runtimes import Part

if TYPE_CHECKING:
    from crnn_reader.config import ModelConfig
    from model.features import Features
    from model.heads import Head

#: Name of the decoder's layer.
LAYER_NAME = "attention"

#: Fraction of the characters fed back in training that the decoder predicted itself, at the end of a training.
OWN_READINGS = 0.25


class Attention:
    """Outputs are logits, float32 (batch, longest + 1, classes), class 0 the end of the text."""

    autoregressive = True
    left_to_right = False

    def outputs(self, columns: Features, classes: int, config: ModelConfig) -> tuple[list[Any], Any]:
        import keras

        from model.attention import AttentionDecoder

        texts, mask = keras.Input((None,), dtype="int32", name="texts"), columns.mask()
        if mask is not None:
            # A named layer, where the network is cut for reading.
            mask = keras.layers.Identity(name=MASK, dtype="bool")(mask)
        decoder = AttentionDecoder(classes, config.cell, UNITS, name=LAYER_NAME)
        return [texts], decoder(columns.maps, texts, mask=mask)

    def loss(self, config: ModelConfig) -> Any:
        from model.attention import TextCrossEntropy

        return TextCrossEntropy(config.label_smoothing)

    def targets(self, labels: NDArray[np.int32]) -> Any:
        return labels

    def decoder_inputs(self, labels: NDArray[np.int32]) -> list[Any]:
        return [labels]

    def schedule(self, network: Any, progress: float) -> None:
        # Scheduled sampling with a linear schedule (Bengio et al. 2015): early predictions are useless.
        network.get_layer(LAYER_NAME).own.assign(OWN_READINGS * progress)

    def steps_needed(self, text: str) -> int:
        return 1

    def parts(self, network: Any, config: ModelConfig) -> list[Part]:
        import keras

        decoder = network.get_layer(LAYER_NAME)
        columns = network.get_layer(COLUMNS).output
        mask = [] if config.width else [network.get_layer(MASK).output]
        encoder = keras.Model(picture_inputs(network), [columns, decoder.key(columns), *mask])

        characters = keras.Input((), dtype="int32")
        states = [keras.Input((UNITS,)) for _ in STATES[config.cell]]
        encoded = [keras.Input((None, tensor.shape[-1])) for tensor in (columns, decoder.key(columns))]
        masks = [keras.Input((None,), dtype="bool") for _ in mask]
        after, features, weights = decoder.step(characters, states, *encoded, masks[0] if masks else None)
        next_character = keras.ops.log_softmax(decoder.classes(features))
        step = keras.Model([characters, *states, *encoded, *masks], [next_character, weights, *after])
        return [
            Part(encoder, (IMAGES,) if config.width else (IMAGES, WIDTHS), encoded_names(config), network),
            Part(
                step,
                (CHARACTERS, *STATES[config.cell], *step_inputs(config)),
                (NEXT, WEIGHTS, *step_outputs(config)),
                network,
            ),
        ]


def picture_inputs(network: Any) -> Any:
    """The inputs of a network for reading: images, or images and widths."""
    inputs = [tensor for tensor in network.inputs if tensor.name != "texts"]
    return inputs if len(inputs) > 1 else inputs[0]


HEAD: Head = Attention()
