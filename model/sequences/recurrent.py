"""Bidirectional recurrent layers in the arrangements of the publications."""

from __future__ import annotations

from keras import layers

from model.features import Features


def bidirectional(columns: Features, layer: type[layers.Layer], preset: str, published: str) -> Features:
    """One layer of 128 units in `lite` and `small`, two of 256 in `base`, as `published` with the backbone.

    `summed`: the directions of the first layer are added and both layers normalised, as in CRNN-Keras. `projected`: a
    linear layer is between them, as in CRNN.
    """
    if preset != "base":
        return columns.recurrent(layer, 128).dropout(0.2)
    if published == "summed":
        return columns.recurrent(layer, 256, merge_mode="sum").normalised().recurrent(layer, 256).normalised()
    return columns.recurrent(layer, 256).dense(256).recurrent(layer, 256)
