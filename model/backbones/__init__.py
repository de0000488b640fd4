"""Backbones: pictures (batch, height, width, channels) -> columns of features (batch, steps, features).

A backbone is a function `(images, preset) -> columns` of Keras tensors in a file of its own, with its
line here. The picture's width becomes time; the height is folded into the features.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from model.backbones.vgg import vgg

BACKBONES: dict[str, Callable[[Any, str], Any]] = {"vgg": vgg}
