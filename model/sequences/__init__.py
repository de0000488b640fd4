"""Sequences: columns -> columns that know their neighbours.

Each is a file here with a function of its name `(columns, preset, published) -> columns`, where `published` names the
arrangement of preset `base` that belongs to the backbone; its name stands in `parameter.SequenceName`. What recurrent
ones share is in `recurrent.py`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from crnn_reader.errors import UserError
from model.features import Features


def sequence_of(network: str) -> Callable[[Features, str, str], Features]:
    """The sequence of what `--network` calls `network`. Raises UserError for a name that there is not."""
    name = network.partition("_")[2]
    # A name from a file imports nothing else; `recurrent` is what the recurrent ones share.
    if name == "recurrent" or name not in {file.name for file in pkgutil.iter_modules(__path__)}:
        raise UserError(f"there is no sequence {name[:40]!r}: update the kit, or use another model")
    sequence: Callable[[Features, str, str], Features] = getattr(
        importlib.import_module(f"model.sequences.{name}"), name
    )
    return sequence
