"""Long short-term memory (Hochreiter and Schmidhuber 1997), in both directions."""

from __future__ import annotations

from keras import layers

from model.features import Features
from model.sequences.recurrent import bidirectional


def bilstm(columns: Features, preset: str, published: str) -> Features:
    """BiLSTM of the preset's size."""
    return bidirectional(columns, layers.LSTM, preset, published)
