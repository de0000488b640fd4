"""Heads: columns -> what a text is read from.

Each is a file NAME.py here with a constant `HEAD` that has the methods of :class:`Head`, listed in :data:`NAMES`.
`crnn_reader.decoding.DECODERS` has its decoders under the same name.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

from numpy.typing import NDArray

from model.runtimes import Part

if TYPE_CHECKING:
    import numpy as np

    from crnn_reader.config import ModelConfig
    from model.features import Features

#: Commands read them from the source for `--help`.
NAMES = ("ctc", "attention", "joint")


class Head(Protocol):
    """A head: its layers, loss and training inputs."""

    @property
    def generates(self) -> bool:
        """Whether it generates texts character by character, at most `longest` of them."""

    @property
    def left_to_right(self) -> bool:
        """Whether it reads from left to right only."""

    def outputs(self, columns: Features, classes: int, config: ModelConfig) -> tuple[list[Any], Any]:
        """The inputs it needs in training beside the pictures, and the outputs.

        The layer that has one unit per class is named `classes`, or ends in it.
        """

    def loss(self, config: ModelConfig) -> Any:
        """Keras loss of targets and outputs, or one for each named output; they add up."""

    def targets(self, labels: NDArray[np.int32]) -> Any:
        """What the losses compare outputs with; labels are int32 (batch, longest), padded with 0."""

    def decoder_inputs(self, labels: NDArray[np.int32]) -> list[Any]:
        """What those further inputs are given in training."""

    def schedule(self, network: Any, progress: float) -> None:
        """Prepare the network for an epoch, when `progress` of the training (0…1) is done."""

    def steps_needed(self, text: str) -> int:
        """Columns without which `text` cannot be learnt."""

    def parts(self, network: Any, config: ModelConfig) -> list[Part]:
        """What reading runs of a Keras network that has this head."""


HEADS: dict[str, Head] = {name: importlib.import_module(f"model.heads.{name}").HEAD for name in NAMES}
