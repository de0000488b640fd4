"""Inception-v3 (Szegedy et al. 2015) cut after its first blocks, as in attention_ocr (arXiv 1704.03549)."""

from __future__ import annotations

import keras

from model.backbones import Backbone
from model.features import Features

#: The last block of each preset, by its name in keras.applications: of three blocks, or one.
LAST_BLOCK = {"base": "mixed2", "small": "mixed0"}


def inception(images: Features, preset: str) -> Features:
    """A column every eighth pixel, except at the edges, which the first layers crop: 600x150 pixels become 72x16."""
    whole = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(None, None, 3))
    cut = keras.Model(whole.inputs, whole.get_layer(LAST_BLOCK[preset]).output)
    maps = images.maps
    if maps.shape[-1] == 1:
        maps = keras.layers.Concatenate()([maps, maps, maps])
    return Features(keras.models.clone_model(cut)(maps)).columns()


# The first layers crop the edges of pictures, so all must have one width.
BACKBONE = Backbone(inception, "projected", column=8, any_width=False)
