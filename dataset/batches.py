"""Batches for the network. What is in a batch is a function of (seed, epoch, index) and of nothing else."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from crnn_reader.fit import FULL_BATCH_WIDTH, pad_batch, padded_width
from dataset.augmentation import augmented
from dataset.cache import Corpus, Ragged

if TYPE_CHECKING:
    from dataset.prefetching import Batch

Places = npt.NDArray[np.int64]


class Batches:
    """Some rows of a corpus as `(images, labels)`, batch by batch; safe to ask from several threads.

    images: `uint8 (batch, height, width, channels)`; labels: `int32 (batch, longest)`, padded with 0. For a corpus of
    any width, `images` is the pair that `crnn_reader.image.pad_batch` makes of pictures of similar width, with fewer
    wide ones in a batch.

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
        workers: int | None = 0,
        part: tuple[int, int] = (0, 1),
        multiple: int = 1,
    ) -> None:
        """`encode` turns a label into numbers from 1; `augmentation` is a strength, 0 is off.

        `workers` is the number of processes that augment the pictures of :meth:`stream`. With 0, a thread does. With
        None, a thread does until the network has to wait for batches, and then processes take over.

        With `part` (i, n), a batch has only the pictures of part i of n equal ones, counted from 0; n must divide
        the size of every batch. For pictures of any width, batches have multiples of `multiple` pictures.
        """
        # Importing it takes time that commands which only read pictures should not pay for.
        from dataset.prefetching import Prefetcher

        self.images, self.rows = corpus.images, np.asarray(rows, np.int64)
        self._texts = corpus.names[self.rows], corpus.labels[self.rows]
        #: A hash of the pictures' bytes, to tell whether they are the same as another time.
        self.contents = hashlib.sha1(corpus.digests[self.rows].tobytes()).hexdigest()
        self.shuffle, self.augmentation, self.seed = shuffle, augmentation, seed
        encoded = [encode(str(label)) for label in corpus.labels[self.rows]]
        self.longest = max(map(len, encoded), default=0)
        #: The labels of `rows`, `int32 (len(rows), longest)`.
        self.labels = np.zeros((len(encoded), self.longest), np.int32)
        for label, numbers in zip(self.labels, encoded, strict=True):
            label[: len(numbers)] = numbers
        if isinstance(self.images, Ragged):
            self._groups = _of_similar_width(self.images.widths[self.rows], batch_size, multiple)
        else:
            self._groups = [Group(np.arange(len(self.rows)), batch_size)]
        self._latest: tuple[int, list[Places]] = (-1, [])
        self._part, self.parts = part
        self._prefetcher = Prefetcher(self, workers)

    @property
    def labelled(self) -> dict[str, str]:
        """The pictures' names and labels, in the order of `rows`."""
        return {str(name): str(label) for name, label in zip(*self._texts, strict=True)}

    def __len__(self) -> int:
        """Batches per epoch."""
        return sum(-(-len(group.places) // group.batch_size) for group in self._groups)

    def get(self, epoch: int, index: int) -> Batch:
        """Batch `index` of `epoch`, both from 0. Raises IndexError beyond the last one."""
        rows, labels = self.rows_and_labels(epoch, index)
        images = [augmented(self.images, row, epoch, self.seed, self.augmentation) for row in rows]
        return pad_batch(images) if isinstance(self.images, Ragged) else np.stack(images), labels

    def rows_and_labels(self, epoch: int, index: int) -> tuple[list[int], npt.NDArray[np.int32]]:
        """The rows of a batch in the corpus, and their labels. Raises IndexError beyond the last batch."""
        if not 0 <= index < len(self):
            raise IndexError(f"batch {index} of {len(self)}")
        places = np.split(self._plan(epoch)[index], self.parts)[self._part]
        return self.rows[places].tolist(), self.labels[places]

    def largest_batch(self) -> tuple[int, int]:
        """Pictures in the largest batch, and bytes of the largest images."""
        counts = [group.batch_size // self.parts for group in self._groups]
        if isinstance(self.images, Ragged):
            widest = [int(self.images.widths[self.rows[group.places]].max()) for group in self._groups]
            sizes = [math.prod(self.images.shape) * padded_width(width) for width in widest]
        else:
            sizes = [math.prod(self.images.shape[1:])]
        return max(counts), max(count * size for count, size in zip(counts, sizes, strict=True))

    def stream(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Batches of an epoch from `start` on, in order, made ahead. Raises UserError if a worker process is killed."""
        return self._prefetcher.stream(epoch, start)

    def close(self) -> None:
        """End the worker processes."""
        self._prefetcher.close()

    def _plan(self, epoch: int) -> list[Places]:
        """The places in `rows` of each batch of an epoch; kept, as every batch of an epoch asks for it."""
        known, plan = self._latest
        if known != epoch:
            rng = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, epoch, 1]))
            plan = []
            for group in self._groups:
                size, count = group.batch_size, len(group.places)
                order = group.places[rng.permutation(count)] if self.shuffle else group.places
                for start in range(0, count, size):
                    batch = np.arange(start, start + size)
                    plan.append(order[batch % count] if self.shuffle else order[batch[batch < count]])
            if self.shuffle and len(self._groups) > 1:
                plan = [plan[batch] for batch in rng.permutation(len(plan))]
            # One assignment of the pair: threads see the old one or the new one.
            self._latest = epoch, plan
        return plan


class Group(NamedTuple):
    """Pictures that may be in a batch together, and how many at a time."""

    places: Places
    batch_size: int


def _of_similar_width(widths: npt.NDArray[np.int64], batch_size: int, multiple: int) -> list[Group]:
    """Groups of one padded width, with a `multiple` in a batch; one too small for a batch goes with the next wider."""
    groups: list[Group] = []
    waiting: list[int] = []
    padded = np.array([padded_width(width) for width in widths.tolist()], np.int64)
    for width in np.unique(padded).tolist():
        waiting += np.flatnonzero(padded == width).tolist()
        fitting = min(batch_size, batch_size * FULL_BATCH_WIDTH // width)
        fitting = max(multiple, fitting // multiple * multiple)
        if len(waiting) >= fitting or width == padded.max():
            groups.append(Group(np.sort(np.array(waiting, np.int64)), fitting))
            waiting = []
    return groups
