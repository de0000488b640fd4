"""Backbones: images -> columns, a sequence over the width of the picture.

A backbone is a function `(features, preset) -> features` in a file of its own, from feature maps to columns, with its
line here; the line says how the publication that it follows continues with recurrent layers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from model.backbones.crnn import crnn
from model.backbones.inception import inception
from model.backbones.resnet import resnet
from model.backbones.vgg import vgg
from model.features import Features
from picture import WIDTH_STEP


class Backbone(NamedTuple):
    """How to build a backbone, the recurrent layers of preset `base` (see `sequences/recurrent.py`), its presets."""

    build: Callable[[Features, str], Features]
    recurrent: str
    presets: tuple[str, ...] = ("small", "base")
    column: int = WIDTH_STEP  #: pixels across each


BACKBONES: dict[str, Backbone] = {
    "vgg": Backbone(vgg, "summed", ("lite", "small", "base")),
    "crnn": Backbone(crnn, "projected"),
    "resnet": Backbone(resnet, "projected"),
    "inception": Backbone(inception, "projected", column=8),
}
