"""Bidirectional recurrent layers: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014)."""

from __future__ import annotations

from keras import layers

from model.features import Features

#: Features of each direction, in the presets of one layer.
UNITS = {"lite": 96, "small": 128}


def bilstm(columns: Features, preset: str, published: str) -> Features:
    """BiLSTM: `lite` one layer of 96, `small` one of 128, `base` two of 256, as published with the backbone."""
    return _bidirectional(columns, layers.LSTM, preset, published)


def bigru(columns: Features, preset: str, published: str) -> Features:
    """BiGRU of the same sizes as :func:`bilstm`, as in CRNN-Keras' second network."""
    return _bidirectional(columns, layers.GRU, preset, published)


def _bidirectional(columns: Features, layer: type[layers.Layer], preset: str, published: str) -> Features:
    """`summed`: CRNN-Keras adds the first layer's directions and normalises. `projected`: CRNN's linear layer."""
    if preset in UNITS:
        return columns.recurrent(layer, UNITS[preset]).dropout(0.2)
    if published == "summed":
        return columns.recurrent(layer, 256, merge_mode="sum").normalised().recurrent(layer, 256).normalised()
    return columns.recurrent(layer, 256).dense(256).recurrent(layer, 256)
