"""Sequences: columns -> columns that know their neighbours.

Each is a file here with a function of its name `(columns, preset, published) -> columns`, where `published` names the
arrangement of preset `base` that belongs to the backbone; its name stands in `parameter.SequenceName`. What recurrent
ones share is in `recurrent.py`.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from model.features import Features


def sequence_of(network: str) -> Callable[[Features, str, str], Features]:
    """The sequence of what `--network` calls `network`."""
    name = network.split("_")[1]
    sequence: Callable[[Features, str, str], Features] = getattr(
        importlib.import_module(f"model.sequences.{name}"), name
    )
    return sequence
