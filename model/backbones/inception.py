"""Inception-v3 (Szegedy et al. 2015) cut after its first blocks, as in attention_ocr (arXiv 1704.03549)."""

from __future__ import annotations

import keras

from model.backbones import Backbone
from model.features import Features

#: keras.applications' names of the blocks: the last one of 288 channels, and the first of them.
LAST_BLOCK = {"base": "mixed2", "small": "mixed0"}


def inception(images: Features, preset: str) -> Features:
    """Columns every eighth pixel, less what the first layers cut off at the edges: 600 become 72, 150 rows 16."""
    whole = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(None, None, 3))
    cut = keras.Model(whole.inputs, whole.get_layer(LAST_BLOCK[preset]).output)
    maps = images.maps
    if maps.shape[-1] == 1:
        maps = keras.layers.Concatenate()([maps, maps, maps])
    return Features(keras.models.clone_model(cut)(maps)).columns()


# It crops the edges of pictures.
BACKBONE = Backbone(inception, "projected", column=8, any_width=False)
