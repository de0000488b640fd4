"""Backbones: images -> columns, a sequence over the width of the picture.

Each is a file NAME.py here with a constant `BACKBONE`, listed in :data:`NAMES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from crnn_reader.errors import UserError
from crnn_reader.fit import WIDTH_STEP
from model.features import Features

#: Commands read them from the source for `--help`.
NAMES = ("vgg", "crnn", "resnet", "inception")


class Backbone(NamedTuple):
    """How to build a backbone, and which networks it fits."""

    #: Makes columns of feature maps, in the size of a preset.
    build: Callable[[Features, str], Features]
    #: The arrangement of recurrent layers after it in preset `base`, that of its publication: `summed` or `projected`
    #: (see `sequences/recurrent.py`).
    recurrent: str
    presets: tuple[str, ...] = ("small", "base")
    #: Presets that are another one with more layers, each with that other one. The additional layers begin as the
    #: identity, so that trainings start from the weights of either.
    extends: Mapping[str, str] = MappingProxyType({})
    #: Whether a dense layer reads the rows of the maps, so that weights can be converted to another height of pictures.
    dense_rows: bool = False
    #: Width of a column in pixels.
    column: int = WIDTH_STEP
    #: Whether the pictures of a batch may have different widths, which needs columns of the default width.
    any_width: bool = True


def backbone_of(network: str) -> Backbone:
    """Return the backbone of a network such as `vgg_bilstm`. Raises UserError for an unknown name."""
    name = network.partition("_")[0]
    # The name may come from a model file, and must not import any other module.
    if name not in NAMES:
        raise UserError(f"there is no backbone {name[:40]!r}: update the kit, or use another model")
    backbone: Backbone = importlib.import_module(f"model.backbones.{name}").BACKBONE
    return backbone
