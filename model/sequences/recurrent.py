"""Bidirectional recurrent layers: LSTM (Hochreiter and Schmidhuber 1997) and GRU (Cho et al. 2014)."""

from __future__ import annotations

from typing import Any

from keras import layers


def bilstm(columns: Any, preset: str) -> Any:
    """BiLSTM: `base` as CRNN-Keras has it, `small` one layer of 128."""
    return _bidirectional(columns, layers.LSTM, preset)


def bigru(columns: Any, preset: str) -> Any:
    """BiGRU of the same sizes as :func:`bilstm`, as in CRNN-Keras' second network."""
    return _bidirectional(columns, layers.GRU, preset)


def _bidirectional(columns: Any, recurrent: type[layers.Layer], preset: str) -> Any:
    if preset == "base":
        columns = layers.Bidirectional(recurrent(256, return_sequences=True), merge_mode="sum")(columns)
        columns = layers.BatchNormalization()(columns)
        columns = layers.Bidirectional(recurrent(256, return_sequences=True))(columns)
        return layers.BatchNormalization()(columns)
    columns = layers.Bidirectional(recurrent(128, return_sequences=True))(columns)
    return layers.Dropout(0.2)(columns)
