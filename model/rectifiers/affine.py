"""An affine spatial transformer (Jaderberg et al. 2015), which undoes rotation, shear, scale and shift."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from model.features import Features
from model.rectifiers.spatial import Sampler, rectified


@keras.saving.register_keras_serializable(package="crnn_kit")
class AffineSampler(Sampler):
    """Moves are the coefficients of 1, x and y."""

    terms = 3

    def basis(self, places: Any) -> Any:
        return ops.concatenate([ops.ones_like(places[..., :1]), places], -1)


def affine(images: Features) -> Features:
    """Undo the affine transformation that a small network predicts for each image."""
    return rectified(images, AffineSampler(dtype="float32"))
