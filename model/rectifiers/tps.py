"""A spatial transformer with thin-plate splines (Shi et al., arXiv 1603.03915, section 3.1).

A small network places 20 points along the upper and lower edge of the text. The picture is bent so that they are on the
upper and lower edge of the picture, and as little as possible between them (Bookstein 1989, "Principal Warps").
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from model.features import Features
from model.rectifiers.spatial import Sampler, rectified

#: Number of points on each of the two edges.
POINTS = 10
#: Their places in the rectified picture, (20, 2).
EDGES = np.array([(x, y) for y in (-1, 1) for x in np.linspace(-1, 1, POINTS)], np.float32)


def _solution() -> NDArray[np.float32]:
    """The matrix from the moves of the points to the coefficients of the spline through them, (23, 20)."""
    count = len(EDGES)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _radial(np.square(EDGES[:, None] - EDGES[None]).sum(-1), np)
    system[:count, count] = system[count, :count] = 1
    system[:count, count + 1 :] = EDGES
    system[count + 1 :, :count] = EDGES.T
    return np.linalg.inv(system)[:, :count].astype(np.float32)


def _radial(squares: Any, library: Any) -> Any:
    """Bookstein's r² log r² for squared distances; 0 at 0."""
    return squares * library.log(library.maximum(squares, 1e-12))


#: Solved once, because eager backends would solve it for every batch.
SOLUTION = _solution()


@keras.saving.register_keras_serializable(package="crnn_kit")
class SplineSampler(Sampler):
    """Moves are those of the points on the edges."""

    terms = len(EDGES)

    def basis(self, places: Any) -> Any:
        edges = ops.convert_to_tensor(EDGES)
        squares = sum(ops.square(places[..., axis, None] - edges[:, axis]) for axis in (0, 1))
        terms = ops.concatenate([_radial(squares, ops), ops.ones_like(places[..., :1]), places], -1)
        return ops.matmul(terms, ops.convert_to_tensor(SOLUTION))


def tps(images: Features) -> Features:
    """Straighten the text between two curves that a small network predicts for each image."""
    return rectified(images, SplineSampler(dtype="float32"))
