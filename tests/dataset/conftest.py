"""Small corpora made on the spot."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import cv2
import numpy as np
import pytest

Maker = Callable[..., Path]


def drawn(seed: int, width: int = 40, height: int = 20) -> np.ndarray:
    """A picture that depends on the seed: `uint8 (height, width, 3)`."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def write() -> Maker:
    """`write(folder, names, width, height)` writes a different picture for each name."""

    def write(folder: Path, names: Iterable[str], width: int = 40, height: int = 20) -> Path:
        for index, name in enumerate(names):
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(cv2.imencode(".png", drawn(index, width, height))[1].tobytes())
        return folder

    return write
