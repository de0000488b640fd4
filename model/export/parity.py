"""Check that an exported file reads like Keras: the same texts, and outputs that differ by no more than rounding.

Two runtimes add the same products in different orders, so their outputs differ by rounding. The difference depends on
the network: deep networks and large weights amplify it from layer to layer. So the tolerance is measured on the network
itself. A sum of n products in float32, in any order, is the exact sum of products whose factors are perturbed by about
sqrt(n) units of rounding (backward error of an inner product: Higham 2002, "Accuracy and Stability of Numerical
Algorithms", section 3.1; sqrt(n) instead of n: Higham and Mary, SIAM J. Sci. Comput. 41, 2019). Keras reads the
pictures several times with weights that are perturbed by that much. The largest change of its outputs is the unit for
the difference of the other runtime.
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

#: Number of pictures that both runtimes read, and of times that Keras reads them with perturbed weights.
PICTURES, DRAWS = 64, 3
#: Maximum difference of outputs, as a multiple of the effect of rounding in Keras.
ALLOWED = 4.0
#: Pictures in a batch. The last batch has a single one: batches of any size must read the same.
BATCH = 21
#: Maximum relative error of rounding to float32, and the distance from 1 to the next number.
UNIT, EPSILON = 2.0**-24, 2.0**-23

#: The arrays that a decoder predicts for each batch.
Predictions = Sequence[list[NDArray[Any]]]


class Comparison(NamedTuple):
    """The differences between an exported file and Keras."""

    #: Maximum difference of log-probabilities.
    difference: float
    #: Maximum difference of any outputs, as a multiple of the effect of rounding in Keras.
    roundings: float
    #: Number of texts that differ, except where two characters are equally probable.
    other_texts: int
    #: Number of texts.
    texts: int

    def __str__(self) -> str:
        same = "the same texts" if not self.other_texts else f"{self.other_texts} other texts"
        return (
            f"{same} as Keras in {self.texts} readings, log-probabilities at most {self.difference:.1e} apart, "
            f"{self.roundings:.2g} times as far as rounding moves them"
        )

    @property
    def accepted(self) -> bool:
        """Whether the differences come from rounding only."""
        return self.roundings <= ALLOWED and not self.other_texts


def compare(network: Any, other: Runtime, config: ModelConfig) -> Comparison:
    """Compare another runtime of a Keras network with Keras, on the same pictures, for each head that can read."""
    keras = of_keras(HEADS[config.head].parts(network, config))
    inputs: list[Any] = [tuple(batch.values()) for batch in batches(some_pictures(config), config)]
    inputs = [batch if len(batch) > 1 else batch[0] for batch in inputs]
    configs = [replace(config, reads=reads) for reads in DECODERS[config.head]]
    return _worst([_compare(network, decoder_of(keras, each), decoder_of(other, each), inputs) for each in configs])


def _compare(network: Any, ours: Decoder, theirs: Decoder, inputs: Sequence[Any]) -> Comparison:
    outputs, other_outputs = ([decoder.outputs(batch) for batch in inputs] for decoder in (ours, theirs))
    texts = [_texts(ours, batch) for batch in outputs]
    other_texts = [_texts(theirs, batch) for batch in other_outputs]
    # Both predict the texts of Keras, so that their outputs can be compared step by step.
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
        # Rounding decides between two equally probable characters.
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
    """Maximum difference for each kind of arrays, absolute or in `units` of that kind."""
    greatest = np.zeros(len(expected[0]))
    for ours, theirs in zip(expected, found, strict=True):
        for kind, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            distance = np.abs(one.astype(np.float64) - other)
            if units is not None:
                distance /= units[kind] + EPSILON * (1 + np.abs(one))
            # NaN differs from everything.
            greatest[kind] = max(greatest[kind], np.nan_to_num(distance, nan=np.inf).max())
    return greatest


@contextlib.contextmanager
def rounded_otherwise(network: Any, draw: int) -> Iterator[None]:
    """Context in which each weight is perturbed by the rounding error of the sums that it is part of."""
    rng, weights = np.random.default_rng(draw), network.get_weights()
    network.set_weights([_rounded(array, rng) for array in weights])
    try:
        yield
    finally:
        network.set_weights(weights)


def _rounded(array: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    if not np.issubdtype(array.dtype, np.floating):
        return array
    # Kernels sum over all axes but the last one.
    products = array.size // array.shape[-1] if array.ndim > 1 else 1
    off = rng.choice([-1.0, 1.0], array.shape) * UNIT * math.sqrt(products)
    return (array * (1 + off)).astype(array.dtype)


def batches(pictures: Iterable[Image], config: ModelConfig) -> Iterator[dict[str, NDArray[Any]]]:
    """Batches of fitted pictures as inputs of a network, ordered by width."""
    ordered = sorted(pictures, key=lambda image: image.shape[1])
    for start in range(0, len(ordered), BATCH):
        some = ordered[start : start + BATCH]
        yield as_inputs(pad_batch(some) if config.width is None else np.stack(some))


def some_pictures(config: ModelConfig, count: int = PICTURES) -> list[Image]:
    """Fitted pictures of letters and lines on noisy backgrounds, of many sizes; always the same."""
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
