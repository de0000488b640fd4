"""The recurrent decoder with attention of Shi et al. 2016 (arXiv 1603.03915, section 3.2), as a Keras layer and loss.

It writes a text character by character. For each character, it scores all columns by its state (content-based
attention, Bahdanau et al. 2014), and feeds their weighted mean and the last character to a GRU or LSTM. The new state
and the mean classify the next character, or class 0, the end of the text.

The mean is an input of the classifier, as in Bahdanau et al. (appendix A.2.2), so that a decoder can start from the
character weights of CTC (model/training/transfer.py). From the state only, 6,763 characters were never learnt.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from model.features import ExplicitMasks

#: Class of the end of a text, and of the input before its first character.
END = 0
#: Number of features of a character, and of the sum that scores a column.
CHARACTER_UNITS, SCORE_UNITS = 128, 128
#: Score of padding: its weight after softmax is 0.
MASKED_SCORE = -1e9


@keras.saving.register_keras_serializable(package="crnn_kit")
class AttentionDecoder(ExplicitMasks):
    """Columns (batch, steps, features) and the characters before -> logits of the next characters.

    `own`, a weight from 0 to 1, is the fraction of characters fed back in training that are predictions, not labels.

    Keras names the arrays of a layer after its class: with another class name, old `.keras` files could not be opened.
    """

    def __init__(self, classes: int, cell: str = "gru", units: int = 256, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._config = {"classes": classes, "cell": cell, "units": units}
        self.units = units
        self.characters = layers.Embedding(classes, CHARACTER_UNITS, name="characters")
        self.cell = {"gru": layers.GRUCell, "lstm": layers.LSTMCell}[cell](units, name="cell")
        self.key = layers.Dense(SCORE_UNITS, name="key")
        self.query = layers.Dense(SCORE_UNITS, use_bias=False, name="query")
        self.score = layers.Dense(1, use_bias=False, name="score")
        # float32 with any policy, as in the CTC head.
        self.classes = layers.Dense(classes, dtype="float32", name="classes")
        self.seed = keras.random.SeedGenerator()

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._config}

    def build(self, columns_shape: Any, texts_shape: Any, mask_shape: Any = None) -> None:
        features = columns_shape[-1]
        self.characters.build((None, None))
        self.cell.build((None, CHARACTER_UNITS + features))
        self.key.build((None, None, features))
        self.query.build((None, self.units))
        self.score.build((None, None, SCORE_UNITS))
        self.classes.build((None, self.units + features))
        self.own = self.add_weight(shape=(), initializer="zeros", trainable=False, autocast=False, name="own")

    def call(self, columns: Any, texts: Any, mask: Any = None, training: bool = False) -> Any:
        """Logits, float32 (batch, longest + 1, classes), for texts, int32 (batch, longest), padded with 0.

        `mask`, bool (batch, steps), is False for padding; None: no padding.
        """
        before = ops.pad(texts, ((0, 0), (1, 0)))
        if training:
            # Outside of the branch, which must not change the state of the generator.
            chances = keras.random.uniform(ops.shape(before), seed=self.seed)
            before = ops.cond(
                self.own > 0, lambda: self._mixed(before, chances < self.own, columns, mask), lambda: before
            )
        return self._logits(before, columns, mask)

    def compute_output_spec(self, columns: Any, texts: Any, mask: Any = None, training: bool = False) -> Any:
        longest = texts.shape[1]
        steps = None if longest is None else longest + 1
        return keras.KerasTensor((columns.shape[0], steps, self._config["classes"]), "float32")

    def start(self, columns: Any) -> list[Any]:
        """The state before the first character."""
        empty = ops.zeros((ops.shape(columns)[0], self.units), self.compute_dtype)
        return [empty] * len(self.state_sizes())

    def state_sizes(self) -> list[int]:
        """Number of features of each part of a state. The first part is the output of the cell."""
        size = self.cell.state_size
        return list(size) if isinstance(size, (list, tuple)) else [size]

    def step(self, characters: Any, state: list[Any], columns: Any, keys: Any, mask: Any) -> tuple[list[Any], Any, Any]:
        """One step after the last characters, int32 (batch,), with `keys = key(columns)`.

        Returns the next state, the inputs of `classes`, (batch, units + features), and the attention weights,
        (batch, steps), which add up to 1.
        """
        return self._next(self.characters(characters), state, columns, keys, mask)

    def _next(self, character: Any, state: list[Any], columns: Any, keys: Any, mask: Any) -> tuple[list[Any], Any, Any]:
        query = ops.expand_dims(self.query(state[0]), 1)
        scores = ops.cast(self.score(ops.tanh(keys + query)), "float32")[..., 0]
        if mask is not None:
            scores = ops.where(mask, scores, MASKED_SCORE)
        weights = ops.cast(ops.softmax(scores), columns.dtype)
        seen = ops.einsum("bt,btf->bf", weights, columns)
        state = list(self.cell(ops.concatenate([character, seen], -1), state)[1])
        return state, ops.concatenate([state[0], seen], -1), weights

    def _logits(self, before: Any, columns: Any, mask: Any) -> Any:
        keys = self.key(columns)
        characters = ops.transpose(self.characters(before), (1, 0, 2))

        # The outputs of a scan must have the structure of its state, so features are part of the state.
        def step(carried: list[Any], character: Any) -> tuple[list[Any], list[Any]]:
            state, features, _ = self._next(character, carried[1:], columns, keys, mask)
            return [features, *state], [features, *state]

        state = self.start(columns)
        empty = ops.concatenate([state[0], ops.zeros_like(columns[:, 0])], -1)
        _, steps = ops.scan(step, [empty, *state], characters)
        return self.classes(ops.transpose(steps[0], (1, 0, 2)))

    def _mixed(self, before: Any, replaced: Any, columns: Any, mask: Any) -> Any:
        """The true characters, some `replaced` by predictions of the decoder.

        Two passes over all characters at once, the first without gradient (Mihaylova and Martins 2019, "Scheduled
        Sampling for Transformers").
        """
        written = ops.argmax(ops.stop_gradient(self._logits(before, columns, mask)), -1)
        written = ops.pad(ops.cast(written, before.dtype)[:, :-1], ((0, 0), (1, 0)))
        return ops.where(replaced, written, before)


@keras.saving.register_keras_serializable(package="crnn_kit")
class TextCrossEntropy(keras.losses.Loss):
    """Cross entropy of whole texts with their end, in nats per text.

    Label smoothing spreads a fraction `smoothing` of the probability over all classes (Szegedy et al. 2015).
    """

    def __init__(self, smoothing: float = 0.1) -> None:
        super().__init__(name="text_cross_entropy")
        self._smoothing = smoothing

    def call(self, labels: Any, logits: Any) -> Any:
        """The losses, float32 (batch,), of labels, int (batch, longest), padded with 0, and logits (batch, longest + 1,
        classes)."""
        labels = ops.cast(labels, "int32")
        counted = ops.cast(ops.pad(labels > 0, ((0, 0), (1, 0)), constant_values=True), "float32")
        log_probabilities = ops.log_softmax(ops.cast(logits, "float32"))
        targets = ops.pad(labels, ((0, 0), (0, 1)))
        right = ops.take_along_axis(log_probabilities, ops.expand_dims(targets, -1), -1)[..., 0]
        smooth = ops.mean(log_probabilities, -1)
        return -ops.sum(counted * ((1 - self._smoothing) * right + self._smoothing * smooth), -1)
