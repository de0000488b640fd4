"""Convolutions over the columns, each with a way around it (He et al. 2015): no column waits for its neighbours.

Together they see eight columns to either side, which is two letters or more of most texts. Made to look further, by
dilation, they read plates worse (docs/networks.md).
"""

from __future__ import annotations

from model.features import Features

LAYERS, KERNEL = 4, 5


def conv(columns: Features, preset: str, published: str) -> Features:
    """Residual convolutions of 128 features, of 256 in `base`."""
    features = {"base": 256}.get(preset, 128)
    if columns.maps.shape[-1] != features:
        columns = columns.dense(features, normalised=True, activation="relu")
    row = columns.one_row()
    for _ in range(LAYERS):
        row = row.plus(row.convolution(features, kernel=(1, KERNEL)))
    return row.columns().dropout(0.2)
