"""Whether an exported file reads as Keras does: the same texts, and outputs apart by no more than rounding.

Two runtimes add the same products in different orders, so their outputs differ by rounding. By how much depends on the
network: a deep one, or one with large weights, magnifies it from layer to layer. So the tolerance is measured on the
network itself. A sum of n products in float32, in any order, is the exact sum of products whose factors are off by
about sqrt(n) units of rounding (the backward error of an inner product: Higham, Accuracy and Stability of Numerical
Algorithms, 2002, section 3.1; sqrt(n) instead of n: Higham and Mary, SIAM J. Sci. Comput. 41, 2019). Keras reads the
pictures several times with weights that are off by that much, and how far its outputs move is the unit in which the
distance of the other runtime is given.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from crnn_reader.config import ModelConfig
from crnn_reader.decoding import DECODERS, Decoder, decoder_of
from crnn_reader.fit import fit_image, pad_batch
from crnn_reader.pixels import Image
from crnn_reader.runtime import Runtime
from crnn_reader.runtime import named_inputs as as_inputs
from model.heads import HEADS
from model.runtimes import of_keras

#: How many pictures both runtimes read, and how often Keras reads them with other rounding.
PICTURES, DRAWS = 64, 3
#: How far apart outputs may be, in units of what rounding does to those of Keras.
ALLOWED = 4.0
#: Pictures in a batch: the last one is alone, and batches of any size must read the same.
BATCH = 21
#: The greatest relative error of a rounding to float32, and the step from 1 to the next number.
UNIT, EPSILON = 2.0**-24, 2.0**-23

#: What a decoder predicts of each batch: its arrays.
Predictions = Sequence[list[NDArray[Any]]]


class Comparison(NamedTuple):
    """How far an exported file is from Keras."""

    #: The greatest distance between log-probabilities.
    difference: float
    #: The greatest distance between any outputs, in units of what rounding does to those of Keras.
    roundings: float
    #: How many texts differ without two characters being as probable as each other.
    other_texts: int
    texts: int

    def __str__(self) -> str:
        same = "the same texts" if not self.other_texts else f"{self.other_texts} other texts"
        return (
            f"{same} as Keras in {self.texts} readings, log-probabilities at most {self.difference:.1e} apart, "
            f"{self.roundings:.2g} times as far as rounding moves them"
        )

    @property
    def accepted(self) -> bool:
        """Whether nothing but rounding lies between the two."""
        return self.roundings <= ALLOWED and not self.other_texts


def compare(network: Any, other: Runtime, config: ModelConfig) -> Comparison:
    """Compare another runtime of a Keras network with Keras, on the same pictures, by each head that can read."""
    keras = of_keras(HEADS[config.head].parts(network, config))
    inputs: list[Any] = [tuple(batch.values()) for batch in batches(some_pictures(config), config)]
    inputs = [batch if len(batch) > 1 else batch[0] for batch in inputs]
    configs = [replace(config, reads=reads) for reads in DECODERS[config.head]]
    return _worst([_compare(network, decoder_of(keras, each), decoder_of(other, each), inputs) for each in configs])


def _compare(network: Any, ours: Decoder, theirs: Decoder, inputs: Sequence[Any]) -> Comparison:
    outputs, other_outputs = ([decoder.outputs(batch) for batch in inputs] for decoder in (ours, theirs))
    texts = [_texts(ours, batch) for batch in outputs]
    other_texts = [_texts(theirs, batch) for batch in other_outputs]
    # Both are made to write the texts of Keras.
    expected = [*map(ours.predictions, outputs, texts)]
    found = [*map(theirs.predictions, other_outputs, texts)]
    units = np.zeros(len(expected[0]))
    for draw in range(DRAWS):
        with rounded_otherwise(network, draw):
            moved = [*map(ours.predictions, map(ours.outputs, inputs), texts)]
        units = np.maximum(units, _distances(expected, moved))
    differ = 0
    for own, other, (log_probabilities, *_) in zip(texts, other_texts, expected, strict=True):
        likely = np.sort(log_probabilities, axis=-1)
        margins = (likely[..., -1] - likely[..., -2]).min(axis=1)
        # Where two characters are as probable as each other, rounding decides which one is read.
        sure = margins > 2 * ALLOWED * units[0]
        differ += int(np.sum(sure & [one != two for one, two in zip(own, other, strict=True)]))
    return Comparison(
        float(_distances(expected, found)[0]),
        float(_distances(expected, found, units).max()),
        differ,
        sum(map(len, texts)),
    )


def _worst(comparisons: Sequence[Comparison]) -> Comparison:
    differences, roundings, others, texts = zip(*comparisons, strict=True)
    return Comparison(max(differences), max(roundings), sum(others), sum(texts))


def _texts(decoder: Decoder, outputs: Any) -> list[tuple[int, ...]]:
    """The class numbers of the most probable text of each picture."""
    return [decoded.numbers for (decoded,) in decoder.decode(outputs, "greedy", 1, 1)]


def _distances(
    expected: Predictions, found: Predictions, units: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """How far apart the arrays of each kind are at most, as they are or in the `units` of each kind."""
    greatest = np.zeros(len(expected[0]))
    for ours, theirs in zip(expected, found, strict=True):
        for kind, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            distance = np.abs(one.astype(np.float64) - other)
            if units is not None:
                distance /= units[kind] + EPSILON * (1 + np.abs(one))
            # What is no number agrees with nothing.
            greatest[kind] = max(greatest[kind], np.nan_to_num(distance, nan=np.inf).max())
    return greatest


@contextlib.contextmanager
def rounded_otherwise(network: Any, draw: int) -> Iterator[None]:
    """Within the block, have each weight off by the rounding of the sums that it is part of."""
    rng, weights = np.random.default_rng(draw), network.get_weights()
    network.set_weights([_rounded(array, rng) for array in weights])
    try:
        yield
    finally:
        network.set_weights(weights)


def _rounded(array: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    # The last axis of kernels is what they give, the others are what they add up.
    products = array.size // array.shape[-1] if array.ndim > 1 else 1
    off = rng.choice([-1.0, 1.0], array.shape) * UNIT * math.sqrt(products)
    return (array * (1 + off)).astype(array.dtype)


def batches(pictures: Iterable[Image], config: ModelConfig) -> Iterator[dict[str, NDArray[Any]]]:
    """Inputs of a network, from fitted pictures; those of similar width together."""
    ordered = sorted(pictures, key=lambda image: image.shape[1])
    for start in range(0, len(ordered), BATCH):
        some = ordered[start : start + BATCH]
        yield as_inputs(pad_batch(some) if config.width is None else np.stack(some))


def some_pictures(config: ModelConfig, count: int = PICTURES) -> list[Image]:
    """Letters and lines on noisy grounds, of many sizes, as the network sees them; the same ones each time."""
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(count):
        height = int(rng.integers(16, 96))
        width = round(height * rng.uniform(1, 6))
        ground = rng.normal(rng.uniform(100, 250), 15, (height, width, config.channels))
        image = ground.clip(0, 255).astype(np.uint8)
        text = "".join(rng.choice(list("0123456789ABCDEFGHJKLMNPQRSTUVWXYZ"), rng.integers(1, 8)))
        ink, thickness, face = rng.integers(0, 120, 3).tolist(), max(1, height // 24), cv2.FONT_HERSHEY_SIMPLEX
        cv2.putText(image, text, (height // 8, height * 3 // 4), face, height / 40, ink, thickness, cv2.LINE_AA)
        for start, end in rng.integers(0, [width, height], (2, 2, 2)).tolist():
            cv2.line(image, start, end, ink, thickness, cv2.LINE_AA)
        pictures.append(fit_image(image, config.width, config.height, config.fit))
    return pictures
