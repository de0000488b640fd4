"""Sequences: columns -> columns that know their neighbours.

A sequence is a function `(columns, preset, published) -> columns` in a file of its own, with its line here; `published`
names the arrangement of preset `base` that belongs to the backbone.
"""

from __future__ import annotations

from collections.abc import Callable

from model.features import Features
from model.sequences.recurrent import bigru, bilstm

SEQUENCES: dict[str, Callable[[Features, str, str], Features]] = {"bilstm": bilstm, "bigru": bigru}
