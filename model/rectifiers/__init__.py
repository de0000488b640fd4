"""Rectifiers: images -> images of the same size with the text straightened.

Each is a file NAME.py here with a function NAME from feature maps to feature maps, listed in :data:`NAMES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from model.features import Features

#: Commands read them from the source for `--help`.
NAMES = ("affine", "tps")

RECTIFIERS: dict[str, Callable[[Features], Features]] = {
    "none": lambda images: images,
    **{name: getattr(importlib.import_module(f"model.rectifiers.{name}"), name) for name in NAMES},
}
