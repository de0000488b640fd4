"""Batches for the network. What is in a batch is a function of (seed, epoch, index) and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from dataset.augmentation import augment
from dataset.cache import Corpus
from dataset.contents import in_order

Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]


class Batches:
    """Some rows of a corpus as `(images, labels)`, batch by batch; safe to ask from several threads.

    images: `uint8 (batch, height, width, channels)`; labels: `int32 (batch, longest)`, padded with 0.

    For training (`shuffle`) every epoch has its own order, and a last batch that is not full is filled up with the
    pictures that the epoch began with: all batches have one shape, for which the network is compiled once, and no
    picture is left out. Otherwise pictures come in the order of `rows`, and the last batch is as small as it is.

    How a picture is augmented depends on (seed, epoch, its row) alone, whatever the batch size.
    """

    def __init__(
        self,
        corpus: Corpus,
        rows: npt.NDArray[np.integer],
        encode: Callable[[str], Sequence[int]],
        batch_size: int,
        *,
        shuffle: bool = False,
        augmentation: float = 0.0,
        seed: int = 0,
    ) -> None:
        """`encode` turns a label into numbers from 1; `augmentation` is a strength, 0 is off."""
        self.images, self.rows, self.batch_size = corpus.images, np.asarray(rows, np.int64), batch_size
        self._texts = corpus.names[self.rows], corpus.labels[self.rows]
        self.shuffle, self.augmentation, self.seed = shuffle, augmentation, seed
        encoded = [encode(str(label)) for label in corpus.labels[self.rows]]
        self.longest = max(map(len, encoded), default=0)
        #: The labels of `rows`, `int32 (len(rows), longest)`.
        self.labels = np.zeros((len(encoded), self.longest), np.int32)
        for label, numbers in zip(self.labels, encoded, strict=True):
            label[: len(numbers)] = numbers
        self._latest: tuple[int, npt.NDArray[np.int64]] = (-1, np.empty(0, np.int64))

    @property
    def labelled(self) -> dict[str, str]:
        """The pictures' names and labels, in the order of `rows`."""
        return {str(name): str(label) for name, label in zip(*self._texts, strict=True)}

    def __len__(self) -> int:
        """Batches per epoch."""
        return -(-len(self.rows) // self.batch_size)

    def get(self, epoch: int, index: int) -> Batch:
        """Batch `index` of `epoch`, both from 0. Raises IndexError beyond the last one."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        places = np.arange(index * self.batch_size, (index + 1) * self.batch_size)
        if self.shuffle:
            places = self._order(epoch)[places % len(self.rows)]
        else:
            places = places[places < len(self.rows)]
        rows = self.rows[places]
        images = np.empty((len(rows), *self.images.shape[1:]), np.uint8)
        for image, row in zip(images, rows.tolist(), strict=True):
            image[:] = self._picture(epoch, row)
        return images, self.labels[places]

    def stream(self, epoch: int, start: int = 0, workers: int | None = None) -> Iterator[Batch]:
        """Batches of an epoch from `start` on, in order, made ahead by `workers` threads (None: one per core)."""
        return in_order(lambda index: self.get(epoch, index), range(start, len(self)), workers)

    def _picture(self, epoch: int, row: int) -> npt.NDArray[np.uint8]:
        image = self.images[row]
        if self.augmentation <= 0:
            return image
        # Counter-based numbers (Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011) need no seeding.
        rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, row, epoch, 0]))
        return augment(image, rng, self.augmentation)

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The places of `rows` in the order of an epoch; kept, as every batch of an epoch asks for it."""
        known, order = self._latest
        if known != epoch:
            rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, epoch, 1]))
            order = rng.permutation(len(self.rows))
            # One assignment of the pair: threads see the old one or the new one.
            self._latest = epoch, order
        return order
