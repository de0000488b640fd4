"""Bidirectional recurrent layers, as the publications arrange them."""

from __future__ import annotations

from keras import layers

from model.features import Features


def bidirectional(columns: Features, layer: type[layers.Layer], preset: str, published: str) -> Features:
    """`lite` and `small` one layer of 128, `base` two of 256, as `published` with the backbone.

    `summed`: CRNN-Keras adds the first layer's directions and normalises. `projected`: CRNN's linear layer.
    """
    if preset != "base":
        return columns.recurrent(layer, 128).dropout(0.2)
    if published == "summed":
        return columns.recurrent(layer, 256, merge_mode="sum").normalised().recurrent(layer, 256).normalised()
    return columns.recurrent(layer, 256).dense(256).recurrent(layer, 256)
