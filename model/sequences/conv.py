"""Residual convolutions over the columns (He et al. 2015): unlike in recurrent layers, no column waits for another.

Together they see eight columns to either side, two letters or more in most texts. With dilated convolutions, which see
further, plates were read worse (docs/networks.md).
"""

from __future__ import annotations

from model.features import Features

LAYERS, KERNEL = 4, 5


def conv(columns: Features, preset: str, published: str) -> Features:
    """Four residual convolutions with 128 features, or 256 in `base`."""
    features = {"base": 256}.get(preset, 128)
    if columns.maps.shape[-1] != features:
        columns = columns.dense(features, normalised=True, activation="relu")
    row = columns.one_row()
    for _ in range(LAYERS):
        row = row.plus(row.convolution(features, kernel=(1, KERNEL)))
    return row.columns().dropout(0.2)
