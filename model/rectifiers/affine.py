"""An affine spatial transformer (Jaderberg et al. 2015): rotation, shear, scale, shift undone."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from model.features import Features
from model.rectifiers.spatial import Sampler, rectified


@keras.saving.register_keras_serializable(package="crnn_kit")
class AffineSampler(Sampler):
    """The start is the identity: x and y of the place to sample, as weights of 1, x and y of the place to fill."""

    start = np.array([[0, 0], [1, 0], [0, 1]], np.float32)

    def basis(self, places: Any) -> Any:
        return ops.concatenate([ops.ones_like(places[..., :1]), places], -1)


def affine(images: Features) -> Features:
    """Images with the affine transformation undone that a small network finds in each."""
    return rectified(images, AffineSampler(dtype="float32"))
