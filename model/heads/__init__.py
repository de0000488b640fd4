"""Heads: columns -> what a text is read from.

Each is a file here with a `HEAD` that has the methods of :class:`Head`; its name stands in `parameter.HeadName`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from model.constraints import Automaton
from model.decoding import Decoded
from model.runtimes import Part, Runtime

if TYPE_CHECKING:
    import numpy as np

    from model.features import Features
    from model.model_file import Card


class Decoder(Protocol):
    """Reads with a network: first what the network makes of a batch of pictures, then the texts; with NumPy alone."""

    def outputs(self, inputs: Any) -> Any:
        """What the network says of `inputs`, its pictures (and their widths): an array or a list of them.

        The first two axes of the first one are the batch and the columns.
        """

    def decode(
        self, outputs: Any, decoder: str, beam_width: int, top: int, allowed: Automaton | None = None
    ) -> list[list[Decoded]]:
        """For each picture up to `top` texts, the most probable first; `decoder` is `greedy` or `beam`.

        With `allowed`, texts that it accepts alone; none where no such text can be. The first text has the places of
        its characters.
        """

    def predictions(self, outputs: Any, texts: Sequence[Sequence[int]]) -> list[NDArray[Any]]:
        """All that texts are chosen by, to compare runtimes: first log-probabilities, float (batch, places, classes).

        `texts`, class numbers for each picture, are what a head that writes character by character is made to write.
        """


class Head(Protocol):
    """What networks, training and reading need to know of a head."""

    def outputs(self, columns: Features, classes: int, card: Card) -> tuple[list[Any], Any]:
        """The inputs it needs in training beside the pictures, and the outputs.

        The layer that has one unit per class is named `classes`, or ends in it.
        """

    def loss(self, card: Card) -> Any:
        """Keras loss of targets and outputs, or one for each named output; they add up."""

    def targets(self, labels: NDArray[np.int32]) -> Any:
        """What the losses compare outputs with; labels are int32 (batch, longest), padded with 0."""

    def teaching(self, labels: NDArray[np.int32]) -> list[Any]:
        """What those further inputs are given in training."""

    def schedule(self, network: Any, progress: float) -> None:
        """Prepare the network for an epoch, when `progress` of the training (0…1) is done."""

    def steps_needed(self, text: str) -> int:
        """Columns without which `text` cannot be learnt."""

    def parts(self, network: Any, card: Card) -> list[Part]:
        """What reading runs of a Keras network that has this head."""

    def decoder(self, run: Runtime, card: Card) -> Decoder:
        """Reads with what runs these parts."""


# By their files: reading alone has none of what parameter.py needs.
HEADS: dict[str, Head] = {
    file.name: importlib.import_module(f"model.heads.{file.name}").HEAD for file in pkgutil.iter_modules(__path__)
}
