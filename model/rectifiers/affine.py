"""An affine spatial transformer (Jaderberg et al. 2015): rotation, shear, scale, shift undone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from model.features import Features
from model.rectifiers.spatial import grid, rectified, sample

#: x and y of the place to sample, as weights of 1, x and y of the place to fill.
IDENTITY = np.array([[0, 0], [1, 0], [0, 1]], np.float32)


@keras.saving.register_keras_serializable(package="crnn_kit")
class AffineSampler(layers.Layer):
    """Images and moves of the identity's weights, (batch, 3, 2) -> images."""

    def call(self, maps: Any, moves: Any, widths: Any = None) -> Any:
        _, rows, columns, _ = ops.shape(maps)
        places = grid(rows, columns, widths)
        terms = ops.concatenate([ops.ones_like(places[..., :1]), places], -1)
        coefficients = ops.convert_to_tensor(IDENTITY) + moves
        if widths is None:
            places = ops.einsum("rct,btp->brcp", terms[0], coefficients)
        else:
            places = ops.einsum("brct,btp->brcp", terms, coefficients)
        return sample(maps, places, widths)

    def compute_output_spec(self, maps: Any, moves: Any, widths: Any = None) -> Any:
        return keras.KerasTensor(maps.shape, maps.dtype)


def affine(images: Features) -> Features:
    """Images with the affine transformation undone that a small network finds in each."""
    return rectified(images, AffineSampler(dtype="float32"), len(IDENTITY))
