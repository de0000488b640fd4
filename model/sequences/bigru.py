"""Gated recurrent units (Cho et al. 2014), in both directions, as in CRNN-Keras' second network."""

from __future__ import annotations

from keras import layers

from model.features import Features
from model.sequences.recurrent import bidirectional


def bigru(columns: Features, preset: str, published: str) -> Features:
    """BiGRU of the preset's size."""
    return bidirectional(columns, layers.GRU, preset, published)
