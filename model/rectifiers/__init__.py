"""Rectifiers: images -> images of the same size with the text straightened.

A rectifier is a function `images -> images` on feature maps in a file of its own, with its line here.
"""

from __future__ import annotations

from collections.abc import Callable

from model.features import Features
from model.rectifiers.affine import affine
from model.rectifiers.tps import tps

RECTIFIERS: dict[str, Callable[[Features], Features]] = {"none": lambda images: images, "affine": affine, "tps": tps}
