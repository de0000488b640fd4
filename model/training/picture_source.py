"""The protocols of training pictures and of their batches; dataset and generate_captcha implement them."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from crnn_reader.config import ModelConfig
from crnn_reader.image import TooLong

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int32]
#: Images, or the pair (images, widths) for a network of any width.
Inputs: TypeAlias = Any


class BatchSource(Protocol):
    """Batches of images, uint8 (batch, height, width, channels), and labels, int32 (batch, longest), padded with 0.

    For a network of any width, images are the pair (images, widths), with widths int32 (batch,).
    """

    @property
    def rows(self) -> Sized:
        """The pictures, each of which is in an epoch once."""

    @property
    def labelled(self) -> dict[str, str]:
        """Names and labels of the pictures that have names."""

    @property
    def contents(self) -> str:
        """A hash of the pictures; "" if they are drawn."""

    @property
    def processes(self) -> int:
        """Number of processes that share each batch. `stream` yields the shard of this process."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def stream(self, epoch: int) -> Iterator[tuple[Inputs, Labels]]:
        """Yield the batches of an epoch. They depend only on the epoch.

        The arrays of a batch must not change later: training may still read them while it asks for the next batch.
        """

    def close(self) -> None:
        """End the worker processes."""


class PictureSource(Protocol):
    """Labelled pictures for a training: a `FileSource` of dataset, or a `SyntheticSource` of generate_captcha.

    They are found first, because the network depends on their labels and shapes, and decoded to its input afterwards.
    """

    labels: list[str]  #: labels with every character and length of the texts
    count: int  #: number of pictures, in an epoch if they are drawn
    aspect: float  #: median of width / height
    colour_contrast: float  #: contrast of the best of red, green and blue, as a multiple of the contrast of grey
    difficulty: float | None  #: of drawn pictures, 0 to 1; None if they have none
    augments: bool  #: whether pictures to train on are augmented

    def decode(self, config: ModelConfig, too_long: TooLong) -> None:
        """Decode the pictures to the input of a network, check their labels, and hold out some for validation."""

    #: Only after :meth:`decode`: number of pictures to train on, width and height of all or some of them in pixels,
    #: (n, 2), and number of pictures that cannot be read.
    training_count: int
    sizes: Any
    unreadable: int

    def training_batches(
        self, batch_size: int, augmentation: float, shard: tuple[int, int], multiple: int
    ) -> BatchSource:
        """Batches to train on.

        Arguments:
            batch_size: pictures in a batch.
            augmentation: strength, 0 is off.
            shard: number of this process, and of all processes; each makes an equal part of every batch.
            multiple: a batch has a multiple of this number of pictures.
        """

    def validation_batches(self, batch_size: int) -> BatchSource:
        """Batches to validate with, the same in every epoch."""
