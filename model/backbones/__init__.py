"""Backbones: images -> columns, a sequence over the width of the picture.

Each is a file here with a function `(features, preset) -> features`, from feature maps to columns, and its `BACKBONE`;
its name stands in `parameter.BackboneName`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple

from crnn_reader.errors import UserError
from crnn_reader.fit import WIDTH_STEP
from model.features import Features


class Backbone(NamedTuple):
    """How to build a backbone, the recurrent layers of preset `base` (see `sequences/recurrent.py`), its presets."""

    build: Callable[[Features, str], Features]
    recurrent: str  #: as the publication that it follows continues
    presets: tuple[str, ...] = ("small", "base")
    column: int = WIDTH_STEP  #: pixels across each


def backbone_of(network: str) -> Backbone:
    """The backbone of what `--network` calls `network`. Raises UserError for a name that there is not."""
    name = network.partition("_")[0]
    # A name from a file imports nothing else.
    if name not in {file.name for file in pkgutil.iter_modules(__path__)}:
        raise UserError(f"there is no backbone {name[:40]!r}: update the kit, or use another model")
    backbone: Backbone = importlib.import_module(f"model.backbones.{name}").BACKBONE
    return backbone
