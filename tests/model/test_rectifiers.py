"""The samplers of the rectifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from model.backend import import_keras

import_keras()

from model.rectifiers.affine import AffineSampler  # noqa: E402
from model.rectifiers.tps import POINTS, SplineSampler  # noqa: E402

ROWS, COLUMNS = 8, 24
#: Widths without padding; None in a network of one width.
WIDTHS = [None, np.array([24, 16], np.int32)]


def maps() -> Any:
    return np.random.default_rng(0).random((2, ROWS, COLUMNS, 3), np.float32)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize("sampler", [AffineSampler, SplineSampler])
def test_moves_of_zero_do_not_change_pictures(sampler: Any, widths: Any) -> None:
    moves = np.zeros((2, sampler.terms, 2), np.float32)
    for before, after, width in zip(maps(), sampler()(maps(), moves, widths), (24, 16), strict=True):
        np.testing.assert_allclose(np.asarray(after)[:, :width], before[:, :width], atol=1e-3)


@pytest.mark.parametrize("widths", WIDTHS)
@pytest.mark.parametrize(("sampler", "all_places"), [(AffineSampler, slice(1)), (SplineSampler, slice(2 * POINTS))])
def test_moves_shift_pictures(sampler: Any, all_places: slice, widths: Any) -> None:
    counts = [COLUMNS, COLUMNS] if widths is None else widths.tolist()
    moves = np.zeros((2, sampler.terms, 2), np.float32)
    for move, width in zip(moves, counts, strict=True):
        # The whole picture is 2 wide and high.
        move[all_places] = 2 * 3 / width, 2 * 2 / ROWS
    for before, after, width in zip(maps(), sampler()(maps(), moves, widths), counts, strict=True):
        # Places beyond the edge get the pixel at the edge.
        rows, columns = np.minimum(np.arange(ROWS) + 2, ROWS - 1), np.minimum(np.arange(width) + 3, width - 1)
        np.testing.assert_allclose(np.asarray(after)[:, :width], before[rows][:, columns], atol=1e-3)
