"""Sequences: columns -> columns with context.

Each is a file NAME.py here with a function NAME, listed in :data:`NAMES`. The function takes the columns, the preset
and the arrangement of preset `base` that belongs to the backbone (:attr:`model.backbones.Backbone.recurrent`), and
returns columns. `recurrent.py` has the common part of the recurrent ones.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable

from crnn_reader.errors import UserError
from model.features import Features

#: Commands read them from the source for `--help`.
NAMES = ("bilstm", "bigru", "conv")


def sequence_of(network: str) -> Callable[[Features, str, str], Features]:
    """Return the sequence of a network such as `vgg_bilstm`. Raises UserError for an unknown name."""
    name = network.partition("_")[2]
    # The name may come from a model file, and must not import any other module.
    if name not in NAMES:
        raise UserError(f"there is no sequence {name[:40]!r}: update the kit, or use another model")
    sequence: Callable[[Features, str, str], Features] = getattr(
        importlib.import_module(f"model.sequences.{name}"), name
    )
    return sequence
