"""Heads: columns -> outputs that a decoder turns into text.

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

    autoregressive: bool  #: whether it writes texts character by character, at most `longest` characters
    left_to_right: bool  #: whether it reads only from left to right

    def outputs(self, columns: Features, classes: int, config: ModelConfig) -> tuple[list[Any], Any]:
        """The inputs that it needs only in training, and its outputs.

        The layer with one unit per class is named `classes`, or its name ends so.
        """

    def loss(self, config: ModelConfig) -> Any:
        """The Keras loss of targets and outputs, or a dict of losses by output, which are summed."""

    def targets(self, labels: NDArray[np.int32]) -> Any:
        """The targets of the losses, from labels, int32 (batch, longest), padded with 0."""

    def decoder_inputs(self, labels: NDArray[np.int32]) -> list[Any]:
        """The values of the inputs that it needs only in training."""

    def schedule(self, network: Any, progress: float) -> None:
        """Prepare the network for an epoch, after a fraction `progress` of the epochs."""

    def steps_needed(self, text: str) -> int:
        """Minimum number of columns to learn `text`."""

    def parts(self, network: Any, config: ModelConfig) -> list[Part]:
        """Cut a network with this head into the parts that reading runs."""


HEADS: dict[str, Head] = {name: importlib.import_module(f"model.heads.{name}").HEAD for name in NAMES}
