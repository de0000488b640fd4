"""Sequences: columns (batch, steps, features) -> columns (batch, steps, features) that know their neighbours.

A sequence is a function `(columns, preset) -> columns` in a file of its own, with its line here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from model.sequences.recurrent import bigru, bilstm

SEQUENCES: dict[str, Callable[[Any, str], Any]] = {"bilstm": bilstm, "bigru": bigru}
