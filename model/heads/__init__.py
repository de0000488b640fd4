"""Heads: columns (batch, steps, features) -> what a text is read from.

A head is an object with the methods of :class:`Head` in a file of its own, with its line here.
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from model.decoding import Decoded
from model.heads.ctc import CTC


class Head(Protocol):
    """What networks, training and reading need to know of a head."""

    def outputs(self, columns: Any, classes: int) -> Any:
        """The output tensor; its class layer is named `classes`, one unit per class."""

    def loss(self) -> Any:
        """A Keras loss of labels, int32 (batch, longest) padded with 0, and the outputs."""

    def steps_needed(self, text: str) -> int:
        """Columns without which `text` cannot be learnt."""

    def decode(self, outputs: NDArray[Any], decoder: str, beam_width: int, top: int) -> list[list[Decoded]]:
        """For each picture up to `top` texts, the most probable first."""


HEADS: dict[str, Head] = {"ctc": CTC()}
