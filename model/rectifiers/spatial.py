"""Common parts of spatial transformers (Jaderberg et al. 2015): the localisation network, and sampling.

Places are (x, y), each from -1 at the left or upper edge to 1 at the other one. Padding on the right does not count.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers, ops

from model.features import Features

#: Rows and columns of the input of the localisation network: text lines have no small bends.
LOOK = (32, 64)

#: Factor that slows down the training of the localisation network.
PACE = 0.1


class Sampler(layers.Layer):
    """Images and moves, float32 (batch, terms, 2) -> images. Moves of 0 do not change them.

    The pixel at a place is read at `place + basis(place) @ moves`.
    """

    #: Number of moves of each picture.
    terms: int

    def basis(self, places: Any) -> Any:
        """Places (…, 2) -> their terms (…, terms)."""
        raise NotImplementedError

    def call(self, maps: Any, moves: Any, widths: Any = None) -> Any:
        _, rows, columns, _ = ops.shape(maps)
        places = grid(rows, columns, widths)
        terms = self.basis(places)
        # The place is added at the end: within the sum, the terms of a spline cancel, which would blur the picture by
        # thousandths of a pixel, differently on each processor. Terms are the same for all pictures of one width.
        if widths is None:
            moved = ops.einsum("rct,btp->brcp", terms[0], moves)
        else:
            moved = ops.einsum("brct,btp->brcp", terms, moves)
        return sample(maps, places + moved, widths)

    def compute_output_spec(self, maps: Any, moves: Any, widths: Any = None) -> Any:
        return keras.KerasTensor(maps.shape, maps.dtype)


def rectified(images: Features, sampler: Sampler) -> Features:
    """Sample `images` with moves that a small network predicts. Its last layer is initialised with 0: no moves."""
    look = Features(Look(dtype="float32")(images.maps, *_widths(images)))
    look = look.convolution(16, strides=2).convolution(32, strides=2).convolution(64, strides=2)
    found = layers.Dense(64, activation="relu")(layers.Flatten()(look.maps))
    found = layers.Dense(2 * sampler.terms, kernel_initializer="zeros", dtype="float32")(found)
    # Slow and bounded: a picture that has moved out of sight has no gradient to move back by.
    moves = ops.tanh(PACE * layers.Reshape((sampler.terms, 2), dtype="float32")(found))
    return Features(sampler(images.maps, moves, *_widths(images)), images.widths)


def _widths(images: Features) -> list[Any]:
    return [] if images.widths is None else [images.widths]


def grid(rows: Any, columns: Any, widths: Any = None) -> Any:
    """Places of the centres of all pixels, float32 (batch or 1, rows, columns, 2)."""
    y = (2 * ops.arange(rows, dtype="float32") + 1) / ops.cast(rows, "float32") - 1
    counts = ops.reshape(ops.cast(columns if widths is None else widths, "float32"), (-1, 1))
    x = (2 * ops.expand_dims(ops.arange(columns, dtype="float32"), 0) + 1) / counts - 1
    shape = (ops.shape(x)[0], rows, columns)
    return ops.stack([ops.broadcast_to(x[:, None, :], shape), ops.broadcast_to(y[None, :, None], shape)], -1)


def sample(maps: Any, places: Any, widths: Any = None) -> Any:
    """Interpolate `maps` (batch, rows, columns, channels) bilinearly at `places`, float32 (batch, rows, columns, 2).

    Places beyond the edge get the pixel at the edge.
    """
    _, rows, columns, channels = ops.shape(maps)
    counts = columns if widths is None else ops.reshape(widths, (-1, 1))
    flat = ops.reshape(places, (ops.shape(maps)[0], -1, 2))
    x = (flat[..., 0] + 1) * ops.cast(counts, "float32") / 2 - 0.5
    y = (flat[..., 1] + 1) * rows / 2 - 0.5
    left, top = ops.floor(x), ops.floor(y)
    right, low = ops.cast(x - left, maps.dtype), ops.cast(y - top, maps.dtype)
    pixels = ops.reshape(maps, (ops.shape(maps)[0], -1, channels))

    def at(column: Any, row: Any) -> Any:
        column = ops.maximum(ops.minimum(ops.cast(column, "int32"), counts - 1), 0)
        row = ops.clip(ops.cast(row, "int32"), 0, rows - 1)
        return ops.take_along_axis(pixels, ops.expand_dims(row * columns + column, -1), 1)

    mixed = 0
    for column, row, share in (
        (left, top, (1 - right) * (1 - low)),
        (left + 1, top, right * (1 - low)),
        (left, top + 1, (1 - right) * low),
        (left + 1, top + 1, right * low),
    ):
        mixed = mixed + at(column, row) * ops.expand_dims(share, -1)
    return ops.reshape(mixed, (-1, *ops.shape(places)[1:3], channels))


@keras.saving.register_keras_serializable(package="crnn_kit")
class Look(layers.Layer):
    """Images -> the input of the localisation network, without padding: (batch, 32, 64, channels)."""

    def call(self, maps: Any, widths: Any = None) -> Any:
        places = ops.broadcast_to(grid(*LOOK), (ops.shape(maps)[0], *LOOK, 2))
        return sample(maps, places, widths)

    def compute_output_spec(self, maps: Any, widths: Any = None) -> Any:
        return keras.KerasTensor((maps.shape[0], *LOOK, maps.shape[-1]), maps.dtype)
