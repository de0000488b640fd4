"""An affine spatial transformer (Jaderberg et al. 2015): rotation, shear, scale, shift undone."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from model.features import Features
from model.rectifiers.spatial import Sampler, rectified


@keras.saving.register_keras_serializable(package="crnn_kit")
class AffineSampler(Sampler):
    """Moves are weights of 1, x and y of the place to fill."""

    terms = 3

    def basis(self, places: Any) -> Any:
        return ops.concatenate([ops.ones_like(places[..., :1]), places], -1)


def affine(images: Features) -> Features:
    """Images with the affine transformation undone that a small network finds in each."""
    return rectified(images, AffineSampler(dtype="float32"))
